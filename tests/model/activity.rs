//! The naive model of `activity`.
//!
//! Compares with `f64`-free integers, band by band. Next: `value_mode.rs`.

use crate::known::Known;
use ebbflow::domain::time::DAY_MS;

/// Expected gaps, floors in days, longest own gaps, in thousandths.
const BANDS: [(i64, i64, i64); 3] = [(3_000, 60, 1_500), (2_000, 30, 1_250), (1_500, 14, 1_000)];

/// A gap between order days.
struct OwnGap {
    days: i64,
    /// It was more than two of the gaps expected before the order that ended it.
    reactivating: bool,
}

impl Known<'_> {
    /// The length of the shortest term that was running when an order came, as far as was known.
    fn term_running_before(&self, at: i64) -> Option<i64> {
        let grace = self.rules.thresholds.gap.subscription_grace_ms;
        let running = self.orders.iter().filter_map(|order| {
            let (id, days) = order.term.as_ref().filter(|(_, days)| *days > 0)?;
            let subscription = &self.folded.subscriptions[id];
            let known = |record: &Option<(i64, String)>| {
                record.as_ref().is_some_and(|it| *it >= order.base && it.0 <= at)
            };
            let grace = if known(&subscription.cancelled) { 0 } else { grace };
            let until = order.base.0 + i64::from(*days) * DAY_MS + grace;
            let runs = order.base.0 < at && at <= until && !known(&subscription.ended);
            runs.then_some(i64::from(*days))
        });
        running.min()
    }

    fn own_gaps(&self) -> Vec<OwnGap> {
        let mut days: Vec<(i64, i64)> =
            self.placed_orders().map(|it| (it.base.0.div_euclid(DAY_MS), it.base.0)).collect();
        days.dedup_by_key(|(day, _)| *day);
        let prior = self.rules.thresholds.gap.prior_days;
        (1..days.len())
            .map(|n| {
                let gap = days[n].0 - days[n - 1].0;
                let (expected, parts) = match self.term_running_before(days[n].1) {
                    Some(term) => (term, 1),
                    None => {
                        let count = i64::try_from(n).expect("few") - 1;
                        (days[n - 1].0 - days[0].0 + 2 * prior, count + 2)
                    }
                };
                OwnGap { days: gap, reactivating: gap * parts > 2 * expected }
            })
            .collect()
    }

    pub(crate) fn activity(&self, at: i64) -> &'static str {
        let Some(last) = self.last_order() else { return "none" };
        let (days, parts) = self.gap(at);
        let gaps = self.own_gaps();
        let longest = gaps.iter().filter(|gap| !gap.reactivating).map(|gap| gap.days).max();
        let longest = longest.filter(|_| gaps.len() >= 2).unwrap_or(0);
        let silence = i128::from(at - last);
        let day = i128::from(DAY_MS);
        let values = ["churned", "lapsed", "at_risk"];
        for ((gap_milli, floor, longest_milli), value) in BANDS.into_iter().zip(values) {
            if silence * i128::from(parts) * 1000 > i128::from(gap_milli * days) * day
                && silence > i128::from(floor) * day
                && silence * 1000 > i128::from(longest_milli * longest) * day
            {
                return value;
            }
        }
        if gaps.last().is_some_and(|gap| gap.reactivating) {
            "reactivated"
        } else if gaps.is_empty() {
            "new"
        } else {
            "active"
        }
    }

    /// The last instants before a band, with this expected gap.
    pub(crate) fn activity_instants(&self, last: i64, (days, parts): (i64, i64)) -> Vec<i64> {
        let mut instants = vec![last + 2 * days * DAY_MS / parts];
        for (gap_milli, floor, longest_milli) in BANDS {
            instants.push(last + gap_milli * days * DAY_MS / (parts * 1000));
            instants.push(last + floor * DAY_MS);
            let longest = self.own_gaps().into_iter().map(|gap| longest_milli * gap.days);
            instants.extend(longest.map(|milli| last + milli * DAY_MS / 1000));
        }
        instants
    }
}
