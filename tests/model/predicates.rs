//! Rules in CEL mean what standard CEL means, and what time does to them is known beforehand.
//!
//! The oracle is the interpreter of the crate `cel`, over the numbers that the profile shows.
//! Next: `expressions.rs`, the rules and where they answer what standard CEL does not.

use crate::expressions::{self, Rule};
use crate::fixture::caused;
use crate::fixture::{config, rules};
use crate::order::{applied, context};
use crate::workload;
use cel::{Context as Scope, Program, Value};
use ebbflow::config::{FileText, from_sources};
use ebbflow::domain::apply::{Tally, apply, expire};
use ebbflow::domain::customer::Customer;
use ebbflow::domain::dimension::Dimension;
use ebbflow::domain::dimensions::view::View;
use ebbflow::domain::event::Event;
use ebbflow::domain::look_ahead::LookAhead;
use ebbflow::domain::names::Names;
use ebbflow::domain::predicate::Predicate;
use ebbflow::domain::predicate::quantity::Quantity;
use ebbflow::domain::publish::profile::{Profile, profile};
use ebbflow::domain::raw::measure;
use ebbflow::domain::rules::Rules;
use ebbflow::domain::time::{DAY_MS, Timestamp};
use proptest::prelude::*;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// Seasons by city, and thresholds that differ in summer and by tier.
const TABLES: &str = r#"
[season]
by = "city"
[season.months.seoul]
summer = "6-8"
winter = "12-2"
[season.months."*"]
summer = "12-2"
winter = "6-8"
"#;

const WHEN: &str = r#"
[[rules.when]]
if = 'season == "summer" && traits.tier != "seoul"'
gap.prior = "30d"
rfm.recency_days = [10, 20, 40, 80]
value_mode.window_least = "30d"
[[rules.when]]
if = 'traits.tier in ["seoul", "wien"]'
subscriptions.grace = "20d"
engagement.warm = 4
"#;

/// The rules with one audience.
fn with_audience(rule: &Rule, differ: bool) -> Rules {
    let when = if differ { WHEN } else { "" };
    let text = format!("{TABLES}{when}[audience.asked]\nrule = '''{}'''\n", rule.plain());
    let file = FileText { path: Path::new("test.toml"), text: &text };
    let loaded = match from_sources(Some(file), [], &[]) {
        Ok(loaded) => loaded.config.rules,
        Err(problems) => panic!("{text}\n{problems}"),
    };
    let mut rules = rules();
    rules.audiences.clone_from(&loaded.audiences);
    rules.seasons = loaded.seasons.clone();
    rules.when.clone_from(&loaded.when);
    rules.with_names(Names::default()).expect("few names")
}

fn predicate(rules: &Rules) -> &Predicate {
    &rules.audiences[0].predicate
}

fn holds(customer: &Customer, rules: &Rules, at: i64) -> bool {
    let at = Timestamp(at);
    predicate(rules).holds(&View::new(customer, rules, at), &measure(customer, rules, at))
}

/// The season where a customer lives.
fn season(city: Option<&str>, at: i64) -> &'static str {
    let zoned =
        jiff::Timestamp::from_millisecond(at).expect("a time").to_zoned(jiff::tz::TimeZone::UTC);
    match (zoned.month(), city == Some("seoul")) {
        (6..=8, true) | (12 | 1 | 2, false) => "summer",
        (6..=8, false) | (12 | 1 | 2, true) => "winter",
        _ => "",
    }
}

/// The numbers of a profile, by the names that rules have for them; what is unknown is left out.
fn numbers(profile: &Profile) -> HashMap<String, Value> {
    #[expect(clippy::unnecessary_wraps, reason = "beside those that may be unknown")]
    fn whole(number: impl TryInto<i64>) -> Option<Value> {
        Some(Value::Int(number.try_into().ok().expect("a small number")))
    }
    let Profile { facts, more, .. } = profile;
    let decimal = |number: Option<f64>| number.map(Value::Float);
    let numbers = [
        ("orders", whole(facts.orders)),
        ("net_minor", whole(facts.net_minor)),
        ("average_order_minor", facts.average_order_minor.and_then(whole)),
        ("net_365d_minor", whole(more.net_365d_minor)),
        ("financial_value_minor", whole(more.financial_value_minor)),
        ("marketing_cost_minor", whole(more.marketing_cost_minor)),
        ("service_cost_minor", whole(more.service_cost_minor)),
        ("acquisition_cost_minor", whole(more.acquisition_cost_minor)),
        ("touches_before_first_order", whole(more.touches_before_first_order)),
        ("running_subscriptions", whole(more.running_subscriptions)),
        ("recency_days", decimal(more.recency_days)),
        ("average_gap_days", decimal(facts.average_gap_days)),
        ("expected_gap_days", decimal(facts.expected_gap_days)),
        ("net_revenue_retention", decimal(more.net_revenue_retention)),
        ("attention_gap_days", decimal(more.attention_gap_days)),
        ("engagement_score", decimal(Some(more.engagement_score))),
        ("interactions", whole(more.interactions)),
        ("discount_dependence", decimal(more.discount_dependence)),
        ("meddic_sum", more.meddic_sum.and_then(whole)),
        ("accepted_referrals", whole(more.accepted_referrals)),
        ("referred_revenue_minor", whole(more.referred_revenue_minor)),
    ];
    assert_eq!(numbers.each_ref().map(|(name, _)| *name), Quantity::FACTS.map(|(name, _)| name));
    let known = numbers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    known.collect()
}

fn program(source: &str) -> Program {
    Program::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"))
}

/// What standard CEL says of a profile; `None` when it has no answer.
fn interpreted(program: &Program, profile: &Profile, rules: &Rules) -> Option<bool> {
    let mut scope = Scope::default();
    let map = |entries: HashMap<String, Value>| Value::from(entries);
    for dimension in &profile.dimensions {
        if !dimension.name.contains(':') {
            scope.add_variable_from_value(dimension.name.to_string(), dimension.raw.to_string());
        }
    }
    let surveys = profile
        .surveys
        .iter()
        .filter_map(|(name, facts)| Some(((*name).to_owned(), Value::Int(facts.last?.into()))));
    let traits = profile.traits.iter().filter(|(_, value)| !value.is_empty());
    let traits: HashMap<String, Value> =
        traits.map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let consent = profile.consent.iter().map(|(name, given)| (name.clone(), Value::Bool(*given)));
    let city = profile.traits.iter().find(|(name, _)| *name == rules.seasons.by);
    let season = season(city.map(|(_, value)| value.as_str()), profile.as_of.0);
    scope.add_variable_from_value("facts", map(numbers(profile)));
    scope.add_variable_from_value("surveys", map(surveys.collect()));
    scope.add_variable_from_value("traits", map(traits));
    scope.add_variable_from_value("consent", map(consent.collect()));
    scope.add_variable_from_value("season", season);
    for (name, text) in [
        ("preferred_category", &profile.more.preferred_category),
        ("preferred_channel", &profile.more.preferred_channel),
    ] {
        scope.add_variable_from_value(name, text.as_deref().unwrap_or(""));
    }
    match program.execute(&scope) {
        Ok(Value::Bool(holds)) => Some(holds),
        Ok(other) => panic!("{other:?} is no condition"),
        Err(_) => None,
    }
}

fn end_of(events: &[Event<'static>]) -> i64 {
    events.iter().map(|event| event.occurred_at.0).max().expect("events")
}

/// Days after which numbers of a customer who is silent cross what rules compare them with.
const LATER_DAYS: [i64; 12] = [0, 1, 7, 20, 30, 33, 60, 90, 180, 365, 540, 731];

/// The first instant up to `end` at which it holds no longer, or begins to; found in steps of
/// four days and at some instants of the naive model, and from there by bisection.
fn first_change(
    customer: &Customer,
    rules: &Rules,
    mut instants: Vec<i64>,
    (begin, end): (i64, i64),
) -> Option<i64> {
    let present = holds(customer, rules, begin);
    instants.retain(|at| *at > begin && *at <= end);
    let every = instants.len() / 60 + 1;
    let mut instants: Vec<i64> = instants.into_iter().step_by(every).collect();
    instants.extend((1..).map(|step| begin + step * 4 * DAY_MS).take_while(|at| *at < end));
    instants.extend([end - 1, end].into_iter().filter(|at| *at > begin));
    instants.sort_unstable();
    instants.dedup();
    let place = instants.iter().position(|at| holds(customer, rules, *at) != present)?;
    let mut changed = instants[place];
    let mut same = place.checked_sub(1).map_or(begin, |place| instants[place]);
    while changed - same > 1 {
        let middle = i64::midpoint(same, changed);
        if holds(customer, rules, middle) == present {
            same = middle;
        } else {
            changed = middle;
        }
    }
    Some(changed)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_rule_says_of_a_customer_what_standard_cel_says_of_the_profile(
        (events, rule) in (workload::history(1, 1..20, true), expressions::rule(&rules())),
        differ in any::<bool>(),
        off in prop_oneof![Just(0_i64), Just(-1), Just(1), 0..DAY_MS],
    ) {
        let rules = with_audience(&rule, differ);
        let source = rule.plain();
        let (plain, guarded) = (program(&source), program(&rule.guarded()));
        let customer = applied(&events, &rules, end_of(&events));
        for days in LATER_DAYS {
            let at = (customer.evaluated_at.0 + days * DAY_MS + off).max(customer.evaluated_at.0);
            let profile = profile(&customer, &rules, Timestamp(at));
            let ours = holds(&customer, &rules, at);
            let theirs = interpreted(&guarded, &profile, &rules);
            prop_assert_eq!(Some(ours), theirs, "{} after {}: {:#?}", source, days, profile);
            // Where standard CEL has an answer to the rule itself, it is the same.
            if let Some(theirs) = interpreted(&plain, &profile, &rules) {
                prop_assert_eq!(ours, theirs, "{} after {}: {:#?}", source, days, profile);
            }
        }
    }
}

proptest! {
    // Each case steps through years.
    #![proptest_config(ProptestConfig {
        cases: config().cases / 4, max_shrink_iters: 100, ..config()
    })]

    #[test]
    fn the_next_change_of_a_rule_is_the_first_instant_at_which_it_changes(
        (events, rule) in (workload::history(1, 1..14, true), expressions::rule(&rules())),
    ) {
        let rules = with_audience(&rule, false);
        let customer = applied(&events, &rules, end_of(&events));
        let begin = customer.evaluated_at;
        let view = View::new(&customer, &rules, begin);
        let present = measure(&customer, &rules, begin);
        let next = predicate(&rules).next_change(&mut LookAhead::new(&view), &present);
        let end = begin.0 + 500 * DAY_MS;
        let mut reference = crate::reference::Reference::default();
        reference.events.extend(events.iter().cloned());
        let instants = reference.known(&rules).instants();
        let present = holds(&customer, &rules, begin.0);
        match next {
            // Nothing but a look; what it looks at has not changed up to then.
            Some((at, same)) if same == present => {
                let change = first_change(&customer, &rules, instants, (begin.0, at.0.min(end)));
                prop_assert_eq!(change, None, "{} changes before {:?}", rule.plain(), at);
                prop_assert!(at > begin);
            }
            Some((at, _)) => {
                let change = first_change(&customer, &rules, instants, (begin.0, at.0.min(end)));
                prop_assert_eq!(change, Some(at.0).filter(|at| *at <= end), "{}", rule.plain());
            }
            None => {
                let change = first_change(&customer, &rules, instants, (begin.0, end));
                prop_assert_eq!(change, None, "{} never changes", rule.plain());
            }
        }
    }

    #[test]
    fn an_audience_follows_its_rule_through_events_and_time(
        (events, rule) in (workload::history(1, 1..14, true), expressions::rule(&rules())),
        differ in any::<bool>(),
        tail_days in 0..400_i64,
    ) {
        let rules = with_audience(&rule, differ);
        let audience = Dimension::Audience(rules.audiences[0].number);
        let mut customer = Customer::new("c-0", events[0].occurred_at, 1);
        let (mut tally, mut changes) = (Tally::default(), Vec::new());
        let mut clock = i64::MIN;
        let end = end_of(&events) + tail_days * DAY_MS;
        let mut told: BTreeSet<(i64, Option<String>, String)> = BTreeSet::new();
        for (place, at) in events.iter().map(|event| event.occurred_at.0).chain([end]).enumerate() {
            // In steps as far as the event, as a clock would come.
            let mut instants: Vec<i64> = Vec::new();
            if clock != i64::MIN {
                let days = (1..).map(|step| clock + step * 3 * DAY_MS);
                instants.extend(days.take_while(|then| *then < at));
            }
            instants.push(at);
            for then in instants {
                clock = clock.max(then);
                let context = context(&rules, clock);
                while customer.deadline.0 <= clock {
                    expire(&mut customer, &context, &mut tally, &mut changes);
                }
                let published = customer.published(audience).value == 1;
                prop_assert_eq!(published, place > 0 && holds(&customer, &rules, clock),
                    "{} at {}", rule.plain(), clock);
            }
            if let Some(event) = events.get(place) {
                let context = context(&rules, clock);
                let at = event.occurred_at;
                apply(&mut customer, event, &caused(event, at), None, &context, (&mut tally, &mut changes));
                // Of an event from before the clock, something may have become due since.
                while customer.deadline.0 <= clock {
                    expire(&mut customer, &context, &mut tally, &mut changes);
                }
                let published = customer.published(audience).value == 1;
                prop_assert_eq!(published, holds(&customer, &rules, clock),
                    "{} after {:?}", rule.plain(), event);
            }
        }
        for change in changes.iter().filter(|change| change.dimension.starts_with("audience:")) {
            let current = change.current.as_ref().expect("a value").to_string();
            // Events of one instant may bring a value more than once, each its own.
            let told_by = change.cause.event_id.clone();
            prop_assert!(told.insert((change.occurred_at.0, told_by, current)));
        }
    }
}
