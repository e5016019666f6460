//! The naive model of `value_tier` and of costs.
//!
//! Next: `engagement.rs`.

use crate::known::Known;
use crate::reference::to_base;
use ebbflow::domain::event::{CostKind, Interaction, MessageKind};

impl Known<'_> {
    /// Marketing, service and acquisition costs.
    pub(crate) fn costs(&self) -> [i64; 3] {
        let [mut marketing, mut service, mut acquisition] = [0; 3];
        let fold = &self.rules.fold;
        for ((at, _), interaction) in self.interactions() {
            match interaction {
                Interaction::CostRecorded { cost, amount } => {
                    let minor = to_base(*amount, at);
                    match cost {
                        CostKind::Marketing => marketing += minor,
                        CostKind::Service => service += minor,
                        CostKind::Acquisition => acquisition += minor,
                    }
                }
                Interaction::SupportContacted { minutes: Some(minutes), .. } => {
                    service += i64::from(*minutes) * fold.service_cost_per_minute_minor;
                }
                Interaction::Message {
                    kind: MessageKind::Sent, channel: Some(channel), ..
                } => {
                    let cost = fold.touch_cost_minor.iter().find(|(name, _)| name == channel);
                    marketing += cost.map_or(0, |(_, minor)| *minor);
                }
                _ => {}
            }
        }
        [marketing, service, acquisition]
    }

    pub(crate) fn financial_value(&self) -> i64 {
        let net: i64 = self.counting.iter().map(|(_, net)| net).sum();
        net - self.costs().iter().sum::<i64>()
    }

    pub(crate) fn value_tier(&self) -> &'static str {
        if self.counting.is_empty() {
            return "none";
        }
        let [medium, high, top] = self.rules.thresholds.value_tier_minor;
        match self.financial_value() {
            value if value > top => "top",
            value if value > high => "high",
            value if value > medium => "medium",
            _ => "low",
        }
    }
}
