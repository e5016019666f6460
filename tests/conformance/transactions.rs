//! Histories of transactions: aborted, fenced by a producer of the same id, timed out.
//!
//! Next: `members.rs`.

use crate::play::{Driver, Play, Times, class, conform, offsets};
use ebbflow::runtime::broker::{Broker, Output};
use std::time::Duration;

const RELAY: (Output, u32) = (Output::Relay, 0);

/// What a producer may do next in its transaction.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send,
    Offsets,
    Commit,
    Abort,
}

/// Each first once, for what it answers is what the later ones know.
const ORDERS: [[Step; 4]; 4] = [
    [Step::Send, Step::Offsets, Step::Commit, Step::Abort],
    [Step::Offsets, Step::Commit, Step::Abort, Step::Send],
    [Step::Commit, Step::Abort, Step::Send, Step::Offsets],
    [Step::Abort, Step::Send, Step::Offsets, Step::Commit],
];

/// Writes the class of every step, in this order.
fn note_steps<D: Driver>(play: &mut Play<D>, broker: &mut D::Broker, task: u32, order: [Step; 4]) {
    let mut line = String::new();
    for step in order {
        let answer = match step {
            Step::Send => play.send(broker, (Output::Relay, task), "late"),
            Step::Offsets => {
                play.settled("offsets", || broker.send_offsets(&offsets(task, 99, "late")))
            }
            Step::Commit => play.settled("commit", || broker.commit().map(drop)),
            Step::Abort => play.settled("abort", || broker.abort().map(drop)),
        };
        if let Err(error) = &answer {
            println!("{step:?}: {error}");
        }
        line += &format!("{step:?} {}, ", class(&answer));
    }
    play.note(line.trim_end_matches(", "));
}

fn aborted<D: Driver>(play: &mut Play<D>) {
    let mut broker = play.driver.member(0);
    play.join(&mut broker);
    play.must("init", || broker.init_producer());
    play.note_end(&mut broker, 0, 0);
    let gone = [(Output::Relay, 0, "gone"), (Output::State, 0, "gone"), (Output::Relay, 0, "gone")];
    play.open(&mut broker, &gone);
    play.call("offsets", || broker.send_offsets(&offsets(0, 5, "gone")));
    play.call("abort", || broker.abort());
    play.note_committed(&mut broker, 0);
    play.note_end(&mut broker, 0, 3);

    play.open(&mut broker, &[(Output::Relay, 0, "kept"), (Output::State, 0, "kept")]);
    play.call("offsets", || broker.send_offsets(&offsets(0, 2, "kept")));
    play.call("commit", || broker.commit());
    play.note_committed(&mut broker, 0);
    play.note_committed(&mut broker, 1);
    play.note_fetched(&mut broker, 0, (0, 5));
    play.note_restored(&mut broker, 0);
    play.note_read(Output::State);

    // Nothing of an abort moves the offsets that are there.
    play.open(&mut broker, &[(Output::Relay, 0, "gone")]);
    play.call("offsets", || broker.send_offsets(&offsets(0, 6, "gone")));
    play.call("abort", || broker.abort());
    play.note_committed(&mut broker, 0);
    play.note_fetched(&mut broker, 0, (4, 7));
}

#[test]
fn nothing_of_an_aborted_transaction_is_seen() {
    conform(
        "abort",
        Times::LONG,
        (aborted, aborted),
        "
            relay 0: from 0 to 0
            offsets: ok
            abort: ok
            committed of 0: nothing
            relay 0: from 0 to 3
            offsets: ok
            commit: ok
            committed of 0: 0 0 2, kept
            committed of 1: nothing
            relay 0: from 0 to 5
            fetched of 0: [3 kept], at 5 of 5
            restored of 0: [kept]
            State 0 at 2: kept
            offsets: ok
            abort: ok
            committed of 0: 0 0 2, kept
            relay 0: from 0 to 7
            fetched of 0: [], at 7 of 7
        ",
    );
}

/// Records that were not delivered yet. How many reach the log is chance, so nothing here is told
/// by its offset.
fn aborted_undelivered<D: Driver>(play: &mut Play<D>) {
    let mut broker = play.driver.member(0);
    play.join(&mut broker);
    play.must("init", || broker.init_producer());
    play.must("begin", || broker.begin());
    for _ in 0..1_000 {
        assert_eq!(play.queue(&mut broker, RELAY, "gone"), Ok(()));
    }
    let ended = play.call("abort", || broker.abort());
    play.note(&format!(
        "the producer is to be renewed: {}",
        ended.is_some_and(|it| it.renew_producer)
    ));
    play.must("init", || broker.init_producer());
    play.open(&mut broker, &[(Output::Relay, 0, "kept")]);
    play.commit(&mut broker);
    let read: Vec<String> = play.driver.read(Output::Relay).into_iter().map(|it| it.2).collect();
    play.note(&format!("read: [{}]", read.join(", ")));
}

#[test]
fn an_abort_with_records_on_their_way_asks_for_a_new_producer() {
    conform(
        "purge",
        Times::LONG,
        (aborted_undelivered, aborted_undelivered),
        "
            abort: ok
            the producer is to be renewed: true
            read: [kept]
        ",
    );
}

fn fenced<D: Driver>(play: &mut Play<D>) {
    let mut first = play.driver.member(0);
    play.join(&mut first);
    let mut second = play.driver.double(0);
    play.must("init", || first.init_producer());
    for (round, order) in (0..).zip(ORDERS) {
        play.open(&mut first, &[(Output::Relay, 0, "torn")]);
        play.must("offsets", || first.send_offsets(&offsets(0, 50, "torn")));
        play.call("the second is initialised", || second.init_producer());
        play.note_end(&mut first, 0, 6 * round + 2);
        play.open(&mut second, &[(Output::Relay, 0, "two")]);
        play.commit(&mut second);
        note_steps(play, &mut first, 0, order);
        play.call("the first begins", || first.begin());

        // The way back, on which the second is the one that is fenced.
        play.call("the first is initialised", || first.init_producer());
        play.must("begin", || second.begin());
        let sent = play.send(&mut second, RELAY, "late");
        play.note(&format!("the second sends: {}", class(&sent)));
        play.note_committed(&mut first, 0);
        play.open(&mut first, &[(Output::Relay, 0, "one")]);
        play.must("offsets", || first.send_offsets(&offsets(0, round + 1, "one")));
        play.commit(&mut first);
        play.note_committed(&mut first, 0);
    }
    play.note_fetched(&mut first, 0, (0, 24));
}

#[test]
fn a_producer_of_the_same_id_fences_the_older_one() {
    conform(
        "fence",
        Times::LONG,
        (fenced, fenced),
        "
            the second is initialised: ok
            relay 0: from 0 to 2
            Send fenced, Offsets fenced, Commit fenced, Abort fenced
            the first begins: fenced
            the first is initialised: ok
            the second sends: fenced
            committed of 0: nothing
            committed of 0: 0 0 1, one
            the second is initialised: ok
            relay 0: from 0 to 8
            Offsets fenced, Commit fenced, Abort fenced, Send fenced
            the first begins: fenced
            the first is initialised: ok
            the second sends: fenced
            committed of 0: 0 0 1, one
            committed of 0: 0 0 2, one
            the second is initialised: ok
            relay 0: from 0 to 14
            Commit fenced, Abort fenced, Send fenced, Offsets fenced
            the first begins: fenced
            the first is initialised: ok
            the second sends: fenced
            committed of 0: 0 0 2, one
            committed of 0: 0 0 3, one
            the second is initialised: ok
            relay 0: from 0 to 20
            Abort fenced, Send fenced, Offsets fenced, Commit fenced
            the first begins: fenced
            the first is initialised: ok
            the second sends: fenced
            committed of 0: 0 0 3, one
            committed of 0: 0 0 4, one
            relay 0: from 0 to 24
            fetched of 0: [2 two, 4 one, 8 two, 10 one, 14 two, 16 one, 20 two, 22 one], at 24 of 24
        ",
    );
}

/// Of a transaction that holds nothing the coordinator does not hear.
fn fenced_empty<D: Driver>(play: &mut Play<D>) {
    let mut first = play.driver.member(0);
    play.join(&mut first);
    let mut second = play.driver.double(0);
    play.must("init", || first.init_producer());
    play.must("begin", || first.begin());
    play.must("init", || second.init_producer());
    play.call("an empty one is committed", || first.commit());
    play.call("begin", || first.begin());
    play.call("an empty one is aborted", || first.abort());
    play.call("begin", || first.begin());
    note_steps(play, &mut first, 0, ORDERS[0]);
    play.note_end(&mut first, 0, 0);
}

#[test]
fn an_empty_transaction_ends_well_although_fenced() {
    conform(
        "empty",
        Times::LONG,
        (fenced_empty, fenced_empty),
        "
            an empty one is committed: ok
            begin: ok
            an empty one is aborted: ok
            begin: ok
            Send fenced, Offsets fenced, Commit fenced, Abort fenced
            relay 0: from 0 to 0
        ",
    );
}

/// Two at a time, since it takes long: each member in its own partition.
fn timed_out<D: Driver>(play: &mut Play<D>) {
    let mut members = [play.driver.member(0), play.driver.member(1)];
    let [first, second] = &mut members;
    play.settle(&mut [(first, &[0]), (second, &[1])]);
    for broker in &mut members {
        play.must("init", || broker.init_producer());
    }
    for (round, orders) in (0..).zip([[ORDERS[0], ORDERS[1]], [ORDERS[2], ORDERS[3]]]) {
        let end = 4 * round + 2;
        for (task, broker) in (0..).zip(&mut members) {
            play.open(broker, &[(Output::Relay, task, "late")]);
            play.must("offsets", || broker.send_offsets(&offsets(task, 50, "late")));
        }
        for ((task, broker), order) in (0..).zip(&mut members).zip(orders) {
            // The marker of the abort tells that it has timed out.
            play.note_end(broker, task, end);
            note_steps(play, broker, task, order);
            play.call("begin", || broker.begin());
            play.call("init", || broker.init_producer());
            play.note_committed(broker, task);
            play.open(broker, &[(Output::Relay, task, "in time")]);
            play.must("offsets", || broker.send_offsets(&offsets(task, end, "in time")));
            play.commit(broker);
            play.note_committed(broker, task);
        }
    }
    for (task, broker) in (0..).zip(&mut members) {
        play.note_fetched(broker, task, (0, 8));
    }
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced() {
    conform(
        "timeout",
        Times { transaction: Duration::from_secs(3), ..Times::LONG },
        (timed_out, timed_out),
        "
            relay 0: from 0 to 2
            Send fenced, Offsets fenced, Commit fenced, Abort fenced
            begin: fenced
            init: ok
            committed of 0: nothing
            committed of 0: 0 0 2, in time
            relay 1: from 0 to 2
            Offsets fenced, Commit fenced, Abort fenced, Send fenced
            begin: fenced
            init: ok
            committed of 1: nothing
            committed of 1: 0 0 2, in time
            relay 0: from 0 to 6
            Commit fenced, Abort fenced, Send fenced, Offsets fenced
            begin: fenced
            init: ok
            committed of 0: 0 0 2, in time
            committed of 0: 0 0 6, in time
            relay 1: from 0 to 6
            Abort fenced, Send fenced, Offsets fenced, Commit fenced
            begin: fenced
            init: ok
            committed of 1: 0 0 2, in time
            committed of 1: 0 0 6, in time
            relay 0: from 0 to 8
            fetched of 0: [2 in time, 6 in time], at 8 of 8
            relay 1: from 0 to 8
            fetched of 1: [2 in time, 6 in time], at 8 of 8
        ",
    );
}
