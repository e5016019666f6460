//! Histories of committed offsets that wait for a transaction of another member.
//!
//! Next: `reading.rs`.

use crate::members::{SHORT, with_open_transaction};
use crate::play::{Driver, Play, Times, class, conform, offsets};
use ebbflow::runtime::broker::{Broker, Output};
use std::time::Duration;

/// Writes the answer to one question for offsets, whatever it is.
pub(crate) fn note_asked<D: Driver>(play: &mut Play<D>, broker: &mut D::Broker, partition: u32) {
    let answer = broker.committed(partition);
    play.note(&format!("asked for {partition}: {}", class(&answer)));
}

fn waiting_offsets<D: Driver>(play: &mut Play<D>) {
    let mut broker = play.driver.member(0);
    play.join(&mut broker);
    let mut other = play.driver.member(1);
    let told = play.until("the revocation", || {
        assert_eq!(other.poll_group(), Ok(None));
        broker.poll_group().expect("poll")
    });
    play.note(&format!("{told:?}"));
    play.note("the other waits to be assigned");
    play.note_committed(&mut broker, 0);
    note_asked(play, &mut other, 0);
    play.must("unassign", || broker.unassign());
    play.settle(&mut [(&mut broker, &[0]), (&mut other, &[1])]);
    let mut double = play.driver.double(0);
    play.must("init", || broker.init_producer());

    play.open(&mut broker, &[(Output::Relay, 0, "one")]);
    play.note_committed(&mut other, 0);
    play.must("offsets", || broker.send_offsets(&offsets(0, 1, "one")));
    note_asked(play, &mut other, 0);
    play.note_committed(&mut other, 1);
    play.call("commit", || broker.commit());
    play.note_committed(&mut other, 0);

    play.open(&mut broker, &[(Output::Relay, 0, "two")]);
    play.must("offsets", || broker.send_offsets(&offsets(0, 2, "two")));
    note_asked(play, &mut other, 0);
    play.call("abort", || broker.abort());
    play.note_committed(&mut other, 0);

    // Fenced with its transaction open.
    play.open(&mut broker, &[(Output::Relay, 0, "three")]);
    play.must("offsets", || broker.send_offsets(&offsets(0, 3, "three")));
    note_asked(play, &mut other, 0);
    play.must("init", || double.init_producer());
    play.note_committed(&mut other, 0);
    play.call("commit", || broker.commit());
    play.note_committed(&mut other, 0);
}

#[test]
fn offsets_are_told_when_the_transactions_over_them_are_decided() {
    conform(
        "waiting",
        Times::LONG,
        (waiting_offsets, waiting_offsets),
        "
            Revoked { lost: false }
            the other waits to be assigned
            committed of 0: nothing
            asked for 0: retriable
            committed of 0: nothing
            asked for 0: retriable
            committed of 1: nothing
            commit: ok
            committed of 0: 0 0 1, one
            asked for 0: retriable
            abort: ok
            committed of 0: 0 0 1, one
            asked for 0: retriable
            committed of 0: 0 0 1, one
            commit: fenced
            committed of 0: 0 0 1, one
        ",
    );
}

fn abandoned_offsets<D: Driver>(play: &mut Play<D>) {
    let mut broker = play.driver.member(0);
    let mut other = play.driver.member(1);
    play.settle(&mut [(&mut broker, &[0]), (&mut other, &[1])]);
    play.must("init", || broker.init_producer());
    play.open(&mut broker, &[(Output::Relay, 0, "gone")]);
    play.must("offsets", || broker.send_offsets(&offsets(0, 1, "gone")));
    note_asked(play, &mut other, 0);
    // Nobody ends it but its time-out.
    play.note_committed(&mut other, 0);
    play.note_end(&mut other, 0, 2);
    play.call("commit", || broker.commit());
    play.note_committed(&mut other, 0);
}

#[test]
fn offsets_of_an_abandoned_transaction_are_waited_for_until_it_times_out() {
    conform(
        "abandoned",
        Times { transaction: Duration::from_secs(3), ..Times::LONG },
        (abandoned_offsets, abandoned_offsets),
        "
            asked for 0: retriable
            committed of 0: nothing
            relay 0: from 0 to 2
            commit: fenced
            committed of 0: nothing
        ",
    );
}

/// What was sent in time stays sent: the heir has to wait for it.
fn sent_before<D: Driver>(play: &mut Play<D>) {
    let mut broker = with_open_transaction(play);
    play.must("offsets", || broker.send_offsets(&offsets(0, 1, "in time")));
    let mut other = play.driver.member(1);
    play.settle(&mut [(&mut other, &[0, 1])]);
    note_asked(play, &mut other, 0);
    play.call("commit", || broker.commit());
    play.note_committed(&mut other, 0);
    play.note_fetched(&mut other, 0, (0, 2));
}

#[test]
fn offsets_that_were_sent_before_the_expulsion_are_committed_after_it() {
    conform(
        "before",
        SHORT,
        (sent_before, sent_before),
        "
            asked for 0: retriable
            commit: ok
            committed of 0: 0 0 1, in time
            relay 0: from 0 to 2
            fetched of 0: [0 stale], at 2 of 2
        ",
    );
}
