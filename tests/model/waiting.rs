//! What waits in the room of a task: what others are told of it meanwhile, what goes before it, and
//! what becomes of it when its subject is gone.
//!
//! The clocks are at day 1000, and all tasks wait for others that have come to day 1. Never looks
//! into a room. Next: `network.rs`, the tasks; `src/task/room.rs`, the room.

use crate::fixture::{day, event, rules, visited};
use crate::network::Network;
use ebbflow::domain::event::{Body, Event, Interaction, MeddicElement, Qualification, VisitKind};
use ebbflow::domain::facts::contacts::Contact;
use ebbflow::domain::id::{hash64, partition_of};
use ebbflow::domain::progress::Phase;
use ebbflow::domain::relay::{EventOrigin, Relayed, Told};
use ebbflow::domain::time::Timestamp;
use std::sync::Arc;

const PARTITIONS: u32 = 3;
const ACCOUNT: &str = "account:a-0";
const VISITOR: &str = "anon:v-0";

fn network(partitions: u32) -> Network {
    let mut network = Network::new(&Arc::new(rules()), partitions, day(1_000));
    network.release(day(1));
    network
}

/// Reads events, each when all before it has arrived.
fn read(network: &mut Network, events: &[Event<'static>]) {
    for event in events {
        network.read(0, event);
        network.drain();
    }
}

/// What waits until that day goes on, and all that comes of it.
fn release(network: &mut Network, days: i64) {
    network.release(day(days));
    network.drain();
}

fn visit(who: &str, days: i64) -> Event<'static> {
    event(&format!("{who} {days}"), who, day(days), visited(VisitKind::ProductAdded))
}

fn with_account(event: Event<'static>) -> Event<'static> {
    Event { account_id: Some("a-0".into()), ..event }
}

fn naming_visitor(event: Event<'static>) -> Event<'static> {
    Event { anonymous_id: Some("v-0".into()), ..event }
}

fn of_visitor(days: i64) -> Event<'static> {
    naming_visitor(Event { customer_id: None, ..visit("v-0", days) })
}

fn tell(network: &mut Network, to: &str, at: Timestamp, told: Told<'_>) {
    let cause = EventOrigin {
        event_id: format!("told {to}"),
        occurred_at: at,
        at,
        topic: "interactions".into(),
        partition: 0,
        offset: 0,
    };
    network.tell(Relayed { to: to.to_owned(), path: Vec::new(), at, cause, told });
}

fn contacts(network: &Network) -> Vec<Contact> {
    let account = network.subject(ACCOUNT).expect("it is known");
    account.contacts.map_or_else(Vec::new, |contacts| contacts.list)
}

#[test]
fn a_visitor_of_two_customers_who_had_to_wait_is_the_first_ones_and_the_second_stays() {
    let mut network = network(PARTITIONS);
    read(&mut network, &[of_visitor(1)]);
    read(&mut network, &[visit("c-1", 200), visit("c-2", 201)].map(naming_visitor));
    assert_eq!(network.waiting(), 2);
    release(&mut network, 201);
    assert_eq!(network.waiting(), 0);
    assert_eq!(network.whoever_is(VISITOR), "c-1");
    assert_eq!(network.take_relays().shared_visitors, 1);
    for customer in ["c-1", "c-2"] {
        assert_eq!(network.whoever_is(customer), customer);
        assert!(network.subject(customer).is_some(), "{customer}");
    }
}

#[test]
fn whom_a_visitor_became_meanwhile_is_not_erased_with_another_one_who_named_it() {
    let mut network = network(PARTITIONS);
    read(&mut network, &[of_visitor(1), naming_visitor(visit("c-1", 200))]);
    tell(&mut network, VISITOR, day(201), Told::Erase { of: "c-2".into() });
    assert_eq!(network.waiting(), 2);
    release(&mut network, 201);
    assert_eq!(network.waiting(), 0);
    assert_eq!(network.whoever_is(VISITOR), "c-1");
    assert!(network.subject("c-1").is_some());
}

#[test]
fn the_second_copy_of_an_event_that_waits_tells_nobody_again() {
    let mut network = network(PARTITIONS);
    let away = |id: &String| partition_of(id, PARTITIONS) != partition_of(ACCOUNT, PARTITIONS);
    let customer = (0..).map(|n| format!("c-{n}")).find(away).expect("an id");
    read(&mut network, &[visit(&customer, 1)]);
    network.take_relays();
    let home = partition_of(&customer, PARTITIONS) as usize;
    let sent = [1, 2].map(|copies| {
        network.read(home, &with_account(visit(&customer, 200)));
        network.drain();
        assert_eq!(network.waiting(), copies);
        network.take_relays().sent.iter().sum::<u64>()
    });
    assert_eq!(sent, [1, 0]);
    release(&mut network, 200);
    assert_eq!((network.waiting(), network.take_relays().sent.iter().sum::<u64>()), (0, 0));
}

#[test]
fn a_visitor_who_was_forgotten_before_its_event_could_go_on_is_a_contact_once_it_has_a_name() {
    let mut network = network(PARTITIONS);
    read(&mut network, &[of_visitor(1), with_account(of_visitor(200))]);
    assert_eq!(network.waiting(), 1);
    release(&mut network, 200);
    assert_eq!((network.waiting(), network.take_relays().forgotten_visitors), (0, 1));
    assert_eq!(contacts(&network), []);
    read(&mut network, &[naming_visitor(visit("c-1", 201))]);
    let told: Vec<_> = contacts(&network).iter().map(|it| (it.hash, it.first_at)).collect();
    assert_eq!(told, [(hash64("c-1"), day(200))]);
}

#[test]
fn a_score_that_a_visitor_gave_is_nobodys_whether_it_comes_before_or_after_the_name() {
    let update =
        Qualification::Element { element: MeddicElement::Champion, score: 3, evidence: None };
    let body = Body::Interaction(Interaction::QualificationUpdated(update));
    let scored = with_account(Event { body, ..of_visitor(2) });
    let named = naming_visitor(visit("c-1", 3));
    for events in [[scored.clone(), named.clone()], [named, scored]] {
        let mut network = network(PARTITIONS);
        release(&mut network, 1_000);
        read(&mut network, &events);
        let told: Vec<_> =
            contacts(&network).iter().map(|it| (it.hash, it.champion_score())).collect();
        assert_eq!(told, [(hash64("c-1"), 0)]);
    }
}

#[test]
fn what_adds_to_a_subject_does_not_wait_behind_what_waits_for_it() {
    let mut network = network(PARTITIONS);
    let of_account = [with_account(visit("c-1", 1)), with_account(visit("c-2", 200))];
    read(&mut network, &of_account);
    read(&mut network, &[visit("c-1", 200)]);
    assert_eq!(network.waiting(), 2);
    tell(&mut network, "c-1", day(1), Told::Credit { from: "c-5".into(), minor: 100 });
    let ties = network.subject("c-1").and_then(|it| it.ties).expect("it brought somebody");
    assert_eq!((network.waiting(), ties.referred_revenue_minor), (2, 100));

    let contact = |was: Option<&str>, now: &str, last: i64| {
        let (first_at, last_at) = (day(0), day(last));
        Told::Contact { was: was.map(hash64), now: hash64(now), first_at, last_at }
    };
    let ids = ["c-3", "c-4"].map(hash64);
    let known = |network: &Network| -> Vec<(u64, Timestamp)> {
        let told = contacts(network).into_iter().filter(|it| ids.contains(&it.hash));
        told.map(|it| (it.hash, it.last_at)).collect()
    };
    tell(&mut network, ACCOUNT, day(1), contact(None, "c-3", 0));
    assert_eq!((network.waiting(), known(&network)), (2, vec![(ids[0], day(0))]));
    // The times are told at once, that the two are one in its turn.
    tell(&mut network, ACCOUNT, day(1), contact(Some("c-3"), "c-4", 1));
    let mut both = vec![(ids[0], day(0)), (ids[1], day(1))];
    both.sort_unstable();
    assert_eq!((network.waiting(), known(&network)), (3, both));
    release(&mut network, 200);
    assert_eq!((network.waiting(), known(&network)), (0, vec![(ids[1], day(1))]));
}

#[test]
fn a_baseline_begins_when_what_was_read_in_silence_has_left_the_room() {
    let mut network = network(1);
    let silent = Phase::Silent([2, 0, 0]);
    network.tasks[0].begin_in(silent);
    read(&mut network, &[visit("c-1", 1), visit("c-1", 200)]);
    let work = |network: &mut Network| {
        let task = &mut network.tasks[0];
        let done = task.work_on_all(100, None).expect("readable states");
        (done, task.phase(), task.waiting())
    };
    assert_eq!(work(&mut network), (None, silent, 1));
    release(&mut network, 200);
    assert_eq!(work(&mut network), (Some(0), Phase::Baseline, 0));
}
