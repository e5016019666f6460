//! Histories of the group: offsets of a member that is none any more, and of one that comes back.
//!
//! Next: `waiting.rs`.

use crate::play::{Driver, Play, Times, class, conform, offsets};
use crate::waiting::note_asked;
use ebbflow::runtime::broker::{Broker, GroupEvent, Output};
use std::time::Duration;

/// A member that stands still is expelled soon.
pub(crate) const SHORT: Times =
    Times { session: Duration::from_secs(2), max_poll: Duration::from_secs(3), ..Times::LONG };

/// A member with both partitions and an open transaction that has a record.
pub(crate) fn with_open_transaction<D: Driver>(play: &mut Play<D>) -> D::Broker {
    let mut broker = play.driver.member(0);
    assert_eq!(play.join(&mut broker), [0, 1]);
    play.must("init", || broker.init_producer());
    play.open(&mut broker, &[(Output::Relay, 0, "stale")]);
    broker
}

/// Writes how offsets are refused, and what can be done with the transaction then.
fn note_refused<D: Driver>(play: &mut Play<D>, broker: &mut D::Broker) {
    play.call("stale offsets", || broker.send_offsets(&offsets(0, 9, "stale")));
    let queued = play.queue(broker, (Output::Relay, 0), "stale");
    play.note(&format!("send: {}", class(&queued)));
    play.call("offsets again", || broker.send_offsets(&offsets(0, 9, "stale")));
    play.call("drained", || broker.drained());
    play.call("commit", || broker.commit());
    play.call("abort", || broker.abort());
}

fn left<D: Driver>(play: &mut Play<D>) {
    let mut broker = with_open_transaction(play);
    play.call("leave", || broker.leave_group());
    note_refused(play, &mut broker);
    let mut heir = play.driver.member(1);
    let tasks = play.join(&mut heir);
    play.note(&format!("the heir has {tasks:?}"));
    play.note_committed(&mut heir, 0);
    play.note_fetched(&mut heir, 0, (0, 2));
}

#[test]
fn offsets_of_a_member_that_has_left_are_refused() {
    conform(
        "left",
        Times::LONG,
        (left, left),
        "
            leave: ok
            stale offsets: abort
            send: abort
            offsets again: abort
            drained: ok
            commit: abort
            abort: ok
            the heir has [0, 1]
            committed of 0: nothing
            relay 0: from 0 to 2
            fetched of 0: [], at 2 of 2
        ",
    );
}

fn older_generation<D: Driver>(play: &mut Play<D>) {
    let mut broker = with_open_transaction(play);
    let mut other = play.driver.member(1);
    let told = play.until("the revocation", || {
        assert_eq!(other.poll_group(), Ok(None));
        broker.poll_group().expect("poll")
    });
    play.note(&format!("{told:?}"));
    // Until it answers it is a member of the generation that goes on.
    play.call("offsets before the answer", || broker.send_offsets(&offsets(0, 1, "in time")));
    play.call("commit", || broker.commit());
    play.open(&mut broker, &[(Output::Relay, 0, "stale")]);
    play.must("unassign", || broker.unassign());
    let tasks = play.until("an assignment", || other.poll_group().expect("poll"));
    play.note(&format!("the other: {tasks:?}"));
    play.must("assign", || other.assign(&[1]));
    // It has not heard of its own assignment.
    note_refused(play, &mut broker);
    play.note_committed(&mut broker, 0);

    let told = play.event(&mut broker);
    play.note(&format!("{told:?}"));
    play.accept(&mut broker, &[0]);
    play.open(&mut broker, &[(Output::Relay, 0, "mine")]);
    play.call("offsets", || broker.send_offsets(&offsets(0, 2, "mine")));
    // Who owns what is for the members to know: the coordinator compares generations.
    play.call("offsets of another's", || broker.send_offsets(&offsets(1, 3, "not mine")));
    play.call("commit", || broker.commit());
    play.note_committed(&mut other, 0);
    play.note_committed(&mut other, 1);
    play.note_fetched(&mut broker, 0, (0, 6));
}

#[test]
fn offsets_of_an_older_generation_are_refused() {
    conform(
        "generation",
        Times::LONG,
        (older_generation, older_generation),
        "
            Revoked { lost: false }
            offsets before the answer: ok
            commit: ok
            the other: Assigned([1])
            stale offsets: abort
            send: abort
            offsets again: abort
            drained: ok
            commit: abort
            abort: ok
            committed of 0: 0 0 1, in time
            Assigned([0])
            offsets: ok
            offsets of another's: ok
            commit: ok
            committed of 0: 0 0 2, mine
            committed of 1: 0 0 3, not mine
            relay 0: from 0 to 6
            fetched of 0: [0 stale, 4 mine], at 6 of 6
        ",
    );
}

/// A member that is not served answers no rebalance and loses its session. How often the others
/// are assigned anew until then is not compared: the real coordinator waits for the answer of a
/// static member only as long as for the rebalance, and leaves it its share until its session is
/// over; the simulated one waits for the end of the session. A share without a process is nobody's.
fn expelled<D: Driver>(play: &mut Play<D>) {
    let mut broker = with_open_transaction(play);
    let mut other = play.driver.member(1);
    play.settle(&mut [(&mut other, &[0, 1])]);
    play.note("the other has both");
    note_refused(play, &mut broker);
    play.note_committed(&mut other, 0);
    // Whether it is told of the loss depends on what its client heard first.
    let told = play.until("the loss", || {
        assert_eq!(other.poll_group(), Ok(None));
        broker.poll_group().expect("poll")
    });
    assert!(matches!(told, GroupEvent::Revoked { .. }), "{told:?}");
    play.must("unassign", || broker.unassign());
    play.settle(&mut [(&mut broker, &[0]), (&mut other, &[1])]);
    play.note_fetched(&mut broker, 0, (0, 2));
}

#[test]
fn offsets_of_a_member_that_stood_still_for_too_long_are_refused() {
    conform(
        "expelled",
        SHORT,
        (expelled, expelled),
        "
            the other has both
            stale offsets: abort
            send: abort
            offsets again: abort
            drained: ok
            commit: abort
            abort: ok
            committed of 0: nothing
            relay 0: from 0 to 2
            fetched of 0: [], at 2 of 2
        ",
    );
}

/// The same member in a new process, while its session lasts.
fn restarted<D: Driver>(play: &mut Play<D>) {
    let mut broker = play.driver.member(0);
    let mut other = play.driver.member(1);
    play.settle(&mut [(&mut broker, &[0]), (&mut other, &[1])]);
    play.must("init", || broker.init_producer());
    play.open(&mut broker, &[(Output::Relay, 0, "gone")]);
    play.must("offsets", || broker.send_offsets(&offsets(0, 9, "gone")));
    drop(broker);
    let mut broker = play.driver.member(0);
    let tasks = play.until("the assignment", || {
        assert_eq!(other.poll_group(), Ok(None));
        broker.poll_group().expect("poll")
    });
    play.note(&format!("{tasks:?}"));
    play.accept(&mut broker, &[0]);
    note_asked(play, &mut broker, 0);
    play.call("init", || broker.init_producer());
    play.note_committed(&mut broker, 0);
    play.open(&mut broker, &[(Output::Relay, 0, "new")]);
    play.call("offsets", || broker.send_offsets(&offsets(0, 1, "new")));
    play.call("commit", || broker.commit());
    play.note_committed(&mut other, 0);
    play.note_fetched(&mut broker, 0, (0, 4));
    play.note(&format!("the other was told: {:?}", other.poll_group()));
}

#[test]
fn a_member_that_comes_back_in_time_has_what_it_had() {
    conform(
        "restarted",
        Times::LONG,
        (restarted, restarted),
        "
            Assigned([0])
            asked for 0: retriable
            init: ok
            committed of 0: nothing
            offsets: ok
            commit: ok
            committed of 0: 0 0 1, new
            relay 0: from 0 to 4
            fetched of 0: [2 new], at 4 of 4
            the other was told: Ok(None)
        ",
    );
}

/// Another process has the same ids: it is a member of the same generation.
fn replaced<D: Driver>(play: &mut Play<D>) {
    let mut broker = with_open_transaction(play);
    let mut newer = play.driver.member(0);
    let tasks = play.join(&mut newer);
    play.note(&format!("the newer has {tasks:?}"));
    let error = play.until("the older to be told", || match broker.poll_group() {
        Ok(None) => None,
        other => Some(other),
    });
    play.note(&format!("the older: {}", class(&error)));
    play.call("offsets", || broker.send_offsets(&offsets(0, 9, "stale")));
    play.call("commit", || broker.commit());
    play.call("the newer is initialised", || newer.init_producer());
    play.note_committed(&mut newer, 0);
    play.open(&mut newer, &[(Output::Relay, 0, "newer")]);
    play.must("offsets", || newer.send_offsets(&offsets(0, 1, "newer")));
    play.commit(&mut newer);
    play.note_committed(&mut newer, 0);
    play.note_fetched(&mut newer, 0, (0, 4));
}

#[test]
fn a_process_whose_member_is_another_one_now_has_to_end() {
    conform(
        "replaced",
        Times::LONG,
        (replaced, replaced),
        "
            the newer has [0, 1]
            the older: fatal
            offsets: fatal
            commit: fatal
            the newer is initialised: ok
            committed of 0: nothing
            committed of 0: 0 0 1, newer
            relay 0: from 0 to 4
            fetched of 0: [2 newer], at 4 of 4
        ",
    );
}
