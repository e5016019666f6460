//! What a customer costs: money by kind, and the messages before the first order.
//!
//! Sums commute; days are kept in order, so arrival order does not matter within the bounds.
//! Next: `dimensions/value_tier.rs`, which takes costs off the revenue.

use crate::domain::event::{CostKind, Interaction, MessageKind};
use crate::domain::money::ExchangeRates;
use crate::domain::rules::FoldRules;
use crate::domain::time::{Day, Timestamp};

/// Days with messages that are kept one by one: the earliest.
pub const MAX_TOUCH_DAYS: usize = 16;

/// Costs in minor units of the base currency, and touches.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Spending {
    /// Marketing, messages included.
    pub marketing_minor: i64,
    /// Service, minutes of support included.
    pub service_minor: i64,
    /// Acquisition.
    pub acquisition_minor: i64,
    /// The earliest days with messages, and how many; ordered.
    pub touch_days: Vec<(Day, u32)>,
    /// Messages on later days.
    pub later_touches: u64,
}

impl Spending {
    /// Whether an interaction costs anything, or is a touch.
    #[must_use]
    pub const fn reads(interaction: &Interaction<'_>) -> bool {
        matches!(
            interaction,
            Interaction::CostRecorded { .. }
                | Interaction::SupportContacted { minutes: Some(_), .. }
                | Interaction::Message { kind: MessageKind::Sent, .. }
        )
    }

    /// Takes an interaction in.
    pub fn apply(
        &mut self,
        interaction: &Interaction<'_>,
        at: Timestamp,
        rules: &FoldRules,
        rates: &ExchangeRates,
    ) {
        match interaction {
            Interaction::CostRecorded { cost, amount } => {
                let minor = rates.to_base_minor(*amount, at);
                let sum = match cost {
                    CostKind::Marketing => &mut self.marketing_minor,
                    CostKind::Service => &mut self.service_minor,
                    CostKind::Acquisition => &mut self.acquisition_minor,
                };
                *sum = sum.saturating_add(minor);
            }
            Interaction::SupportContacted { minutes: Some(minutes), .. } => {
                let minor = i64::from(*minutes).saturating_mul(rules.service_cost_per_minute_minor);
                self.service_minor = self.service_minor.saturating_add(minor);
            }
            Interaction::Message { kind: MessageKind::Sent, channel, .. } => {
                let cost = rules
                    .touch_cost_minor
                    .iter()
                    .find(|(name, _)| Some(name.as_str()) == channel.as_deref());
                let minor = cost.map_or(0, |(_, minor)| *minor);
                self.marketing_minor = self.marketing_minor.saturating_add(minor);
                self.touch(at.day(), 1);
            }
            _ => {}
        }
    }

    /// Takes over what another customer cost.
    pub fn absorb(&mut self, source: Self) {
        for (sum, minor) in [
            (&mut self.marketing_minor, source.marketing_minor),
            (&mut self.service_minor, source.service_minor),
            (&mut self.acquisition_minor, source.acquisition_minor),
        ] {
            *sum = sum.saturating_add(minor);
        }
        source.touch_days.into_iter().for_each(|(day, count)| self.touch(day, count));
        self.later_touches = self.later_touches.saturating_add(source.later_touches);
    }

    fn touch(&mut self, day: Day, touches: u32) {
        let mut later = 0;
        match self.touch_days.binary_search_by_key(&day, |(day, _)| *day) {
            Ok(place) => {
                let count = &mut self.touch_days[place].1;
                *count = count.saturating_add(touches);
            }
            Err(MAX_TOUCH_DAYS) => later = touches,
            Err(place) => {
                self.touch_days.insert(place, (day, touches));
                if self.touch_days.len() > MAX_TOUCH_DAYS
                    && let Some((_, count)) = self.touch_days.pop()
                {
                    later = count;
                }
            }
        }
        self.later_touches = self.later_touches.saturating_add(u64::from(later));
    }

    /// Messages up to the day of the first order, that day included; all without an order. Of
    /// those beyond [`MAX_TOUCH_DAYS`] days none counts once there is an order.
    #[must_use]
    pub fn touches_until(&self, first_order: Option<Day>) -> u64 {
        let until =
            self.touch_days.iter().filter(|(day, _)| first_order.is_none_or(|it| *day <= it));
        let kept: u64 = until.map(|(_, count)| u64::from(*count)).sum();
        kept + if first_order.is_none() { self.later_touches } else { 0 }
    }

    /// All costs.
    #[must_use]
    pub const fn total_minor(&self) -> i64 {
        self.marketing_minor
            .saturating_add(self.service_minor)
            .saturating_add(self.acquisition_minor)
    }
}
