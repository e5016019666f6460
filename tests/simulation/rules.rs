//! Small rules for the simulation: few levels and short gaps, so that customers move often.
//!
//! In three revisions that judge differently, each with and without a purpose that is withheld.
//! Next: `workload.rs`, whom they judge.

use ebbflow::config::{FileText, from_sources};
use ebbflow::domain::dimension;
use ebbflow::domain::dimensions::rfm_map::{MapValue, RfmMap};
use ebbflow::domain::money::{Currency, DatedRate, ExchangeRates};
use ebbflow::domain::name::Name;
use ebbflow::domain::names::Names;
use ebbflow::domain::progress::Progress;
use ebbflow::domain::publish::consent::ConsentPolicy;
use ebbflow::domain::rules::{EngagementRules, Monetary, RfmRules, Rules, RulesIdentity};
use ebbflow::domain::subject::Subject;
use ebbflow::domain::time::{DAY_MS, Day};
use std::path::Path;
use std::sync::{Arc, LazyLock};

pub(crate) const REVISION: u32 = 1;
/// The last revision.
pub(crate) const LAST: u32 = 3;
/// Edges of R in days.
pub(crate) const RECENCY_DAYS: [i64; 2] = [20, 60];
/// How long events of somebody erased are dropped.
pub(crate) const ERASE_KEEP_MS: i64 = 4 * DAY_MS;

const FOR_ALL: &str = r#"
    [holdout]
    percent = 20
    dimensions = { lifecycle = 50 }
    [consent.purposes]
    value_mode = "profiling"
    satisfaction = "profiling"
    [audience.silent]
    rule = 'facts.recency_days > 10 && facts.recency_days <= 45'
    purpose = "marketing:email"
    holdout = 70
    [season]
    by = "region"
    [season.months."*"]
    summer = "2-9"
    winter = "10-1"
    [[rules.when]]
    if = 'traits.contract == "yearly"'
    gap.prior = "60d"
"#;

/// By revision: an audience that goes, one that comes, one that asks for something else.
const AUDIENCES: [&str; 3] = [
    r#"[audience.north]
       rule = 'traits.region == "north" && facts.net_minor >= 500'
       [audience.loyal]
       rule = 'lifecycle == "retention" || lifecycle == "advocacy" || engagement == "hot"'
       dwell = "2d"
    "#,
    r#"[audience.north]
       rule = 'traits.region == "north" && facts.net_minor >= 5000'
       [audience.asking]
       rule = 'facts.interactions >= 3 && facts.attention_gap_days <= 5 && season == "summer"'
    "#,
    r#"[audience.loyal]
       rule = 'lifecycle == "retention" && consent["marketing:email"]'
       [audience.asking]
       rule = 'qualification != "none" || facts.marketing_cost_minor > 300'
       cool_down = "3d"
    "#,
];

static RULES: LazyLock<Vec<Arc<Rules>>> = LazyLock::new(|| {
    (REVISION..=LAST).flat_map(|revision| [false, true].map(|it| made(revision, it))).collect()
});

/// The rules of a revision, for a task that begins.
pub(crate) fn rules(revision: u32, withholds: bool) -> Arc<Rules> {
    let place = (revision - REVISION) * 2 + u32::from(withholds);
    RULES[usize::try_from(place).unwrap()].clone()
}

/// Rules of runs in which facts cross partitions: raw values are told at once. Marks and visitors
/// last, and no day's interactions are too many to be scored.
pub(crate) fn crossing(tells_of_visitors: bool) -> Arc<Rules> {
    let mut rules = Rules::clone(&rules(REVISION, false));
    rules.audiences.clear();
    rules.when.clear();
    rules.anti_flap = Default::default();
    rules.fold.daily_cap = 1_000;
    rules.erase_keep_ms = 1_000 * DAY_MS;
    rules.keep_visitors_ms = 1_000 * DAY_MS;
    rules.output.subjects[Subject::Visitor as usize] = tells_of_visitors;
    Arc::new(rules)
}

/// Whether rules withhold what nobody has permitted.
pub(crate) fn withhold(rules: &Rules) -> bool {
    rules.consent.policies.iter().any(|(_, policy)| *policy == ConsentPolicy::Withhold)
}

/// The rules that a task had when it wrote its progress, numbers of names included.
pub(crate) fn of(progress: &Progress, withholds: bool) -> Arc<Rules> {
    let names = |names: &[String]| names.iter().cloned().map(Name::from).collect();
    let known = Names::of(names(&progress.rfm_values), names(&progress.audiences));
    let rules = Rules::clone(&rules(progress.rules_revision, withholds));
    Arc::new(rules.with_names(known).expect("few names"))
}

fn map_value(name: &'static str, rank: i32, cells: &[&str]) -> MapValue {
    let cells = cells.iter().map(|cell| (*cell).to_owned()).collect();
    MapValue { name: name.into(), rank, cells }
}

fn made(revision: u32, withholds: bool) -> Arc<Rules> {
    let second = revision == 2;
    let values = vec![
        map_value(if second { "gold" } else { "champions" }, 4, &["3[23]"]),
        map_value("new", 3, &["31"]),
        map_value("at_risk", 2, &["2[123]"]),
        map_value(if revision == 3 { "gone" } else { "lost" }, 1, &["1[123]"]),
    ];
    let currency = |code| Currency::parse(code).unwrap();
    let dollar = vec![DatedRate { from: Day(0), nano_base: 920_000_000 }];
    let policies = if withholds {
        "[consent.policies]\nprofiling = \"withhold\"\n\"marketing:email\" = \"withhold\"\n"
    } else {
        ""
    };
    let audiences = AUDIENCES[usize::try_from(revision - REVISION).unwrap()];
    let text = format!("{FOR_ALL}{audiences}{policies}");
    let file = FileText { path: Path::new("simulation.toml"), text: &text };
    let loaded = from_sources(Some(file), [], &[]).expect("rules that are valid").config.rules;
    let mut rules = Rules::clone(&loaded);
    rules.identity = RulesIdentity {
        set: "simulation".into(),
        revision,
        hash: format!("{revision:016x}").into(),
        fold_hash: "fedcba9876543210".into(),
    };
    rules.rates = ExchangeRates::new(currency("EUR"), vec![(currency("USD"), dollar)]);
    rules.thresholds.rfm = RfmRules {
        map: RfmMap::new("rf-3", 3, values).unwrap(),
        window_ms: Some(120 * DAY_MS),
        monetary: if second { Monetary::Average } else { Monetary::Sum },
        recency_days: if second { vec![8, 90] } else { RECENCY_DAYS.to_vec() },
        frequency: vec![1, 3],
        monetary_minor: vec![2_000, 20_000],
    };
    rules.thresholds.gap.prior_days = if second { 20 } else { 30 };
    rules.thresholds.value_mode.window_days = [20, 60];
    rules.thresholds.value_tier_minor =
        if second { [500, 1_000, 5_000] } else { [1_000, 10_000, 50_000] };
    rules.thresholds.engagement =
        EngagementRules { warm: 4, warm_leaves: 3, hot: 10, hot_leaves: 8 };
    rules.thresholds.satisfaction_ms = if revision == 3 { 10 * DAY_MS } else { 40 * DAY_MS };
    let prior_days = 60;
    for when in &mut rules.when {
        when.thresholds = rules.thresholds.clone();
        when.thresholds.gap.prior_days = prior_days;
    }
    rules.anti_flap[2].cool_down_ms = 5 * DAY_MS;
    rules.anti_flap[3].dwell_ms = 10 * DAY_MS;
    rules.output.dimensions = [true; dimension::COUNT];
    rules.erase_keep_ms = ERASE_KEEP_MS;
    Arc::new(rules.with_names(Names::default()).expect("few names"))
}
