//! One event of a customer in whom all dimensions are in use, with ten audiences, and what each
//! dimension takes of it: to measure all, and to look ahead.
//!
//! Compare the lines of one run with each other; next: `task.rs`, a whole task.

#![allow(clippy::print_stderr, reason = "figures for people")]

use criterion::{Criterion, criterion_group, criterion_main};
use ebbflow::config::{Config, FileText, from_sources};
use ebbflow::domain::apply::{Tally, apply};
use ebbflow::domain::customer::Customer;
use ebbflow::domain::dimension::Dimension;
use ebbflow::domain::dimensions::view::View;
use ebbflow::domain::event::{
    Body, CostKind, Event, Interaction, Item, MeddicElement, MessageKind, Purchase, Qualification,
    Survey, Term, VisitKind,
};
use ebbflow::domain::look_ahead::LookAhead;
use ebbflow::domain::money::{Currency, Money};
use ebbflow::domain::publish::context::{CauseEvent, Context};
use ebbflow::domain::raw::Measured;
use ebbflow::domain::time::{DAY_MS, Timestamp};
use std::hint::black_box;
use std::path::Path;

const START: Timestamp = Timestamp(1_767_225_600_000);

/// What marketing asks for: values, facts, traits, consent, and time.
const AUDIENCES: [&str; 10] = [
    "lifecycle == 'lapsed' && facts.orders >= 2",
    "value_mode == 'contracting' && satisfaction == 'detractor'",
    "activity in ['at_risk', 'lapsed'] && consent['marketing:email']",
    "facts.net_minor > 100000",
    "facts.recency_days > 45",
    "traits.country == 'AT' && engagement == 'hot'",
    "surveys.nps >= 9",
    "rfm == 'champions' || value_tier == 'high'",
    "facts.orders == 1",
    "facts.financial_value_minor < 0",
];

fn config() -> Config {
    let rules = AUDIENCES.iter().enumerate();
    let text = rules.map(|(n, rule)| format!("[audience.a{n}]\nrule = \"{rule}\"\n"));
    let text: String = text.collect();
    let file = FileText { path: Path::new("bench.toml"), text: &text };
    from_sources(Some(file), [], &[]).expect("valid rules").config
}

fn eur(amount_minor: i64) -> Money {
    Money { amount_minor, currency: Currency::parse("EUR").expect("a code") }
}

fn visit(kind: VisitKind) -> Body<'static> {
    let (category, channel) = (Some("shoes".into()), Some("web".into()));
    Body::Interaction(Interaction::Visit { kind, sku: None, category, channel })
}

fn order(n: usize) -> Body<'static> {
    let category = Some(["shoes", "bags", "hats"][n % 3].into());
    Body::Purchase(Purchase::OrderCompleted {
        order_id: format!("order-{n}").into(),
        amount: eur(4_000),
        channel: Some("web".into()),
        coupon: None,
        items: vec![Item { sku: None, category, quantity: None, amount_minor: None }],
    })
}

/// Ten orders a month apart, and of every other kind at least one.
fn life() -> Vec<(i64, Body<'static>)> {
    let said = Body::Interaction;
    let survey = |survey, score| {
        let reason = Some("quick and kind service".into());
        said(Interaction::SurveyAnswered { survey, score: Some(score), reason })
    };
    let mut life: Vec<(i64, Body<'static>)> =
        (0..10).map(|n| (30 * i64::try_from(n).expect("few"), order(n))).collect();
    let traits = [("country", "AT"), ("language", "de")];
    let traits = traits.map(|(name, value)| (name.into(), value.into())).into();
    let purposes = vec![("marketing:email".into(), true)];
    let (campaign, channel) = (None, Some("email".into()));
    life.extend([
        (271, survey(Survey::Nps, 9)),
        (271, survey(Survey::Csat, 4)),
        (272, said(Interaction::ProfileUpdated { traits })),
        (272, said(Interaction::ConsentChanged { purposes })),
        (273, said(Interaction::CostRecorded { cost: CostKind::Marketing, amount: eur(250) })),
        (273, said(Interaction::Message { kind: MessageKind::Sent, campaign, channel })),
    ]);
    for element in [MeddicElement::Champion, MeddicElement::IdentifyPain] {
        let evidence = Some("met in person".into());
        let update = Qualification::Element { element, score: 3, evidence };
        life.push((274, said(Interaction::QualificationUpdated(update))));
    }
    let visits = [VisitKind::ProductViewed, VisitKind::PageViewed, VisitKind::ProductAdded];
    life.extend((0..6).map(|n| (275 + n / 2, visit(visits[usize::try_from(n % 3).expect("few")]))));
    life
}

/// A plan for a year, paid three times.
fn subscribed() -> Vec<(i64, Body<'static>)> {
    let term = |n: i64| {
        let term = Term {
            subscription_id: "s".into(),
            plan: Some("yearly".into()),
            amount: Some(eur(120_000)),
            term_days: Some(365),
            order_id: None,
        };
        Body::Purchase(match n {
            0 => Purchase::SubscriptionStarted(term),
            _ => Purchase::SubscriptionRenewed(term),
        })
    };
    (0..3).map(|n| (365 * n, term(n))).collect()
}

struct Bench {
    config: Config,
}

impl Bench {
    fn apply(&self, customer: &mut Customer, id: &str, at: Timestamp, body: Body<'_>) -> usize {
        let context = Context {
            rules: &self.config.rules,
            application_id: "bench",
            lineage: 1,
            clock: at,
            now: Some(at),
            silent: false,
            run_id: None,
            rebuilt_at: Timestamp::MIN,
        };
        let event = Event {
            event_id: id.into(),
            customer_id: Some("c".into()),
            anonymous_id: None,
            account_id: None,
            occurred_at: at,
            source: None,
            body,
        };
        let (mut tally, mut changes) = (Tally::default(), Vec::new());
        let topic = "interactions".into();
        let origin = (&topic, 0, 0);
        black_box(apply(
            customer,
            &event,
            &CauseEvent::of(&event, at, origin),
            None,
            &context,
            (&mut tally, &mut changes),
        ));
        changes.len()
    }

    fn lived(&self, life: Vec<(i64, Body<'static>)>) -> (Customer, Timestamp) {
        let mut customer = Customer::new("c", START, 1);
        let mut at = START;
        for (n, (day, body)) in life.into_iter().enumerate() {
            at = START.plus_ms(day * DAY_MS + i64::try_from(n).expect("few"));
            self.apply(&mut customer, &format!("e{n}"), at, body);
        }
        (customer, at)
    }
}

fn dimensions(criterion: &mut Criterion) {
    let bench = Bench { config: config() };
    let rules = &bench.config.rules;
    for (name, life) in [("whole", life()), ("subscriber", subscribed())] {
        let (customer, at) = bench.lived(life);
        let at = at.plus_ms(DAY_MS / 2);
        let mut group = criterion.benchmark_group(name);
        let next = [("view", visit(VisitKind::ProductViewed)), ("order", order(99))];
        for (kind, body) in next {
            group.bench_function(format!("event/{kind}"), |bencher| {
                bencher.iter_batched_ref(
                    || (customer.clone(), body.clone()),
                    |(customer, body)| {
                        let body = std::mem::replace(body, visit(VisitKind::PageViewed));
                        black_box(bench.apply(customer, "next", at, body))
                    },
                    criterion::BatchSize::SmallInput,
                );
            });
        }
        group.bench_function("view", |bencher| {
            bencher.iter(|| black_box(View::new(black_box(&customer), rules, at)));
        });
        let view = View::new(&customer, rules, at);
        group.bench_function("measure", |bencher| {
            bencher.iter(|| black_box(Measured::of(black_box(&view), at)));
        });
        let measured = Measured::of(&view, at);
        let audiences = (0..AUDIENCES.len()).map(|n| u8::try_from(n).expect("few"));
        let all = Dimension::BUILT_IN.into_iter().chain(audiences.map(Dimension::Audience));
        for dimension in all {
            let target = measured.target(&view, dimension, customer.published(dimension).value);
            let label = match dimension {
                Dimension::Audience(number) => AUDIENCES[usize::from(number)].to_owned(),
                built_in => built_in.name(rules).to_string(),
            };
            group.bench_function(format!("ahead/{label}"), |bencher| {
                bencher.iter(|| {
                    let mut ahead = LookAhead::new(black_box(&view));
                    black_box(ahead.next_target(dimension, &measured, target))
                });
            });
            if matches!(dimension, Dimension::Audience(_)) {
                group.bench_function(format!("rule/{label}"), |bencher| {
                    bencher
                        .iter(|| black_box(measured.target(black_box(&view), dimension, target)));
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, dimensions);
criterion_main!(benches);
