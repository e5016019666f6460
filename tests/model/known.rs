//! What follows from all events of a customer whatever the instant, and every raw value at one.
//!
//! Computes a thing anew whenever it is asked for. Next: `stages.rs`, the first dimensions.

use crate::engagement::Scored;
use crate::reference::{Folded, Reference, When, when};
use ebbflow::domain::event::{Body, Interaction, Item, Purchase};
use ebbflow::domain::rules::Rules;
use ebbflow::domain::time::DAY_MS;

/// Raw values by dimension, in their order.
pub(crate) type Values = [String; 8];

/// R, F, M, frequency and monetary value.
pub(crate) type Scores = (u8, u8, u8, u64, i64);

/// The dimensions and their values before there is evidence.
pub(crate) const INITIAL: [(&str, &str); 8] = [
    ("rfm", "none"),
    ("lifecycle", "awareness"),
    ("activity", "none"),
    ("value_mode", "prospect"),
    ("value_tier", "none"),
    ("engagement", "none"),
    ("satisfaction", "unknown"),
    ("qualification", "none"),
];

/// An order, as its base record placed it.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) base: When,
    pub(crate) net: i64,
    pub(crate) cancelled: bool,
    /// The subscription and the length of the term that it pays for.
    pub(crate) term: Option<(String, u32)>,
    pub(crate) categories: Vec<String>,
    pub(crate) channel: Option<String>,
    pub(crate) coupon: bool,
}

/// A customer at the end of their events.
#[derive(Clone, Debug)]
pub(crate) struct Known<'a> {
    pub(crate) reference: &'a Reference,
    pub(crate) rules: &'a Rules,
    pub(crate) folded: Folded,
    /// All orders by time, cancelled ones too.
    pub(crate) orders: Vec<Placed>,
    /// Time and net of the orders that count.
    pub(crate) counting: Vec<(i64, i64)>,
    /// Until when each subscription runs, and the length of its term.
    pub(crate) runs: Vec<(i64, u32)>,
    pub(crate) scored: Vec<Scored>,
}

impl<'a> Known<'a> {
    pub(crate) fn new(reference: &'a Reference, rules: &'a Rules) -> Self {
        let folded = reference.fold();
        let mut orders: Vec<Placed> = folded
            .orders
            .values()
            .map(|order| {
                let mut placed = reference.placed(&order.base, &folded);
                placed.net = Reference::net(order);
                placed.cancelled = order.cancelled;
                placed
            })
            .collect();
        orders.sort_by_key(|order| order.base.clone());
        let counting =
            orders.iter().map(|it| (it.base.0, it.net)).filter(|(_, net)| *net > 0).collect();
        let runs = Reference::runs(&folded, rules);
        let mut known =
            Self { reference, rules, folded, orders, counting, runs, scored: Vec::new() };
        known.scored = known.scored_events();
        known
    }

    /// The raw value of every dimension.
    pub(crate) fn values(&self, at: i64) -> Values {
        std::array::from_fn(|index| self.value(index, at))
    }

    /// The raw value of one.
    pub(crate) fn value(&self, index: usize, at: i64) -> String {
        match INITIAL[index].0 {
            "rfm" => return self.rfm(at),
            "lifecycle" => self.stage(at),
            "activity" => self.activity(at),
            "value_mode" => self.value_mode(at),
            "value_tier" => self.value_tier(),
            "engagement" => self.engagement(at, "none"),
            "satisfaction" => self.satisfaction(at),
            _ => self.qualification(at),
        }
        .to_owned()
    }

    pub(crate) fn placed_orders(&self) -> impl Iterator<Item = &Placed> {
        self.orders.iter().filter(|order| !order.cancelled)
    }

    /// When the last order that is not cancelled was placed.
    pub(crate) fn last_order(&self) -> Option<i64> {
        self.placed_orders().map(|order| order.base.0).max()
    }

    /// Expected gap as (days, parts).
    pub(crate) fn gap(&self, at: i64) -> (i64, i64) {
        Reference::gap(&self.folded, self.rules, at)
    }

    /// All interactions, in arrival order.
    pub(crate) fn interactions(&self) -> impl Iterator<Item = (When, &'a Interaction<'static>)> {
        self.reference.events.iter().filter_map(|event| match &event.body {
            Body::Interaction(interaction) => Some((when(event), interaction)),
            Body::Purchase(_) => None,
        })
    }

    /// Every instant at which a raw value may change by time alone, and the one after it.
    pub(crate) fn instants(&self) -> Vec<i64> {
        let mut gaps: Vec<(i64, i64)> =
            self.runs.iter().map(|(until, _)| self.gap(*until)).collect();
        gaps.push(self.gap(i64::MAX));
        gaps.sort_unstable();
        gaps.dedup();
        let mut instants: Vec<i64> = self.runs.iter().map(|(until, _)| *until).collect();
        for event in &self.reference.events {
            let at = event.occurred_at.0;
            instants.push(at);
            let lasting = [30, 90, 180, 365].map(|days| days * DAY_MS);
            instants.extend(lasting.map(|ms| at + ms));
            let rfm = &self.rules.thresholds.rfm;
            instants.extend(rfm.recency_days.iter().map(|days| at + days * DAY_MS));
            instants.extend(rfm.window_ms.map(|ms| at + ms));
        }
        if let Some(last) = self.last_order() {
            for gap in &gaps {
                instants.extend(self.activity_instants(last, *gap));
            }
        }
        for gap in &gaps {
            instants.extend(self.value_mode_instants(*gap));
        }
        instants.extend(self.engagement_instants());
        let mut all: Vec<i64> = instants.iter().flat_map(|at| [*at, at + 1]).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl Reference {
    /// What a base record says beside the amount.
    fn placed(&self, base: &When, folded: &Folded) -> Placed {
        let event = self.events.iter().find(|event| when(event) == *base);
        let mut placed = Placed {
            base: base.clone(),
            net: 0,
            cancelled: false,
            term: None,
            categories: Vec::new(),
            channel: None,
            coupon: false,
        };
        match event.map(|event| &event.body) {
            Some(Body::Purchase(Purchase::OrderCompleted { channel, coupon, items, .. })) => {
                let category = |item: &Item<'_>| Some(item.category.as_ref()?.to_string());
                placed.categories = items.iter().filter_map(category).collect();
                placed.channel = channel.as_ref().map(ToString::to_string);
                placed.coupon = coupon.as_ref().is_some_and(|coupon| !coupon.is_empty());
            }
            Some(Body::Purchase(
                Purchase::SubscriptionStarted(term) | Purchase::SubscriptionRenewed(term),
            )) => {
                let prices = &folded.subscriptions[&*term.subscription_id].prices;
                let before =
                    prices.range(..=base.clone()).rev().find_map(|(_, (_, days, _))| *days);
                let days = term
                    .term_days
                    .or(before)
                    .or_else(|| prices.values().find_map(|(_, days, _)| *days));
                placed.term = Some((term.subscription_id.to_string(), days.unwrap_or(0)));
            }
            other => panic!("{other:?} places no order"),
        }
        placed
    }
}
