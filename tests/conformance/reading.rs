//! Histories of reading: what an open transaction holds back, and logs whose end nobody wrote a
//! record to.
//!
//! Next: `play.rs`.

use crate::play::{Driver, Play, Times, class, conform, told};
use ebbflow::runtime::broker::{Broker, Input, Output};
use std::collections::VecDeque;

/// Whether a member is given nothing of this relay while it is given the next record of the
/// other one, which was written later.
fn note_held_back<D: Driver>(play: &mut Play<D>, reader: &mut D::Broker) {
    let (mut held, mut beside) = (VecDeque::new(), VecDeque::new());
    play.until("the record beside", || {
        assert_eq!(reader.poll_group(), Ok(None));
        reader.fetch(1, Input::Relay, 10, &mut beside).expect("fetch");
        reader.fetch(0, Input::Relay, 10, &mut held).expect("fetch");
        (!beside.is_empty()).then_some(())
    });
    let position = reader.position(0, Input::Relay).unwrap_or(0);
    play.note(&format!("fetched beside: [{}]", told(&beside)));
    play.note(&format!("fetched: [{}], at {position}", told(&held)));
}

fn held_back<D: Driver>(play: &mut Play<D>) {
    let mut reader = play.driver.member(0);
    play.join(&mut reader);
    let mut slow = play.driver.double(1);
    let mut quick = play.driver.double(2);
    for writer in [&mut slow, &mut quick] {
        play.must("init", || writer.init_producer());
    }
    let slow_ones =
        [(Output::Relay, 0, "slow"), (Output::State, 0, "slow"), (Output::Control, 0, "slow")];
    play.open(&mut slow, &slow_ones);
    let records = [(Output::Relay, 0, "quick"), (Output::State, 0, "quick")];
    play.open(&mut quick, &records);
    play.commit(&mut quick);
    play.open(&mut quick, &[(Output::Relay, 1, "beside")]);
    play.commit(&mut quick);
    note_held_back(play, &mut reader);
    play.note_end(&mut reader, 0, 3);

    play.must("open the changelog", || reader.open_changelog(0));
    let mut records = Vec::new();
    let done = reader.read_changelog(0, 10, &mut records);
    play.note(&format!("the changelog ends: {done:?}, {} records", records.len()));
    play.note(&format!("control: {}", class(&reader.read_control())));
    play.call("the slow one commits", || slow.commit());
    play.until("the end of the changelog", || {
        reader.read_changelog(0, 10, &mut records).expect("read").then_some(())
    });
    play.note(&format!("the changelog ends with {} records", records.len()));
    play.note_fetched(&mut reader, 0, (0, 4));

    let control = play.must("control", || reader.read_control());
    play.note(&format!("control: {} records", control.len()));

    // The same with an abort, which takes nothing of the other one with it.
    play.open(&mut slow, &[(Output::Relay, 0, "gone")]);
    play.open(&mut quick, &[(Output::Relay, 0, "behind it")]);
    play.commit(&mut quick);
    play.call("the slow one aborts", || slow.abort());
    play.note_fetched(&mut reader, 0, (4, 8));
    play.note_read(Output::Relay);
    play.note_read(Output::State);
}

#[test]
fn an_open_transaction_holds_back_what_lies_behind_it() {
    conform(
        "held",
        Times::LONG,
        (held_back, held_back),
        "
            fetched beside: [0 beside]
            fetched: [], at 0
            relay 0: from 0 to 3
            the changelog ends: Ok(false), 0 records
            control: retriable
            the slow one commits: ok
            the changelog ends with 2 records
            relay 0: from 0 to 4
            fetched of 0: [0 slow, 1 quick], at 4 of 4
            control: 1 records
            the slow one aborts: ok
            relay 0: from 0 to 8
            fetched of 0: [5 behind it], at 8 of 8
            Relay 0 at 0: slow
            Relay 0 at 1: quick
            Relay 0 at 5: behind it
            Relay 1 at 0: beside
            State 0 at 0: slow
            State 0 at 1: quick
        ",
    );
}

fn empty_tails<D: Driver>(play: &mut Play<D>) {
    let mut broker = play.driver.member(0);
    play.join(&mut broker);
    play.must("init", || broker.init_producer());
    let note_all = |play: &mut Play<D>, broker: &mut D::Broker, end: i64| {
        for partition in [0, 1] {
            play.note_fetched(broker, partition, (0, end));
            play.note_restored(broker, partition);
        }
        let control = play.must("control", || broker.read_control());
        play.note(&format!("control: {} records", control.len()));
    };
    play.note("nothing was ever written");
    note_all(play, &mut broker, 0);

    let everywhere = [
        (Output::Relay, 0, "gone"),
        (Output::State, 0, "gone"),
        (Output::Relay, 1, "gone"),
        (Output::State, 1, "gone"),
        (Output::Control, 0, "gone"),
    ];
    play.note("all was aborted");
    play.open(&mut broker, &everywhere);
    play.abort(&mut broker);
    note_all(play, &mut broker, 2);

    play.note("the tail was aborted");
    let kept = everywhere.map(|(output, partition, _)| (output, partition, "kept"));
    play.open(&mut broker, &kept);
    play.commit(&mut broker);
    play.open(&mut broker, &everywhere);
    play.abort(&mut broker);
    play.open(&mut broker, &everywhere);
    play.abort(&mut broker);
    note_all(play, &mut broker, 8);
    // From behind the last record on there are markers and aborted records only.
    play.note_fetched(&mut broker, 0, (3, 8));
    play.note_fetched(&mut broker, 0, (8, 8));
}

#[test]
fn a_log_without_a_record_at_its_end_is_read_to_its_end() {
    conform(
        "tails",
        Times::LONG,
        (empty_tails, empty_tails),
        "
            nothing was ever written
            relay 0: from 0 to 0
            fetched of 0: [], at 0 of 0
            restored of 0: []
            relay 1: from 0 to 0
            fetched of 1: [], at 0 of 0
            restored of 1: []
            control: 0 records
            all was aborted
            relay 0: from 0 to 2
            fetched of 0: [], at 2 of 2
            restored of 0: []
            relay 1: from 0 to 2
            fetched of 1: [], at 2 of 2
            restored of 1: []
            control: 0 records
            the tail was aborted
            relay 0: from 0 to 8
            fetched of 0: [2 kept], at 8 of 8
            restored of 0: [kept]
            relay 1: from 0 to 8
            fetched of 1: [2 kept], at 8 of 8
            restored of 1: [kept]
            control: 1 records
            relay 0: from 0 to 8
            fetched of 0: [], at 8 of 8
            relay 0: from 0 to 8
            fetched of 0: [], at 8 of 8
        ",
    );
}

fn out_of_range<D: Driver>(play: &mut Play<D>) {
    let mut broker = play.driver.member(0);
    play.join(&mut broker);
    play.must("init", || broker.init_producer());
    play.open(&mut broker, &[(Output::Relay, 0, "only")]);
    play.commit(&mut broker);
    play.note_fetched(&mut broker, 0, (0, 2));
    // The seek may tell it, or the first fetch after it.
    let mut records = VecDeque::<<D::Broker as Broker>::Record>::new();
    let error = match play.settled("seek", || broker.seek(0, Input::Relay, 1_000)) {
        Ok(()) => play.until("the error", || broker.fetch(0, Input::Relay, 10, &mut records).err()),
        Err(error) => error,
    };
    play.note(&format!("behind the end: {}", class::<()>(&Err(error))));
}

#[test]
fn an_offset_behind_the_end_is_fatal() {
    conform(
        "range",
        Times::LONG,
        (out_of_range, out_of_range),
        "
            relay 0: from 0 to 2
            fetched of 0: [0 only], at 2 of 2
            behind the end: fatal
        ",
    );
}
