//! How a history is played on a cluster: calls that are repeated while the broker says so, waiting
//! with a deadline, and the text of what was seen.
//!
//! Knows nothing of which cluster it is. Next: `simulated.rs`, `real.rs`.

use crate::real::Real;
use crate::simulated::Simulated;
use ebbflow::runtime::broker::{
    Broker, BrokerError, CommittedOffsets, GroupEvent, Input, OutRecord, Output, Record, Sent,
    TaskOffsets,
};
use std::collections::VecDeque;
use std::fmt::Write;
use std::time::Duration;

/// How long anything is waited for, in the time of the cluster.
const PATIENCE: Duration = Duration::from_secs(20);

/// The times of a cluster that a history may choose.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    /// A member whose process has gone is expelled after it.
    pub(crate) session: Duration,
    /// A member that was not served for so long is gone.
    pub(crate) max_poll: Duration,
    /// An open transaction is aborted after it.
    pub(crate) transaction: Duration,
}

impl Times {
    /// Nothing times out while a history is played.
    pub(crate) const LONG: Self = Self {
        session: Duration::from_secs(6),
        max_poll: Duration::from_secs(300),
        transaction: Duration::from_secs(60),
    };
}

/// A cluster with the topics of one application, two partitions each.
pub(crate) trait Driver {
    type Broker: Broker;

    /// A process that is to be this member of the group, with its producer.
    fn member(&mut self, place: usize) -> Self::Broker;

    /// A process with a producer of the same transactional id, which stays out of the group.
    fn double(&mut self, place: usize) -> Self::Broker;

    /// A moment passes; virtual time or real time.
    fn pass(&mut self);

    /// Time since the history began.
    fn elapsed(&self) -> Duration;

    /// What an independent reader sees of a topic, read_committed: partition, offset, value.
    fn read(&mut self, output: Output) -> Vec<(u32, i64, String)>;
}

/// A history under way.
pub(crate) struct Play<D: Driver> {
    pub(crate) driver: D,
    /// Which cluster it is, for whoever reads a failure.
    side: &'static str,
    seen: String,
}

const SIDES: [&str; 2] = ["the simulated broker", "the real broker"];

/// What is done and seen on a cluster.
pub(crate) type History<D> = fn(&mut Play<D>);

/// Plays the same history on both clusters and compares what was seen of it with `told`.
pub(crate) fn conform(
    name: &str,
    times: Times,
    histories: (History<Simulated>, History<Real>),
    told: &str,
) {
    let simulated = played(SIDES[0], Simulated::new(times), histories.0);
    let real = played(SIDES[1], Real::new(name, times), histories.1);
    let problems = differences(SIDES[0], told, &simulated) + &differences(SIDES[1], told, &real);
    assert!(problems.is_empty(), "\n{problems}\n{} in full:\n{real}", SIDES[1]);
}

/// The lines that are not as told; empty when there are none.
fn differences(side: &str, told: &str, seen: &str) -> String {
    let lines = |text: &str| -> Vec<String> {
        text.trim().lines().map(|line| line.trim().to_owned()).collect()
    };
    let (told, seen) = (lines(told), lines(seen));
    let mut problems = String::new();
    for place in 0..told.len().max(seen.len()) {
        let (told, seen) = (told.get(place), seen.get(place));
        if told != seen {
            let line = |line: Option<&String>| line.map_or("nothing", |it| it).to_owned();
            let (told, seen) = (line(told), line(seen));
            writeln!(problems, "{side}, line {}: {seen}\n  told: {told}", place + 1)
                .expect("a string");
        }
    }
    problems
}

fn played<D: Driver>(side: &'static str, driver: D, history: History<D>) -> String {
    let mut play = Play { driver, side, seen: String::new() };
    history(&mut play);
    play.seen
}

/// What the worker makes of an answer.
pub(crate) fn class<T>(result: &Result<T, BrokerError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(BrokerError::Retriable(_)) => "retriable",
        Err(BrokerError::Abort(_)) => "abort",
        Err(BrokerError::Fenced(_)) => "fenced",
        Err(BrokerError::Fatal(_)) => "fatal",
    }
}

/// Offsets of a task, the relay's last.
pub(crate) fn offsets(partition: u32, relay: i64, metadata: &str) -> [TaskOffsets; 1] {
    [TaskOffsets { partition, next_offsets: [0, 0, relay], metadata: metadata.to_owned() }]
}

impl<D: Driver> Play<D> {
    /// Writes a line.
    pub(crate) fn note(&mut self, line: &str) {
        self.seen += line;
        self.seen.push('\n');
    }

    /// Repeats until there is a value.
    pub(crate) fn until<T>(&mut self, what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
        let give_up_at = self.driver.elapsed() + PATIENCE;
        loop {
            if let Some(value) = attempt() {
                return value;
            }
            assert!(
                self.driver.elapsed() < give_up_at,
                "{}: waited in vain for {what}, after:\n{}",
                self.side,
                self.seen
            );
            self.driver.pass();
        }
    }

    /// Calls again while the answer is `Retriable`.
    pub(crate) fn settled<T>(
        &mut self,
        what: &str,
        mut call: impl FnMut() -> Result<T, BrokerError>,
    ) -> Result<T, BrokerError> {
        self.until(what, || match call() {
            Err(BrokerError::Retriable(_)) => None,
            other => Some(other),
        })
    }

    /// Writes the class of the settled answer.
    pub(crate) fn call<T>(
        &mut self,
        what: &str,
        call: impl FnMut() -> Result<T, BrokerError>,
    ) -> Option<T> {
        let answer = self.settled(what, call);
        if let Err(error) = &answer {
            // Shown only when the test fails.
            println!("{}, {what}: {error}", self.side);
        }
        self.note(&format!("{what}: {}", class(&answer)));
        answer.ok()
    }

    /// Has to succeed, and is no news.
    pub(crate) fn must<T>(
        &mut self,
        what: &str,
        call: impl FnMut() -> Result<T, BrokerError>,
    ) -> T {
        let answer = self.settled(what, call);
        answer.unwrap_or_else(|error| {
            panic!("{}, {what}: {error:?}, after:\n{}", self.side, self.seen)
        })
    }

    /// Waits for what the group has to tell.
    pub(crate) fn event(&mut self, broker: &mut D::Broker) -> GroupEvent {
        self.until("an event of the group", || match broker.poll_group() {
            Ok(event) => event,
            Err(error) => panic!("could not poll: {error:?}"),
        })
    }

    /// Joins the group and reads every input of its tasks from the start.
    pub(crate) fn join(&mut self, broker: &mut D::Broker) -> Vec<u32> {
        let event = self.event(broker);
        let GroupEvent::Assigned(tasks) = event else { panic!("not assigned but {event:?}") };
        self.accept(broker, &tasks);
        tasks
    }

    /// Serves members, answering what the group tells them, until they have these tasks, and
    /// reads every input from the start.
    pub(crate) fn settle(&mut self, members: &mut [(&mut D::Broker, &[u32])]) {
        let give_up_at = self.driver.elapsed() + PATIENCE;
        let mut tasks = vec![Vec::new(); members.len()];
        while tasks.iter().zip(&*members).any(|(has, (_, wanted))| has != wanted) {
            for ((broker, _), has) in members.iter_mut().zip(&mut tasks) {
                match broker.poll_group().expect("poll") {
                    None => {}
                    Some(GroupEvent::Assigned(partitions)) => {
                        self.must("assign", || broker.assign(&partitions));
                        *has = partitions;
                    }
                    Some(GroupEvent::Revoked { .. }) => {
                        self.must("unassign", || broker.unassign());
                        has.clear();
                    }
                }
            }
            assert!(self.driver.elapsed() < give_up_at, "{tasks:?}, after:\n{}", self.seen);
            self.driver.pass();
        }
        for (broker, tasks) in members {
            self.read_from_start(broker, tasks);
        }
    }

    /// Accepts an assignment and reads every input of its tasks from the start.
    pub(crate) fn accept(&mut self, broker: &mut D::Broker, tasks: &[u32]) {
        self.must("assign", || broker.assign(tasks));
        self.read_from_start(broker, tasks);
    }

    fn read_from_start(&mut self, broker: &mut D::Broker, tasks: &[u32]) {
        for task in tasks {
            for input in Input::ALL {
                self.must("seek", || broker.seek(*task, input, 0));
            }
        }
    }

    /// Hands a record to the producer.
    pub(crate) fn queue(
        &mut self,
        broker: &mut D::Broker,
        (output, partition): (Output, u32),
        value: &str,
    ) -> Result<(), BrokerError> {
        let value = Some(value.as_bytes());
        let record = OutRecord { output, partition, key: Some(b"k"), value, headers: &[] };
        self.until("room in the queue", || match broker.send(&record) {
            Ok(Sent::Queued) => Some(Ok(())),
            Ok(Sent::QueueFull) => None,
            Err(error) => Some(Err(error)),
        })
    }

    /// Waits until everything is delivered.
    pub(crate) fn drain(&mut self, broker: &mut D::Broker) -> Result<(), BrokerError> {
        self.until("deliveries", || match broker.drained() {
            Ok(true) => Some(Ok(())),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        })
    }

    /// Sends a record and waits until it is delivered.
    pub(crate) fn send(
        &mut self,
        broker: &mut D::Broker,
        place: (Output, u32),
        value: &str,
    ) -> Result<(), BrokerError> {
        self.queue(broker, place, value)?;
        self.drain(broker)
    }

    /// Begins a transaction with these records, delivered.
    pub(crate) fn open(&mut self, broker: &mut D::Broker, records: &[(Output, u32, &str)]) {
        self.must("begin", || broker.begin());
        for (output, partition, value) in records {
            let sent = self.send(broker, (*output, *partition), value);
            assert_eq!(sent, Ok(()), "after:\n{}", self.seen);
        }
    }

    /// Commits the open transaction, renewing the producer where that is asked for.
    pub(crate) fn commit(&mut self, broker: &mut D::Broker) {
        if self.must("commit", || broker.commit()).renew_producer {
            self.must("init", || broker.init_producer());
        }
    }

    /// Aborts the open transaction, renewing the producer where that is asked for.
    pub(crate) fn abort(&mut self, broker: &mut D::Broker) {
        if self.must("abort", || broker.abort()).renew_producer {
            self.must("init", || broker.init_producer());
        }
    }

    /// Writes the committed offsets of a task, once they are told.
    pub(crate) fn note_committed(&mut self, broker: &mut D::Broker, partition: u32) {
        let committed = self.must("committed offsets", || broker.committed(partition));
        let CommittedOffsets { next_offsets, metadata } = committed;
        self.note(&match (next_offsets, metadata) {
            ([None, None, None], None) => format!("committed of {partition}: nothing"),
            ([Some(first), Some(second), Some(relay)], Some(metadata)) => {
                format!("committed of {partition}: {first} {second} {relay}, {metadata}")
            }
            partly => format!("committed of {partition}: {partly:?}"),
        });
    }

    /// Waits until the log of a relay ends here and writes it; the markers, which take an offset
    /// each, may come after the answer to a commit.
    pub(crate) fn note_end(&mut self, broker: &mut D::Broker, partition: u32, end: i64) {
        let mut marks = None;
        self.until(&format!("the end {end} of relay {partition}"), || {
            marks = match broker.watermarks(partition, Input::Relay) {
                Ok(marks) => Some(marks),
                Err(BrokerError::Retriable(_)) => None,
                Err(error) => panic!("{error:?}"),
            };
            marks.is_some_and(|marks| marks.high >= end).then_some(())
        });
        let marks = marks.expect("read");
        self.note(&format!("relay {partition}: from {} to {}", marks.low, marks.high));
    }

    /// Writes what a member is given of a relay from an offset until its position has reached
    /// this end of the log, and the sample of the ends that says so.
    pub(crate) fn note_fetched(
        &mut self,
        broker: &mut D::Broker,
        partition: u32,
        (from, end): (i64, i64),
    ) {
        self.note_end(broker, partition, end);
        self.must("seek", || broker.seek(partition, Input::Relay, from));
        let mut records = VecDeque::new();
        let position = self.until("the end of a relay", || {
            assert_eq!(broker.poll_group(), Ok(None));
            let fetched = broker.fetch(partition, Input::Relay, 10, &mut records);
            assert_eq!(fetched, Ok(()));
            // Where nothing lies nothing has moved the position yet.
            let position = broker.position(partition, Input::Relay).unwrap_or(from);
            (position >= end).then_some(position)
        });
        let sample = self.until("a sample of the ends", || {
            broker.end_offsets(partition).filter(|sample| sample.ends[Input::Relay.index()] >= end)
        });
        let told = told(&records);
        let end = sample.ends[Input::Relay.index()];
        self.note(&format!("fetched of {partition}: [{told}], at {position} of {end}"));
    }

    /// Writes what is restored of a changelog.
    pub(crate) fn note_restored(&mut self, broker: &mut D::Broker, partition: u32) {
        self.must("open the changelog", || broker.open_changelog(partition));
        let mut records = Vec::new();
        self.until("the end of the changelog", || {
            match broker.read_changelog(partition, 10, &mut records) {
                Ok(done) => done.then_some(()),
                Err(BrokerError::Retriable(_)) => None,
                Err(error) => panic!("{error:?}"),
            }
        });
        let values = records.iter().map(|it| text(it.value.as_deref())).collect::<Vec<_>>();
        self.note(&format!("restored of {partition}: [{}]", values.join(", ")));
    }

    /// Writes what an independent reader sees of a topic.
    pub(crate) fn note_read(&mut self, output: Output) {
        for (partition, offset, value) in self.driver.read(output) {
            self.note(&format!("{output:?} {partition} at {offset}: {value}"));
        }
    }
}

/// Offsets and values of fetched records.
pub(crate) fn told<R: Record>(records: &VecDeque<R>) -> String {
    let told = records.iter().map(|it| format!("{} {}", it.offset(), text(it.value())));
    told.collect::<Vec<_>>().join(", ")
}

/// A value as text.
pub(crate) fn text(value: Option<&[u8]>) -> String {
    value.map_or("deleted".to_owned(), |value| String::from_utf8_lossy(value).into_owned())
}
