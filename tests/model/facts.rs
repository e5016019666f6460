//! The naive model of the facts that a profile tells (contract, section 3).
//!
//! Next: `predict.rs`, what will be published.

use crate::engagement::{Scored, faded};
use crate::known::{Known, Scores};
use crate::reference::{Reference, When};
use ebbflow::domain::event::{Body, Interaction, MessageKind, Purchase, Survey, Text};
use ebbflow::domain::time::DAY_MS;
use std::collections::{BTreeMap, BTreeSet};

/// Facts at an instant.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct NaiveFacts {
    pub(crate) orders: u64,
    pub(crate) net_minor: i64,
    pub(crate) first_order_at: Option<i64>,
    pub(crate) last_order_at: Option<i64>,
    pub(crate) average_gap_days: Option<f64>,
    pub(crate) expected_gap_days: Option<f64>,
    pub(crate) scores: Option<Scores>,
    pub(crate) net_365d_minor: i64,
    pub(crate) costs_minor: [i64; 3],
    pub(crate) financial_value_minor: i64,
    pub(crate) touches_before_first_order: u64,
    pub(crate) net_revenue_retention: Option<f64>,
    pub(crate) perceived_value: Option<[f64; 4]>,
    pub(crate) against_alternative: Option<f64>,
    pub(crate) attention_gap_days: Option<f64>,
    pub(crate) engagement_score: f64,
    pub(crate) interactions: u64,
    pub(crate) discount_dependence: Option<f64>,
    pub(crate) preferred: [Option<String>; 2],
    pub(crate) meddic_sum: Option<u32>,
    pub(crate) surveys: BTreeMap<String, NaiveSurvey>,
    pub(crate) traits: BTreeMap<String, String>,
    pub(crate) consent: BTreeMap<String, bool>,
}

/// Answers to a survey: latest score, mean, count, latest reasons.
pub(crate) type NaiveSurvey = (Option<u8>, Option<f64>, u64, Vec<String>);

impl Known<'_> {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    pub(crate) fn facts(&self, at: i64) -> NaiveFacts {
        let days = Reference::order_days(&self.folded);
        let gaps = days.len().saturating_sub(1);
        let (gap_days, gap_parts) = self.gap(at);
        let windows = self.windows(at);
        let perceived = self.perceived(at);
        NaiveFacts {
            orders: self.counting.len() as u64,
            net_minor: self.counting.iter().map(|(_, net)| net).sum(),
            first_order_at: self.counting.first().map(|(at, _)| *at),
            last_order_at: self.counting.last().map(|(at, _)| *at),
            average_gap_days: (gaps > 0).then(|| (days[gaps] - days[0]) as f64 / gaps as f64),
            expected_gap_days: self.last_order().map(|_| gap_days as f64 / gap_parts as f64),
            scores: self.scores(at),
            net_365d_minor: self.earned(at - 365 * DAY_MS - 1, at),
            costs_minor: self.costs(),
            financial_value_minor: self.financial_value(),
            touches_before_first_order: self.touches(),
            net_revenue_retention: (windows.before > 0)
                .then(|| windows.now as f64 / windows.before as f64),
            perceived_value: perceived.map(|(numbers, _)| numbers),
            against_alternative: perceived.and_then(|(_, against)| against),
            attention_gap_days: self.last_contact().map(|last| (at - last) as f64 / DAY_MS as f64),
            engagement_score: self.score_milli(at) as f64 / 1000.0,
            interactions: self.interactions().count() as u64,
            discount_dependence: self.discount_dependence(),
            preferred: [self.preferred(true), self.preferred(false)],
            meddic_sum: self.meddic_sum(),
            surveys: self.surveys(),
            traits: self.traits(),
            consent: self.consent(),
        }
    }

    /// Messages up to the day of the first counting order; those of the first sixteen days are
    /// kept by day, later ones count only while there is no order.
    fn touches(&self) -> u64 {
        let mut days: Vec<i64> = self
            .interactions()
            .filter(|(_, it)| matches!(it, Interaction::Message { kind: MessageKind::Sent, .. }))
            .map(|((at, _), _)| at.div_euclid(DAY_MS))
            .collect();
        if let Some((first, _)) = self.counting.first() {
            let distinct: BTreeSet<i64> = days.iter().copied().collect();
            let kept: Vec<i64> = distinct.into_iter().take(16).collect();
            days.retain(|day| *day <= first.div_euclid(DAY_MS) && kept.contains(day));
        }
        days.len() as u64
    }

    /// When both sides last spoke.
    fn last_contact(&self) -> Option<i64> {
        let spoken = self.interactions().filter_map(|((at, _), it)| {
            let two_way = matches!(
                it,
                Interaction::SupportContacted { .. }
                    | Interaction::SurveyAnswered { .. }
                    | Interaction::ProductReviewed { .. }
                    | Interaction::Message { kind: MessageKind::Clicked, .. }
            );
            two_way.then_some(at)
        });
        spoken.chain(self.last_order()).max()
    }

    fn discount_dependence(&self) -> Option<f64> {
        let counting: Vec<_> = self.orders.iter().filter(|order| order.net > 0).collect();
        let coupons = counting.iter().filter(|order| order.coupon).count();
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let share = (!counting.is_empty()).then(|| coupons as f64 / counting.len() as f64);
        share
    }

    /// The category, or channel, with the greatest faded weight; of two the first by name.
    fn preferred(&self, category: bool) -> Option<String> {
        let mut scored: BTreeMap<String, Vec<Scored>> = BTreeMap::new();
        for ((at, _), interaction) in self.interactions() {
            if let Interaction::Visit { category: of, channel, .. } = interaction {
                let name = if category { of } else { channel };
                let weight = crate::engagement::weight(interaction);
                if let Some(name) = name.as_ref().filter(|name| !name.is_empty() && weight > 0) {
                    scored
                        .entry(name.to_string())
                        .or_default()
                        .push((at.div_euclid(DAY_MS), weight));
                }
            }
        }
        for order in self.placed_orders() {
            let names: BTreeSet<&String> = if category {
                order.categories.iter().collect()
            } else {
                order.channel.iter().collect()
            };
            for name in names {
                let day = order.base.0.div_euclid(DAY_MS);
                scored.entry(name.clone()).or_default().push((day, 10));
            }
        }
        let latest = scored.values().flatten().map(|(day, _)| *day).max()?;
        let mut best: Option<(u128, String)> = None;
        for (name, scored) in scored {
            let score = faded(&scored, latest, 90);
            if best.as_ref().is_none_or(|(most, _)| score > *most) {
                best = Some((score, name));
            }
        }
        best.map(|(_, name)| name)
    }

    /// Benefit, cost, ratio, difference; and the ratio by that of the next-best product.
    fn perceived(&self, at: i64) -> Option<([f64; 4], Option<f64>)> {
        let mut parts: BTreeMap<(bool, String), (i64, u8)> = BTreeMap::new();
        for ((answered, _), interaction) in self.interactions() {
            let Interaction::SurveyAnswered { survey, score: Some(score), .. } = interaction else {
                continue;
            };
            let key = match survey {
                Survey::Benefit(name) => (true, name.to_string()),
                Survey::Cost(name) => (false, name.to_string()),
                _ => continue,
            };
            let part = parts.entry(key).or_insert((answered, *score));
            *part = (*part).max((answered, *score));
        }
        let weights = &self.rules.thresholds.perceived;
        let mean = |benefit: bool, alternative: bool| {
            let (mut sum, mut total) = (0.0, 0.0);
            for ((side, name), (answered, score)) in &parts {
                let (own, name) = match name.strip_suffix("@alternative") {
                    Some(name) => (false, name),
                    None => (true, name.as_str()),
                };
                if *side != benefit || own == alternative || at - answered > 365 * DAY_MS {
                    continue;
                }
                let list = if benefit { &weights.benefit_weights } else { &weights.cost_weights };
                let weight = list.iter().find(|(of, _)| of == name).map_or(1, |(_, it)| *it);
                sum += f64::from(weight) * f64::from(*score);
                total += f64::from(weight);
            }
            (total > 0.0).then(|| sum / total)
        };
        let (benefit, cost) = (mean(true, false)?, mean(false, false)?);
        let ratio = benefit / cost.max(1.0);
        let other = mean(true, true).map(|it| it / mean(false, true).unwrap_or(cost).max(1.0));
        let against = other.filter(|other| *other > 0.0).map(|other| ratio / other);
        Some(([benefit, cost, ratio, benefit - cost], against))
    }

    fn surveys(&self) -> BTreeMap<String, NaiveSurvey> {
        let mut answers: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for (when, interaction) in self.interactions() {
            let Interaction::SurveyAnswered { survey, score, reason } = interaction else {
                continue;
            };
            let name = match survey {
                Survey::Nps => "nps",
                Survey::Csat => "csat",
                Survey::Ces => "ces",
                Survey::Attention => "attention",
                Survey::Brand => "brand",
                Survey::PurchaseReason => "purchase_reason",
                Survey::Benefit(_) | Survey::Cost(_) => continue,
            };
            answers.entry(name.to_owned()).or_default().push((when, *score, reason.clone()));
        }
        let told = |mut answers: Vec<(When, Option<u8>, Option<Text<'static>>)>| {
            answers.sort_by(|one, other| one.0.cmp(&other.0));
            let count = answers.len() as u64;
            let scores: Vec<u8> = answers.iter().filter_map(|(_, score, _)| *score).collect();
            let sum: f64 = scores.iter().map(|score| f64::from(*score)).sum();
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let mean = (!scores.is_empty()).then(|| sum / scores.len() as f64);
            let reasons = answers.iter().rev().filter_map(|(_, _, reason)| reason.as_ref());
            let reasons = reasons.take(3).map(std::borrow::Cow::to_string).collect();
            (answers[answers.len() - 1].1, mean, count, reasons)
        };
        answers.into_iter().map(|(name, answers)| (name, told(answers))).collect()
    }

    fn traits(&self) -> BTreeMap<String, String> {
        let mut latest: BTreeMap<String, (i64, String)> = BTreeMap::new();
        for ((at, _), interaction) in self.interactions() {
            let Interaction::ProfileUpdated { traits } = interaction else { continue };
            for (name, value) in traits {
                let set = (at, value.to_string());
                let present = latest.entry(name.to_string()).or_insert_with(|| set.clone());
                *present = present.clone().max(set);
            }
        }
        latest.into_iter().map(|(name, (_, value))| (name, value)).collect()
    }

    /// The latest word on each purpose; of two of one time the refusal.
    fn consent(&self) -> BTreeMap<String, bool> {
        let mut latest: BTreeMap<String, (i64, bool)> = BTreeMap::new();
        for event in &self.reference.events {
            let said: Vec<(String, bool)> = match &event.body {
                Body::Interaction(Interaction::ConsentChanged { purposes }) => {
                    purposes.iter().map(|(name, given)| (name.to_string(), *given)).collect()
                }
                Body::Interaction(Interaction::Message {
                    kind: MessageKind::Unsubscribed,
                    channel: Some(channel),
                    ..
                }) => vec![(format!("marketing:{channel}"), false)],
                _ => Vec::new(),
            };
            for (name, given) in said {
                let set = (event.occurred_at.0, !given);
                let present = latest.entry(name).or_insert(set);
                *present = (*present).max(set);
            }
        }
        latest.into_iter().map(|(name, (_, refused))| (name, !refused)).collect()
    }

    /// Whether a record is an order's contact without money.
    pub(crate) const fn is_contact(body: &Body<'_>) -> bool {
        matches!(body, Body::Purchase(Purchase::OrderPaid { .. } | Purchase::OrderFulfilled { .. }))
    }
}
