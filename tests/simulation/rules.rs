//! Small rules for the simulation: few levels and short gaps, so that customers move often.

use ebbflow::domain::dimensions::rfm_map::{MapValue, RfmMap};
use ebbflow::domain::money::{Currency, DatedRate, ExchangeRates};
use ebbflow::domain::rules::{
    GapRules, LifecycleRules, Monetary, OutputRules, RfmRules, Rules, RulesIdentity,
};
use ebbflow::domain::time::{DAY_MS, Day};
use std::sync::Arc;

pub(crate) const REVISION: u32 = 1;
/// Edges of R in days.
pub(crate) const RECENCY_DAYS: [i64; 2] = [20, 60];

fn map_value(name: &'static str, rank: i32, cells: &[&str]) -> MapValue {
    let cells = cells.iter().map(|cell| (*cell).to_owned()).collect();
    MapValue { name: name.into(), rank, cells }
}

pub(crate) fn rules() -> Arc<Rules> {
    let values = vec![
        map_value("champions", 4, &["3[23]"]),
        map_value("new", 3, &["31"]),
        map_value("at_risk", 2, &["2[123]"]),
        map_value("lost", 1, &["1[123]"]),
    ];
    let currency = |code| Currency::parse(code).unwrap();
    let dollar = vec![DatedRate { from: Day(0), nano_base: 920_000_000 }];
    Arc::new(Rules {
        identity: RulesIdentity {
            set: "simulation".into(),
            revision: REVISION,
            hash: "0123456789abcdef".into(),
        },
        rates: ExchangeRates::new(currency("EUR"), vec![(currency("USD"), dollar)]),
        rfm: RfmRules {
            map: RfmMap::new("rf-3", 3, values).unwrap(),
            window_ms: Some(120 * DAY_MS),
            monetary: Monetary::Sum,
            recency_days: RECENCY_DAYS.to_vec(),
            frequency: vec![1, 3],
            monetary_minor: vec![2_000, 20_000],
        },
        gap: GapRules { prior_days: 30, prior_weight: 2, subscription_grace_ms: 3 * DAY_MS },
        lifecycle: LifecycleRules {
            live_gaps: 2,
            retention_orders: 2,
            consideration_ms: 30 * DAY_MS,
            referral_ms: 365 * DAY_MS,
            promoter_ms: 180 * DAY_MS,
            review_ms: 90 * DAY_MS,
            review_orders: 2,
        },
        roles: ["marketing", "marketing", "sales", "success", "success", "marketing"]
            .map(Into::into),
        output: OutputRules { act_within_ms: DAY_MS, rfm: true, lifecycle: true },
    })
}
