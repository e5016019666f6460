//! Rules and events with defaults, shared by the model tests.
//!
//! Decides nothing. Next: `reference.rs`, the naive model.

use ebbflow::config::from_sources;
use ebbflow::domain::change::Change;
use ebbflow::domain::dimension::{COUNT, Dimension};
use ebbflow::domain::dimensions::rfm_map::{MapValue, RfmMap};
use ebbflow::domain::event::{Body, Event, Interaction, Purchase, Survey, Term, VisitKind};
use ebbflow::domain::money::{Currency, DatedRate, ExchangeRates, Money};
use ebbflow::domain::name::Name;
use ebbflow::domain::names::Names;
use ebbflow::domain::progress::Phase;
use ebbflow::domain::publish::context::CauseEvent;
use ebbflow::domain::rules::{AntiFlap, Monetary, RfmRules, Rules};
use ebbflow::domain::time::{DAY_MS, Day, Timestamp};
use ebbflow::task::{EventRecord, PartitionTask, TaskConfig};
use proptest::prelude::ProptestConfig;
use proptest::test_runner::FileFailurePersistence;
use std::sync::Arc;

/// Noon of 2024-01-01.
pub(crate) const T0: i64 = 19_723 * DAY_MS + DAY_MS / 2;

pub(crate) const RF_10: [(&str, i32, &[&str]); 10] = [
    ("champions", 10, &["5[45]"]),
    ("loyal", 9, &["[34][45]"]),
    ("potential_loyalist", 8, &["[45][23]"]),
    ("new_customer", 7, &["51"]),
    ("promising", 6, &["41"]),
    ("need_attention", 5, &["33"]),
    ("about_to_sleep", 4, &["3[12]"]),
    ("cannot_lose", 3, &["[12]5"]),
    ("at_risk", 2, &["[12][34]"]),
    ("hibernating", 1, &["[12][12]"]),
];

pub(crate) const KLAVIYO_6: [(&str, i32, &[&str]); 6] = [
    ("champions", 6, &["333", "332", "323"]),
    ("loyal", 5, &["321", "322", "331", "232", "233"]),
    ("recent", 4, &["312", "313", "311", "222", "223"]),
    ("needs_attention", 3, &["213", "221", "123", "132", "133"]),
    ("at_risk", 2, &["231", "212", "122", "131", "211"]),
    ("inactive", 1, &["111", "112", "113", "121"]),
];

pub(crate) fn map(name: &str, levels: u8, values: &[(&str, i32, &[&str])]) -> RfmMap {
    let values = values
        .iter()
        .map(|(name, rank, cells)| MapValue {
            name: (*name).to_owned().into(),
            rank: *rank,
            cells: cells.iter().map(|cell| (*cell).to_owned()).collect(),
        })
        .collect();
    RfmMap::new(name, levels, values).expect("a total map")
}

/// The defaults of the contract.
pub(crate) fn rules() -> Rules {
    let rate = |from, nano_base| DatedRate { from: Day(from), nano_base };
    let defaults = from_sources(None, [], &[]).expect("the defaults are valid").config.rules;
    let mut rules = Rules::clone(&defaults);
    rules.rates = ExchangeRates::new(
        currency("EUR"),
        vec![
            (currency("USD"), vec![rate(0, 911_000_000), rate(19_753, 1_090_000_001)]),
            (currency("JPY"), vec![rate(19_700, 6_123_000)]),
        ],
    );
    rules.thresholds.rfm.map = map("rf-10", 5, &RF_10);
    rules.fold.service_cost_per_minute_minor = 50;
    rules.fold.touch_cost_minor = vec![("email".to_owned(), 1), ("letter".to_owned(), 120)];
    rules.thresholds.perceived.benefit_weights = vec![("quality".to_owned(), 3)];
    rules.with_names(Names::default()).expect("few names")
}

/// Three levels in which M decides, its average, and a window short enough to matter; everything is
/// written, and some dimensions stay for a while in the value they have.
pub(crate) fn klaviyo_rules() -> Rules {
    let mut rules = rules();
    rules.thresholds.rfm = RfmRules {
        map: map("klaviyo-6", 3, &KLAVIYO_6),
        window_ms: Some(60 * DAY_MS),
        monetary: Monetary::Average,
        recency_days: vec![20, 20],
        frequency: vec![1, 2],
        monetary_minor: vec![1_000, 3_000],
    };
    rules.output.dimensions = [true; COUNT];
    for (dimension, dwell_days, cool_down_days) in [
        (Dimension::Rfm, 5, 0),
        (Dimension::Lifecycle, 0, 20),
        (Dimension::Activity, 10, 30),
        (Dimension::ValueTier, 1, 0),
        (Dimension::Satisfaction, 0, 2),
    ] {
        rules.anti_flap[place(dimension)] =
            AntiFlap { dwell_ms: dwell_days * DAY_MS, cool_down_ms: cool_down_days * DAY_MS };
    }
    rules.with_names(Names::default()).expect("few names")
}

/// Where what is kept of a dimension stands in arrays.
pub(crate) fn place(dimension: Dimension) -> usize {
    Dimension::BUILT_IN.into_iter().position(|it| it == dimension).expect("no audience")
}

pub(crate) fn currency(code: &str) -> Currency {
    Currency::parse(code).expect("a code")
}

pub(crate) fn eur(amount_minor: i64) -> Money {
    Money { amount_minor, currency: currency("EUR") }
}

pub(crate) fn day(days: i64) -> Timestamp {
    Timestamp(T0 + days * DAY_MS)
}

pub(crate) fn event(
    id: &str,
    customer: &str,
    at: Timestamp,
    body: Body<'static>,
) -> Event<'static> {
    Event {
        event_id: id.to_owned().into(),
        customer_id: Some(customer.to_owned().into()),
        anonymous_id: None,
        account_id: None,
        occurred_at: at,
        source: None,
        body,
    }
}

pub(crate) fn ordered(order: &str, amount: Money) -> Body<'static> {
    Body::Purchase(Purchase::OrderCompleted {
        order_id: order.to_owned().into(),
        amount,
        channel: None,
        coupon: None,
        items: Vec::new(),
    })
}

pub(crate) fn updated(order: &str, amount: Money) -> Body<'static> {
    Body::Purchase(Purchase::OrderUpdated { order_id: order.to_owned().into(), amount })
}

pub(crate) fn cancelled(order: &str) -> Body<'static> {
    Body::Purchase(Purchase::OrderCancelled { order_id: order.to_owned().into() })
}

pub(crate) fn refunded(order: &str, refund: &str, amount: Option<Money>) -> Body<'static> {
    Body::Purchase(Purchase::OrderRefunded {
        order_id: order.to_owned().into(),
        refund_id: refund.to_owned().into(),
        amount,
    })
}

pub(crate) fn term(
    subscription: &str,
    order: Option<&str>,
    amount: Option<Money>,
    term_days: Option<u32>,
) -> Term<'static> {
    Term {
        subscription_id: subscription.to_owned().into(),
        order_id: order.map(|order| order.to_owned().into()),
        plan: None,
        amount,
        term_days,
    }
}

pub(crate) fn started(term: Term<'static>) -> Body<'static> {
    Body::Purchase(Purchase::SubscriptionStarted(term))
}

pub(crate) fn renewed(term: Term<'static>) -> Body<'static> {
    Body::Purchase(Purchase::SubscriptionRenewed(term))
}

pub(crate) fn visited(kind: VisitKind) -> Body<'static> {
    Body::Interaction(Interaction::Visit { kind, sku: None, category: None, channel: None })
}

pub(crate) fn nps(score: u8) -> Body<'static> {
    Body::Interaction(Interaction::SurveyAnswered {
        survey: Survey::Nps,
        score: Some(score),
        reason: None,
    })
}

pub(crate) fn reviewed(score: u8) -> Body<'static> {
    Body::Interaction(Interaction::ProductReviewed { score, sku: None })
}

/// The event as the cause of what it brings about, at an effective time.
pub(crate) fn caused<'a>(event: &'a Event<'_>, at: Timestamp) -> CauseEvent<'a> {
    static TOPIC: Name = Name::BuiltIn("t");
    CauseEvent::of(event, at, (&TOPIC, 0, 0))
}

/// A task of the only partition.
pub(crate) fn task(rules: &Arc<Rules>) -> PartitionTask {
    let config = TaskConfig {
        application_id: "test".into(),
        partition: 0,
        partitions: 1,
        rules: Arc::clone(rules),
        keys_are_trusted: true,
        profiles_on_touch: false,
        run_id: "run".into(),
        rebuilt_at: Timestamp::MIN,
    };
    PartitionTask::new(config, 0, Phase::Live)
}

/// Moves the clock and fires everything that is due.
pub(crate) fn advance(task: &mut PartitionTask, clock: Timestamp) {
    task.advance_to(clock);
    while task.fire_timers(7, None).expect("readable states") > 0 {}
}

/// Moves the clock to the event, fires what is due, applies the event, fires what became due.
pub(crate) fn feed(task: &mut PartitionTask, event: &Event<'_>, offset: i64) {
    let at = event.occurred_at;
    advance(task, at);
    let record =
        EventRecord { input: 1, topic: &"purchases".into(), offset, event, at, value: &[] };
    task.handle_event(&record, None).expect("an event of this partition");
    let clock = task.clock();
    advance(task, clock);
}

/// The task's changes since the last call.
pub(crate) fn taken(task: &mut PartitionTask) -> Vec<Change> {
    task.take_changes().collect()
}

/// The default of proptest; failing cases are kept beside the test's source.
pub(crate) fn config() -> ProptestConfig {
    let kept = FileFailurePersistence::WithSource("regressions");
    ProptestConfig { failure_persistence: Some(Box::new(kept)), ..ProptestConfig::default() }
}
