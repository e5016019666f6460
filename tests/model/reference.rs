//! The naive model: keeps all events of a customer and recomputes everything from zero.
//!
//! Written from the contract (sections 2, 3, 4), not from the code; slow and obvious.
//! Next: `predict.rs`, what it says will be published.

use ebbflow::domain::event::{Body, Event, Interaction, Purchase, Survey, Term, VisitKind};
use ebbflow::domain::money::{Currency, Money};
use ebbflow::domain::rules::{Monetary, Rules};
use ebbflow::domain::time::{DAY_MS, Timestamp};
use std::collections::BTreeMap;

/// When a record happened; its id decides between equal times.
pub(crate) type When = (i64, String);

/// The fold of an order's records; the ids say which records won.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NaiveOrder {
    pub(crate) base: When,
    pub(crate) base_amount: Money,
    pub(crate) update: Option<(When, Money)>,
    pub(crate) refunds: BTreeMap<String, (When, Option<Money>)>,
    pub(crate) cancelled: bool,
}

/// What is known of a subscription, as of the end of all events.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct NaiveSubscription {
    pub(crate) latest: Option<When>,
    pub(crate) prices: BTreeMap<When, (Option<Money>, Option<u32>)>,
    pub(crate) cancelled: Option<When>,
    pub(crate) ended: Option<When>,
}

/// Orders and subscriptions by id.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Folded {
    pub(crate) orders: BTreeMap<String, NaiveOrder>,
    pub(crate) subscriptions: BTreeMap<String, NaiveSubscription>,
}

/// Facts at an instant.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct NaiveFacts {
    pub(crate) orders: u64,
    pub(crate) net_minor: i64,
    pub(crate) first_order_at: Option<i64>,
    pub(crate) last_order_at: Option<i64>,
    pub(crate) average_gap_days: Option<f64>,
    pub(crate) expected_gap_days: Option<f64>,
    pub(crate) scores: Option<(u8, u8, u8, u64, i64)>,
}

/// All events of one customer, each with its id once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reference {
    pub(crate) events: Vec<Event<'static>>,
}

fn when(event: &Event<'_>) -> When {
    (event.occurred_at.0, event.event_id.to_string())
}

fn term_order(term: &Term<'_>, at: Timestamp) -> String {
    match &term.order_id {
        Some(order) => order.to_string(),
        None => {
            let instant = jiff::Timestamp::from_millisecond(at.0).expect("a writable instant");
            format!("{}@{}", term.subscription_id, instant.strftime("%Y-%m-%d"))
        }
    }
}

/// The fixture's table by hand: EUR stays, USD has two rates, JPY one and no decimals.
fn to_base(money: Money, at: i64) -> i64 {
    let nano: i128 = match money.currency.code() {
        "EUR" => return money.amount_minor,
        "USD" if at.div_euclid(DAY_MS) < 19_753 => 911_000_000,
        "USD" => 1_090_000_001,
        "JPY" => 612_300_000,
        code => panic!("{code} has no rate in the fixture"),
    };
    let product = i128::from(money.amount_minor) * nano;
    i64::try_from((2 * product + 1_000_000_000) / 2_000_000_000).expect("a small amount")
}

impl Reference {
    /// Orders that have a base record, and subscriptions.
    pub(crate) fn fold(&self) -> Folded {
        let mut folded = Folded::default();
        for event in &self.events {
            let Body::Purchase(purchase) = &event.body else { continue };
            match purchase {
                Purchase::SubscriptionStarted(term) | Purchase::SubscriptionRenewed(term) => {
                    let known =
                        folded.subscriptions.entry(term.subscription_id.to_string()).or_default();
                    known.latest = known.latest.clone().max(Some(when(event)));
                    if term.amount.is_some() || term.plan.is_some() || term.term_days.is_some() {
                        known.prices.insert(when(event), (term.amount, term.term_days));
                    }
                }
                Purchase::SubscriptionChanged(term) => {
                    let known =
                        folded.subscriptions.entry(term.subscription_id.to_string()).or_default();
                    known.prices.insert(when(event), (term.amount, term.term_days));
                }
                Purchase::SubscriptionCancelled { subscription_id } => {
                    let known =
                        folded.subscriptions.entry(subscription_id.to_string()).or_default();
                    known.cancelled = known.cancelled.clone().max(Some(when(event)));
                }
                Purchase::SubscriptionEnded { subscription_id } => {
                    let known =
                        folded.subscriptions.entry(subscription_id.to_string()).or_default();
                    known.ended = known.ended.clone().max(Some(when(event)));
                }
                _ => {}
            }
        }
        for event in &self.events {
            let Some((order, amount)) = self.base_of(event, &folded) else { continue };
            let known = folded.orders.entry(order).or_insert_with(|| NaiveOrder {
                base: when(event),
                base_amount: amount,
                update: None,
                refunds: BTreeMap::new(),
                cancelled: false,
            });
            if when(event) < known.base {
                (known.base, known.base_amount) = (when(event), amount);
            }
        }
        for event in &self.events {
            let Some(order) = amends(event) else { continue };
            let Some(known) = folded.orders.get_mut(order) else { continue };
            match &event.body {
                Body::Purchase(Purchase::OrderUpdated { amount, .. }) => {
                    if known.update.as_ref().is_none_or(|(present, _)| *present < when(event)) {
                        known.update = Some((when(event), *amount));
                    }
                }
                Body::Purchase(Purchase::OrderRefunded { refund_id, amount, .. }) => {
                    let refund = (when(event), *amount);
                    let present = known.refunds.entry(refund_id.to_string()).or_insert(refund);
                    if when(event) < present.0 {
                        *present = (when(event), *amount);
                    }
                }
                _ => known.cancelled = true,
            }
        }
        folded
    }

    fn base_of(&self, event: &Event<'_>, folded: &Folded) -> Option<(String, Money)> {
        match &event.body {
            Body::Purchase(Purchase::OrderCompleted { order_id, amount, .. }) => {
                Some((order_id.to_string(), *amount))
            }
            Body::Purchase(
                Purchase::SubscriptionStarted(term) | Purchase::SubscriptionRenewed(term),
            ) => {
                let prices = &folded.subscriptions.get(&*term.subscription_id)?.prices;
                let set = |range: Vec<&(Option<Money>, Option<u32>)>| {
                    range.into_iter().find_map(|(amount, _)| *amount)
                };
                let amount = term
                    .amount
                    .or_else(|| set(prices.range(..=when(event)).rev().map(|(_, p)| p).collect()))
                    .or_else(|| set(prices.values().collect()))
                    .unwrap_or(Money {
                        amount_minor: 0,
                        currency: Currency::parse("EUR").expect("a code"),
                    });
                Some((term_order(term, event.occurred_at), amount))
            }
            _ => None,
        }
    }

    /// The last instant of each subscription that runs.
    fn runs(folded: &Folded, rules: &Rules) -> Vec<(i64, u32)> {
        let mut runs = Vec::new();
        for known in folded.subscriptions.values() {
            let Some(latest) = &known.latest else { continue };
            let days = known
                .prices
                .range(..=latest.clone())
                .rev()
                .find_map(|(_, (_, days))| *days)
                .or_else(|| known.prices.values().find_map(|(_, days)| *days));
            let Some(days) = days else { continue };
            let end = latest.0 + i64::from(days) * DAY_MS;
            let grace = rules.thresholds.gap.subscription_grace_ms;
            let cancelled = known.cancelled.as_ref().is_some_and(|at| at >= latest);
            let mut until = if cancelled { end } else { end + grace };
            if let Some(ended) = known.ended.as_ref().filter(|at| *at >= latest) {
                until = until.min(ended.0 - 1);
            }
            runs.push((until, days));
        }
        runs
    }

    pub(crate) fn net(order: &NaiveOrder) -> i64 {
        if order.cancelled {
            return 0;
        }
        let gross = order.update.as_ref().map_or(order.base_amount, |(_, amount)| *amount);
        let at = order.base.0;
        let mut same = 0;
        let mut other = 0;
        for (_, amount) in order.refunds.values() {
            match amount {
                None => return 0,
                Some(part) if part.currency == gross.currency => same += part.amount_minor,
                Some(part) => other += to_base(*part, at),
            }
        }
        let rest = Money { amount_minor: (gross.amount_minor - same).max(0), ..gross };
        (to_base(rest, at) - other).max(0)
    }

    /// Expected gap as (days, parts).
    fn gap(folded: &Folded, rules: &Rules, at: i64) -> (i64, i64) {
        let running = Self::runs(folded, rules).into_iter().filter(|(until, _)| at <= *until);
        if let Some(days) = running.map(|(_, days)| days).min() {
            return (i64::from(days), 1);
        }
        let days = Self::order_days(folded);
        let (span, gaps) = match (days.first(), days.last()) {
            (Some(first), Some(last)) => {
                (last - first, i64::try_from(days.len()).expect("few") - 1)
            }
            _ => (0, 0),
        };
        (span + 2 * rules.thresholds.gap.prior_days, gaps + 2)
    }

    fn order_days(folded: &Folded) -> Vec<i64> {
        let mut days: Vec<i64> = folded
            .orders
            .values()
            .filter(|order| !order.cancelled)
            .map(|order| order.base.0.div_euclid(DAY_MS))
            .collect();
        days.sort_unstable();
        days.dedup();
        days
    }

    /// (published names of rfm and lifecycle, facts) at an instant.
    pub(crate) fn raw(&self, rules: &Rules, at: i64) -> ([String; 2], NaiveFacts) {
        let folded = self.fold();
        let counting: Vec<(i64, i64)> = {
            let mut counting: Vec<(i64, i64)> = folded
                .orders
                .values()
                .map(|order| (order.base.0, Self::net(order)))
                .filter(|(_, net)| *net > 0)
                .collect();
            counting.sort_unstable();
            counting
        };
        let scores = Self::scores(&counting, rules, at);
        let rfm = scores.map_or("none".to_owned(), |(r, f, m, ..)| cell_name(rules, r, f, m));
        let days = Self::order_days(&folded);
        let gaps = days.len().saturating_sub(1);
        let (gap_days, gap_parts) = Self::gap(&folded, rules, at);
        let any = folded.orders.values().any(|order| !order.cancelled);
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let facts = NaiveFacts {
            orders: counting.len() as u64,
            net_minor: counting.iter().map(|(_, net)| net).sum(),
            first_order_at: counting.first().map(|(at, _)| *at),
            last_order_at: counting.last().map(|(at, _)| *at),
            average_gap_days: (gaps > 0).then(|| (days[gaps] - days[0]) as f64 / gaps as f64),
            expected_gap_days: any.then(|| gap_days as f64 / gap_parts as f64),
            scores,
        };
        let stage = self.stage(&folded, counting.len(), rules, at);
        ([rfm, stage.to_owned()], facts)
    }

    fn scores(counting: &[(i64, i64)], rules: &Rules, at: i64) -> Option<(u8, u8, u8, u64, i64)> {
        let (last, _) = counting.last()?;
        let inside: Vec<i64> = counting
            .iter()
            .filter(|(order_at, _)| {
                rules.thresholds.rfm.window_ms.is_none_or(|ms| at - order_at <= ms)
            })
            .map(|(_, net)| *net)
            .collect();
        let count = i64::try_from(inside.len()).expect("few");
        let sum: i64 = inside.iter().sum();
        let monetary = match rules.thresholds.rfm.monetary {
            Monetary::Sum => sum,
            Monetary::Average if count == 0 => 0,
            Monetary::Average => sum / count,
        };
        let levels = u8::try_from(rules.thresholds.rfm.recency_days.len()).expect("few") + 1;
        let mut r = levels;
        for edge in &rules.thresholds.rfm.recency_days {
            r -= u8::from(at - last > edge * DAY_MS);
        }
        let (mut f, mut m) = (1, 1);
        for edge in &rules.thresholds.rfm.frequency {
            f += u8::from(count > *edge);
        }
        for edge in &rules.thresholds.rfm.monetary_minor {
            m += u8::from(monetary > *edge);
        }
        Some((r, f, m, inside.len() as u64, monetary))
    }

    fn stage(&self, folded: &Folded, counting: usize, rules: &Rules, at: i64) -> &'static str {
        let last = folded.orders.values().filter(|order| !order.cancelled).map(|o| o.base.0).max();
        let (days, parts) = Self::gap(folded, rules, at);
        let recent = last.is_some_and(|last| {
            i128::from(at - last) * i128::from(parts) <= 2 * i128::from(days) * i128::from(DAY_MS)
        });
        let live = recent || Self::runs(folded, rules).iter().any(|(until, _)| at <= *until);
        if live {
            if self.advocates(counting, at) {
                "advocacy"
            } else if counting >= 2 {
                "retention"
            } else {
                "purchase"
            }
        } else if self.considers(at) {
            "consideration"
        } else if last.is_some() {
            "lapsed"
        } else {
            "awareness"
        }
    }

    fn interactions(&self) -> impl Iterator<Item = (When, &Interaction<'static>)> {
        self.events.iter().filter_map(|event| match &event.body {
            Body::Interaction(interaction) => Some((when(event), interaction)),
            Body::Purchase(_) => None,
        })
    }

    fn considers(&self, at: i64) -> bool {
        let mut views = 0;
        for ((seen, _), interaction) in self.interactions() {
            if at - seen > 30 * DAY_MS {
                continue;
            }
            if let Interaction::Visit { kind, .. } = interaction {
                match kind {
                    VisitKind::ProductViewed => views += 1,
                    VisitKind::ProductAdded
                    | VisitKind::CartViewed
                    | VisitKind::CheckoutStarted
                    | VisitKind::ReviewRead => return true,
                    _ => {}
                }
            }
        }
        views >= 3
    }

    fn advocates(&self, counting: usize, at: i64) -> bool {
        let mut latest_nps: Option<(When, u8)> = None;
        let mut latest_review: Option<(When, u8)> = None;
        let (mut referred, mut praised) = (false, false);
        for (seen, interaction) in self.interactions() {
            let age = at - seen.0;
            match interaction {
                Interaction::ReferralAccepted { .. } => referred |= age <= 365 * DAY_MS,
                Interaction::Shared { .. } => praised |= age <= 90 * DAY_MS,
                Interaction::ProductReviewed { score, .. } => {
                    praised |= *score >= 4 && age <= 90 * DAY_MS;
                    latest_review = latest_review.max(Some((seen, *score)));
                }
                Interaction::SurveyAnswered { survey: Survey::Nps, score: Some(score), .. } => {
                    latest_nps = latest_nps.max(Some((seen, *score)));
                }
                _ => {}
            }
        }
        if latest_nps.as_ref().is_some_and(|(_, score)| *score <= 6)
            || latest_review.is_some_and(|(_, score)| score <= 2)
        {
            return false;
        }
        let promoter =
            latest_nps.is_some_and(|((seen, _), score)| score >= 9 && at - seen <= 180 * DAY_MS);
        referred || promoter || (praised && counting >= 2)
    }

    /// Every instant at which a raw value might change by time alone, and its neighbours.
    pub(crate) fn instants(&self, rules: &Rules) -> Vec<i64> {
        let folded = self.fold();
        let mut instants = Vec::new();
        for event in &self.events {
            let at = event.occurred_at.0;
            instants.push(at);
            let lasting = [30, 90, 180, 365].map(|days| days * DAY_MS);
            instants.extend(lasting.map(|ms| at + ms));
            instants
                .extend(rules.thresholds.rfm.recency_days.iter().map(|days| at + days * DAY_MS));
            instants.extend(rules.thresholds.rfm.window_ms.map(|ms| at + ms));
            for (gap_at, _) in Self::runs(&folded, rules) {
                let (days, parts) = Self::gap(&folded, rules, gap_at);
                instants.push(at + 2 * days * DAY_MS / parts);
                instants.push(gap_at);
            }
            let (days, parts) = Self::gap(&folded, rules, i64::MAX);
            instants.push(at + 2 * days * DAY_MS / parts);
        }
        let mut all: Vec<i64> =
            instants.iter().flat_map(|at| [at - 1, *at, at + 1, at + 2]).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// The order that a record amends.
pub(crate) fn amends<'a>(event: &'a Event<'_>) -> Option<&'a str> {
    match &event.body {
        Body::Purchase(
            Purchase::OrderUpdated { order_id, .. }
            | Purchase::OrderCancelled { order_id }
            | Purchase::OrderRefunded { order_id, .. },
        ) => Some(order_id),
        _ => None,
    }
}

/// Looks a cell up by matching the patterns of the map one by one.
fn cell_name(rules: &Rules, r: u8, f: u8, m: u8) -> String {
    let scores = [r, f, m];
    for value in rules.thresholds.rfm.map.values() {
        for pattern in &value.cells {
            let mut rest = pattern.as_str();
            let mut fits = true;
            for score in scores {
                if rest.is_empty() {
                    break;
                }
                let choices = if let Some(inner) = rest.strip_prefix('[') {
                    let (choices, tail) = inner.split_once(']').expect("a closed choice");
                    rest = tail;
                    choices
                } else {
                    let (choices, tail) = rest.split_at(1);
                    rest = tail;
                    choices
                };
                fits &= choices.contains(&score.to_string());
            }
            if fits {
                return value.name.to_string();
            }
        }
    }
    panic!("cell {r}{f}{m} has no name");
}
