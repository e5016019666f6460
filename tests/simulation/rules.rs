//! Small rules for the simulation: few levels and short gaps, so that customers move often.

use ebbflow::config::from_sources;
use ebbflow::domain::dimension;
use ebbflow::domain::dimensions::rfm_map::{MapValue, RfmMap};
use ebbflow::domain::money::{Currency, DatedRate, ExchangeRates};
use ebbflow::domain::names::Names;
use ebbflow::domain::rules::{EngagementRules, Monetary, RfmRules, Rules, RulesIdentity};
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
    let defaults = from_sources(None, [], &[]).expect("the defaults are valid").config.rules;
    let mut rules = Rules::clone(&defaults);
    rules.identity = RulesIdentity {
        set: "simulation".into(),
        revision: REVISION,
        hash: "0123456789abcdef".into(),
        fold_hash: "fedcba9876543210".into(),
    };
    rules.rates = ExchangeRates::new(currency("EUR"), vec![(currency("USD"), dollar)]);
    rules.thresholds.rfm = RfmRules {
        map: RfmMap::new("rf-3", 3, values).unwrap(),
        window_ms: Some(120 * DAY_MS),
        monetary: Monetary::Sum,
        recency_days: RECENCY_DAYS.to_vec(),
        frequency: vec![1, 3],
        monetary_minor: vec![2_000, 20_000],
    };
    rules.thresholds.gap.prior_days = 30;
    rules.thresholds.value_mode.window_days = [20, 60];
    rules.thresholds.engagement =
        EngagementRules { warm: 4, warm_leaves: 3, hot: 10, hot_leaves: 8 };
    rules.anti_flap[2].cool_down_ms = 5 * DAY_MS;
    rules.anti_flap[3].dwell_ms = 10 * DAY_MS;
    rules.output.dimensions = [true; dimension::COUNT];
    Arc::new(rules.with_names(Names::default()).expect("few names"))
}
