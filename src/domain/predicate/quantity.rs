//! Numbers of a customer that conditions compare with constants, exactly.
//!
//! A number is a fraction of integers, compared with thousandths by cross-multiplication; ages
//! are in milliseconds. Where the profile shows a rounded number, that one is compared. Each knows
//! when time alone may carry it across a constant. Next: `publish/profile.rs`, where people see
//! the same numbers.

use crate::domain::change::Number;
use crate::domain::dimension::Dimension;
use crate::domain::dimensions::view::View;
use crate::domain::facts::order_facts::next_gap_boundary;
use crate::domain::facts::revenue::{earned, earnings};
use crate::domain::facts::surveys::Topic;
use crate::domain::predicate::Reads;
use crate::domain::raw::Measured;
use crate::domain::time::{DAY_MS, Day, Timestamp};
use std::cmp::Ordering;

/// The window of `net_365d_minor`, in ms.
const YEAR_MS: i64 = 365 * DAY_MS;

/// A number of a customer; amounts in minor units of the base currency.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are those of the profile")]
pub enum Quantity {
    Orders,
    NetMinor,
    AverageOrderMinor,
    Net365dMinor,
    FinancialValueMinor,
    MarketingCostMinor,
    ServiceCostMinor,
    AcquisitionCostMinor,
    TouchesBeforeFirstOrder,
    RunningSubscriptions,
    RecencyDays,
    AverageGapDays,
    ExpectedGapDays,
    NetRevenueRetention,
    AttentionGapDays,
    EngagementScore,
    Interactions,
    DiscountDependence,
    MeddicSum,
    AcceptedReferrals,
    ReferredRevenueMinor,
    /// The latest score of a survey.
    Survey(Topic),
}

impl Quantity {
    /// Those of the profile's facts, by name.
    pub const FACTS: [(&'static str, Self); 21] = [
        ("orders", Self::Orders),
        ("net_minor", Self::NetMinor),
        ("average_order_minor", Self::AverageOrderMinor),
        ("net_365d_minor", Self::Net365dMinor),
        ("financial_value_minor", Self::FinancialValueMinor),
        ("marketing_cost_minor", Self::MarketingCostMinor),
        ("service_cost_minor", Self::ServiceCostMinor),
        ("acquisition_cost_minor", Self::AcquisitionCostMinor),
        ("touches_before_first_order", Self::TouchesBeforeFirstOrder),
        ("running_subscriptions", Self::RunningSubscriptions),
        ("recency_days", Self::RecencyDays),
        ("average_gap_days", Self::AverageGapDays),
        ("expected_gap_days", Self::ExpectedGapDays),
        ("net_revenue_retention", Self::NetRevenueRetention),
        ("attention_gap_days", Self::AttentionGapDays),
        ("engagement_score", Self::EngagementScore),
        ("interactions", Self::Interactions),
        ("discount_dependence", Self::DiscountDependence),
        ("meddic_sum", Self::MeddicSum),
        ("accepted_referrals", Self::AcceptedReferrals),
        ("referred_revenue_minor", Self::ReferredRevenueMinor),
    ];

    /// What it reads.
    #[must_use]
    pub fn reads(self) -> Reads {
        match self {
            Self::Orders | Self::NetMinor | Self::AverageOrderMinor | Self::AverageGapDays => {
                Reads::ORDERS
            }
            Self::Net365dMinor | Self::RunningSubscriptions | Self::RecencyDays => {
                Reads::ORDERS | Reads::TIME
            }
            // What a dimension rests on is measured where it is judged.
            Self::ExpectedGapDays => {
                Reads::ORDERS | Reads::TIME | Reads::dimension(Dimension::Activity)
            }
            Self::NetRevenueRetention => {
                Reads::ORDERS | Reads::TIME | Reads::dimension(Dimension::ValueMode)
            }
            Self::AttentionGapDays => Reads::ORDERS | Reads::SAID | Reads::TIME,
            Self::EngagementScore => {
                let of_score = Reads::dimension(Dimension::Engagement);
                Reads::ORDERS | Reads::SAID | Reads::TIME | of_score
            }
            Self::FinancialValueMinor => {
                Reads::ORDERS | Reads::SAID | Reads::dimension(Dimension::ValueTier)
            }
            Self::TouchesBeforeFirstOrder => Reads::ORDERS | Reads::SAID,
            Self::DiscountDependence => Reads::ORDERS,
            Self::MeddicSum => Reads::SAID | Reads::dimension(Dimension::Qualification),
            Self::MarketingCostMinor
            | Self::ServiceCostMinor
            | Self::AcquisitionCostMinor
            | Self::Interactions
            | Self::AcceptedReferrals
            | Self::ReferredRevenueMinor
            | Self::Survey(_) => Reads::SAID,
        }
    }

    /// How the number compares with thousandths; `None` while it is unknown.
    #[must_use]
    pub fn compare(self, view: &View<'_>, measured: &Measured, milli: i64) -> Option<Ordering> {
        let (number, parts) = self.fraction(view, measured)?;
        Some((number * 1000).cmp(&(i128::from(milli) * parts)))
    }

    /// The name that conditions and evidence have for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Survey(topic) => topic.name(),
            fact => {
                Self::FACTS.iter().find(|(_, known)| *known == fact).map_or("", |(name, _)| name)
            }
        }
    }

    /// For people: the number, or that it is unknown.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for people; decisions use the fraction")]
    pub fn shown(self, view: &View<'_>, measured: &Measured) -> Number {
        match self.fraction(view, measured) {
            None => Number::None,
            Some((number, 1)) => i64::try_from(number).map_or(Number::None, Number::Integer),
            Some((number, parts)) => Number::Decimal(number as f64 / parts as f64),
        }
    }

    /// The number as a fraction; the second part is above zero.
    fn fraction(self, view: &View<'_>, measured: &Measured) -> Option<(i128, i128)> {
        let facts = &view.facts;
        let spending = view.customer.spending.as_deref();
        let ties = view.customer.ties.as_deref();
        let age =
            |since: Timestamp| (i128::from(measured.at.since(since).max(0)), i128::from(DAY_MS));
        let whole = |number: i64| Some((i128::from(number), 1));
        let count = |number: u64| Some((i128::from(number), 1));
        match self {
            Self::Orders => count(facts.orders),
            Self::NetMinor => whole(facts.net_minor),
            Self::AverageOrderMinor => facts.average_order_minor().and_then(whole),
            Self::Net365dMinor => {
                let from = measured.at.plus_ms(-YEAR_MS - 1);
                whole(earned(&view.customer.book, &view.rules.rates, from, measured.at))
            }
            Self::FinancialValueMinor => whole(measured.value_tier.financial_value_minor),
            Self::MarketingCostMinor => whole(spending.map_or(0, |it| it.marketing_minor)),
            Self::ServiceCostMinor => whole(spending.map_or(0, |it| it.service_minor)),
            Self::AcquisitionCostMinor => whole(spending.map_or(0, |it| it.acquisition_minor)),
            Self::TouchesBeforeFirstOrder => {
                let first = facts.first_counting_at.map(Timestamp::day);
                count(spending.map_or(0, |it| it.touches_until(first)))
            }
            Self::RunningSubscriptions => count(u64::from(measured.subscriptions)),
            Self::RecencyDays => facts.last_counting_at.map(age),
            Self::AverageGapDays => {
                facts.own_gaps().map(|gap| (i128::from(gap.days), i128::from(gap.parts)))
            }
            Self::ExpectedGapDays => facts.last_activity_at.map(|_| {
                let gap = measured.activity.gap;
                (i128::from(gap.days), i128::from(gap.parts))
            }),
            Self::NetRevenueRetention => {
                let mode = &measured.value_mode;
                (mode.before_minor > 0)
                    .then(|| (i128::from(mode.now_minor), i128::from(mode.before_minor)))
            }
            Self::AttentionGapDays => contact_at(view).map(age),
            Self::EngagementScore => Some((i128::from(measured.engagement.score_milli), 1000)),
            Self::Interactions => count(
                view.customer.interactions.as_ref().map_or(0, |interactions| interactions.total),
            ),
            Self::DiscountDependence => {
                let counting = |net_minor: i64| net_minor > 0;
                let orders = view.customer.book.orders.iter();
                let orders = orders.filter(|order| counting(order.net_minor(&view.rules.rates)));
                let (all, coupons) = orders.fold((0, 0), |(all, coupons), order| {
                    (all + 1, coupons + i128::from(order.marks.coupon))
                });
                (all > 0).then_some((coupons, all))
            }
            Self::MeddicSum => {
                let sum = measured.qualification.sum;
                (sum > 0).then(|| (i128::from(sum), 1))
            }
            Self::AcceptedReferrals => count(u64::from(ties.map_or(0, |it| it.accepted))),
            Self::ReferredRevenueMinor => whole(ties.map_or(0, |it| it.referred_revenue_minor)),
            Self::Survey(topic) => {
                let score = view.customer.surveys.as_ref()?.of(topic)?.score?;
                count(u64::from(score))
            }
        }
    }

    /// The first instant after `present` at which time alone may change how it compares.
    #[must_use]
    pub fn next_boundary(
        self,
        view: &View<'_>,
        present: &Measured,
        milli: i64,
    ) -> Option<Timestamp> {
        let after = present.at;
        let aged = |since: Timestamp| {
            let ms = i128::from(milli) * i128::from(DAY_MS);
            let reached = i64::try_from(ms.div_euclid(1000)).unwrap_or(i64::MAX);
            // It is as old at one instant, if it is a whole one, and older from the next on.
            let whole = ms.rem_euclid(1000) == 0;
            let at = since.plus_ms(reached);
            let boundaries = [whole.then_some(at), Some(at.plus_ms(1))];
            boundaries.into_iter().flatten().filter(|boundary| *boundary > after).min()
        };
        match self {
            Self::RecencyDays => aged(view.facts.last_counting_at?),
            Self::AttentionGapDays => aged(contact_at(view)?),
            Self::Net365dMinor => earnings(&view.customer.book, &view.rules.rates)
                .flat_map(|earning| [0, YEAR_MS + 1].map(|age| earning.next_at_age(age, after)))
                .flatten()
                .min(),
            Self::RunningSubscriptions | Self::ExpectedGapDays => {
                next_gap_boundary(&view.customer.book, &view.thresholds.gap, after)
            }
            Self::NetRevenueRetention => {
                // Both windows go on moving when the customer is not live any more.
                let window_ms = present.value_mode.window_ms;
                let ages = [0, window_ms + 1, 2 * window_ms + 1];
                earnings(&view.customer.book, &view.rules.rates)
                    .flat_map(|earning| ages.map(|age| earning.next_at_age(age, after)))
                    .flatten()
                    .chain(next_gap_boundary(&view.customer.book, &view.thresholds.gap, after))
                    .min()
            }
            Self::EngagementScore => {
                let level = u64::try_from(milli).unwrap_or(0);
                let score = present.engagement.score;
                let half_life = &view.rules.fold.engagement_half_life;
                // Equal to the level it may be before it falls below.
                let next = [level, level.saturating_add(1)].into_iter();
                let falls =
                    next.filter_map(|level| score.falls_below_milli(level, after.day(), half_life));
                falls.min().map(Day::start)
            }
            _ => None,
        }
    }
}

/// When both sides last spoke.
fn contact_at(view: &View<'_>) -> Option<Timestamp> {
    let interactions = view.customer.interactions.as_ref();
    let contact = interactions.map(|it| it.contact_at).filter(|at| *at != Timestamp::MIN);
    contact.max(view.facts.last_activity_at)
}
