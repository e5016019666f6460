//! Visitors, accounts and customers: what each of them has, who is told of, who is forgotten.
//!
//! Next: `contacts.rs`, the dimension of accounts alone.

use crate::fixture::caused;
use crate::fixture::{day, eur, event, ordered, rules, visited};
use crate::network::Network;
use crate::order::context;
use ebbflow::domain::apply::{Tally, apply, expire};
use ebbflow::domain::change::{CauseKind, Change};
use ebbflow::domain::customer::Customer;
use ebbflow::domain::event::{Event, VisitKind};
use ebbflow::domain::facts::ties::MAX_ALIASES;
use ebbflow::domain::pack::pack;
use ebbflow::domain::publish::evaluate::reevaluate;
use ebbflow::domain::publish::profile::profile;
use ebbflow::domain::rules::Rules;
use ebbflow::domain::subject::Subject;
use ebbflow::domain::time::Timestamp;
use std::sync::Arc;

/// A subject that has bought something, and what is told of it.
fn buyer(id: &str, rules: &Rules) -> (Customer, Vec<Change>) {
    let mut buyer = Customer::new(id, day(0), 1);
    let (mut tally, mut changes) = (Tally::default(), Vec::new());
    let order = event("e-1", "c-1", day(1), ordered("o-1", eur(20_000)));
    let context = context(rules, day(1).0);
    let cause = caused(&order, day(1));
    apply(&mut buyer, &order, &cause, None, &context, (&mut tally, &mut changes));
    (buyer, changes)
}

#[test]
fn a_visitor_is_due_when_nothing_was_heard_for_so_long() {
    let rules = rules();
    let keep_ms = rules.keep_visitors_ms;
    let mut visitor = Customer::new("anon:v", day(0), 1);
    visitor.deadline = visitor.forget_at(keep_ms);
    assert_eq!(visitor.deadline, day(90));
    let (mut tally, mut changes) = (Tally::default(), Vec::new());
    // It was heard of again meanwhile.
    visitor.hear(day(1));
    visitor.hear(day(-3));
    expire(&mut visitor, &context(&rules, day(90).0), &mut tally, &mut changes);
    assert_eq!(visitor.deadline, day(91));
    // Nobody removed it: it is asked after again, but not in every instant.
    expire(&mut visitor, &context(&rules, day(91).0), &mut tally, &mut changes);
    assert_eq!(visitor.deadline, day(92));
    let mut customer = Customer::new("c", day(0), 1);
    customer.hear(day(1));
    assert_eq!((customer.forget_at(keep_ms), customer.heard_at), (Timestamp::MAX, Timestamp::MIN));
}

#[test]
fn subjects_that_are_not_written_move_unseen_until_they_are() {
    let mut rules = rules();
    assert!(rules.emits_subject(Subject::Account) && !rules.emits_subject(Subject::Visitor));
    let (mut visitor, told) = buyer("anon:v", &rules);
    assert_eq!(told, []);
    assert!(visitor.has_segments() && visitor.seq == 0);
    rules.output.subjects = [true; 3];
    rules.identity.revision = 2;
    let mut told = Vec::new();
    let out = (&mut Tally::default().unpublished, &mut told);
    assert!(reevaluate(&mut visitor, &context(&rules, day(2).0), out));
    assert!(told.len() > 2 && visitor.seq == told.len() as u64);
    for change in &told {
        assert_eq!((change.cause.kind, change.subject), (CauseKind::Rules, "anonymous"));
    }
}

#[test]
fn an_account_has_the_dimensions_that_apply_to_it() {
    let rules = rules();
    let (account, told) = buyer("account:a", &rules);
    let of_account = ["rfm", "activity", "value_mode", "value_tier", "engagement", "qualification"];
    let of_account = [&of_account[..], &["contacts"]].concat();
    assert!(told.iter().any(|change| change.dimension == *"rfm"));
    for change in &told {
        let names: Vec<&str> = change.dimensions.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, of_account);
        assert_eq!((change.subject, &change.owner_role), ("account", &None));
        assert!(of_account.contains(&change.dimension.as_str()), "{change:?}");
    }
    let shown = profile(&account, &rules, day(2));
    let names: Vec<&str> = shown.dimensions.iter().map(|it| it.name.as_str()).collect();
    assert_eq!((names, shown.subject), (of_account, Subject::Account));
    assert_eq!(shown.more.contacts, Some(0));
    let (_, told) = buyer("c", &rules);
    assert!(told.iter().any(|change| change.dimension == *"lifecycle"));
    assert!(told.iter().all(|change| change.dimensions.len() == 8 && change.owner_role.is_some()));
}

#[test]
fn a_hundred_thousand_visitors_are_one_customer_and_all_are_followed() {
    const VISITORS: i64 = 100_000;
    let mut network = Network::new(&Arc::new(rules()), 3, day(1));
    let visit = |n: i64, visitor: i64, customer: Option<&'static str>| Event {
        customer_id: customer.map(Into::into),
        anonymous_id: Some(format!("v-{visitor}").into()),
        ..event(&format!("e-{n}"), "c-1", day(1).plus_ms(n), visited(VisitKind::ProductViewed))
    };
    for visitor in 0..VISITORS {
        if visitor % 100 == 0 {
            network.read(0, &visit(2 * visitor, visitor, None));
        }
        network.read(1, &visit(2 * visitor + 1, visitor, Some("c-1")));
        network.drain();
    }
    let subjects = network.subjects();
    assert_eq!(subjects.len(), 1);
    let customer = &subjects[0];
    let interactions = customer.interactions.as_deref().expect("visits").total;
    assert_eq!(interactions, (VISITORS + VISITORS / 100).unsigned_abs());
    let ties = customer.ties.as_deref().expect("aliases");
    assert_eq!(ties.aliases.len(), MAX_ALIASES);
    let mut packed = Vec::new();
    pack(customer, rules().rates.base(), &mut packed);
    assert!(packed.len() < 64 * 1024, "{} bytes", packed.len());
    for visitor in (0..VISITORS).step_by(997) {
        assert_eq!(network.whoever_is(&format!("anon:v-{visitor}")), "c-1");
    }
}
