//! Arrival order does not matter: facts and raw values are a function of the set of events.

use crate::facts::NaiveFacts;
use crate::fixture::caused;
use crate::fixture::place;
use crate::fixture::{T0, config, day, eur, event, klaviyo_rules, renewed, rules, term};
use crate::known::Values;
use crate::reference::Reference;
use crate::workload;
use ebbflow::domain::apply::{Tally, apply};
use ebbflow::domain::customer::Customer;
use ebbflow::domain::dimension::Dimension;
use ebbflow::domain::dimensions::view::View;
use ebbflow::domain::event::Event;
use ebbflow::domain::look_ahead::LookAhead;
use ebbflow::domain::publish::context::Context;
use ebbflow::domain::publish::profile::{Profile, profile};
use ebbflow::domain::raw::measure;
use ebbflow::domain::rules::Rules;
use ebbflow::domain::subject::Subject;
use ebbflow::domain::time::{DAY_MS, Timestamp};
use proptest::prelude::*;

pub(crate) fn context(rules: &Rules, clock: i64) -> Context<'_> {
    Context {
        rules,
        application_id: "test",
        lineage: 0,
        clock: Timestamp(clock),
        now: None,
        silent: false,
        run_id: None,
        rebuilt_at: Timestamp::MIN,
    }
}

/// Applies events in their order, with the clock at `clock` all the time.
pub(crate) fn applied(events: &[Event<'static>], rules: &Rules, clock: i64) -> Customer {
    let context = context(rules, clock);
    let mut customer = Customer::new("c-0", events[0].occurred_at, 1);
    let (mut tally, mut changes) = (Tally::default(), Vec::new());
    for event in events {
        let at = event.occurred_at;
        apply(&mut customer, event, &caused(event, at), None, &context, (&mut tally, &mut changes));
    }
    customer
}

/// Raw values and facts as the code has them.
pub(crate) fn computed(customer: &Customer, rules: &Rules, at: i64) -> (Values, NaiveFacts) {
    let measured = measure(customer, rules, Timestamp(at));
    let mut dimensions = Dimension::all_of(Subject::Customer);
    let values = std::array::from_fn(|_| {
        let dimension = dimensions.next().expect("as many as the model has");
        dimension.value_name(measured.value(dimension), rules).to_string()
    });
    let Profile { facts: written, more, surveys, traits, consent, scores, .. } =
        profile(customer, rules, Timestamp(at));
    let surveys = surveys
        .into_iter()
        .map(|(name, told)| (name.to_owned(), (told.last, told.mean, told.count, told.reasons)));
    let perceived = more.perceived_value;
    let facts = NaiveFacts {
        orders: written.orders,
        net_minor: written.net_minor,
        first_order_at: written.first_order_at.map(|at| at.0),
        last_order_at: written.last_order_at.map(|at| at.0),
        average_gap_days: written.average_gap_days,
        expected_gap_days: written.expected_gap_days,
        scores: scores.map(|s| (s.r, s.f, s.m, s.frequency, s.monetary_minor)),
        net_365d_minor: more.net_365d_minor,
        costs_minor: [
            more.marketing_cost_minor,
            more.service_cost_minor,
            more.acquisition_cost_minor,
        ],
        financial_value_minor: more.financial_value_minor,
        touches_before_first_order: more.touches_before_first_order,
        net_revenue_retention: more.net_revenue_retention,
        perceived_value: perceived.map(|it| [it.benefit, it.cost, it.ratio, it.difference]),
        against_alternative: perceived.and_then(|it| it.against_alternative),
        attention_gap_days: more.attention_gap_days,
        engagement_score: more.engagement_score,
        interactions: more.interactions,
        discount_dependence: more.discount_dependence,
        preferred: [more.preferred_category, more.preferred_channel],
        meddic_sum: more.meddic_sum,
        surveys: surveys.collect(),
        traits: traits.into_iter().collect(),
        consent: consent.into_iter().collect(),
    };
    (values, facts)
}

/// The naive model of events in their order of arrival, each once.
pub(crate) fn arrived(arrivals: &[Event<'static>]) -> Reference {
    let mut reference = Reference::default();
    for event in arrivals {
        if reference.events.iter().all(|known| known.event_id != event.event_id) {
            reference.events.push(event.clone());
        }
    }
    reference
}

/// A renewal dated ahead of its record is held at that record's time, and so falls on another day
/// when the record is sent again.
#[test]
fn a_term_that_is_sent_again_counts_once_whatever_its_effective_time() {
    let rules = rules();
    let context = context(&rules, T0);
    let renewal = event("e-1", "c-0", day(2), renewed(term("s-1", None, Some(eur(100)), Some(30))));
    let mut customer = Customer::new("c-0", day(0), 1);
    let (mut tally, mut changes) = (Tally::default(), Vec::new());
    let mut take = |at| {
        apply(
            &mut customer,
            &renewal,
            &caused(&renewal, at),
            None,
            &context,
            (&mut tally, &mut changes),
        )
    };
    assert!(take(day(1).plus_ms(-60_000)).changed);
    assert!(!take(day(1).plus_ms(60_000)).changed);
    assert_eq!(tally.duplicates, 1);
    assert_eq!(customer.book.orders.len(), 1);
}

fn after_all(events: &[Event<'_>]) -> i64 {
    events.iter().map(|event| event.occurred_at.0).max().unwrap_or(T0)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_permutation_with_duplicates_ends_like_the_naive_model(
        (events, arrivals) in workload::shuffled(1..26),
        later in prop_oneof![Just(0), 0..400 * DAY_MS],
        other_map in any::<bool>(),
    ) {
        let rules = if other_map { klaviyo_rules() } else { rules() };
        let clock = after_all(&events) + later;
        let customer = applied(&arrivals, &rules, clock);
        prop_assert_eq!(computed(&customer, &rules, clock), arrived(&arrivals).raw(&rules, clock));
    }

    #[test]
    fn raw_values_are_constant_until_the_next_change_and_change_at_it(
        (events, arrivals) in workload::shuffled(1..20),
        other_map in any::<bool>(),
        skipped in 0..1_000_usize,
    ) {
        let rules = if other_map { klaviyo_rules() } else { rules() };
        let clock = after_all(&events);
        let customer = applied(&arrivals, &rules, clock);
        let reference = arrived(&arrivals);
        let known = reference.known(&rules);
        let begin = customer.evaluated_at.0;
        let end = begin + 4_000 * DAY_MS;
        let view = View::new(&customer, &rules, Timestamp(begin));
        let present = measure(&customer, &rules, Timestamp(begin));
        let values = known.values(begin);
        let hysteresis = known.engagement(begin, dimension_name(&customer, &rules));
        for dimension in Dimension::all_of(Subject::Customer) {
            let published = customer.published(dimension).value;
            let target = present.target(&view, dimension, published);
            let next = LookAhead::new(&view).next_target(dimension, &present, published);
            let deadline = next.map_or(i64::MAX, |(at, _)| at.0);
            let of = |at: i64| match dimension {
                Dimension::Engagement => {
                    known.engagement(at, dimension_name(&customer, &rules)).to_owned()
                }
                _ => known.value(place(dimension), at),
            };
            let now = match dimension {
                Dimension::Engagement => hysteresis,
                _ => &values[place(dimension)],
            };
            let name = |value: u8| dimension.value_name(value, &rules).to_string();
            prop_assert_eq!(name(target), now);
            let mut instants = known.instants();
            instants.retain(|at| *at > begin && *at < deadline.min(end));
            let every = instants.len() / 60 + 1;
            let some = instants.into_iter().skip(skipped % every).step_by(every);
            for at in some.chain([deadline.min(end) - 1]) {
                prop_assert_eq!(&of(at), now, "{:?} at {} before {}", dimension, at, deadline);
            }
            if let Some((at, value)) = next {
                prop_assert_eq!(of(at.0), name(value), "{:?} at {:?}", dimension, at);
                prop_assert_ne!(of(at.0), now, "{:?} at {:?}", dimension, at);
            }
        }
        let deadline = customer.deadline;
        prop_assert!(deadline > customer.evaluated_at);
    }
}

fn dimension_name(customer: &Customer, rules: &Rules) -> &'static str {
    let published = customer.published(Dimension::Engagement).value;
    let name = Dimension::Engagement.value_name(published, rules);
    ["none", "cold", "warm", "hot"].into_iter().find(|it| *name == **it).expect("a band")
}
