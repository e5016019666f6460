//! Tasks of all partitions, and the relay between them, without a broker: what is told arrives in
//! its order of each partition, whenever the test says so.
//!
//! Decides nothing. Next: `identity.rs`, which asks what comes of it.

use ebbflow::codec::relay::{decode_relayed, encode_relayed};
use ebbflow::domain::apply::Relays;
use ebbflow::domain::change::Change;
use ebbflow::domain::customer::Customer;
use ebbflow::domain::event::{Body, Event};
use ebbflow::domain::id::{partition_of, salted_id};
use ebbflow::domain::progress::Phase;
use ebbflow::domain::relay::{Relayed, Told};
use ebbflow::domain::rules::Rules;
use ebbflow::domain::time::Timestamp;
use ebbflow::task::store::look_up;
use ebbflow::task::{EventRecord, PartitionTask, TaskConfig};
use std::collections::VecDeque;
use std::sync::Arc;

const LINEAGE: u32 = 1;

/// The tasks and what lies in the relay.
pub(crate) struct Network {
    pub(crate) tasks: Vec<PartitionTask>,
    rules: Arc<Rules>,
    relay: Vec<VecDeque<Vec<u8>>>,
    /// What was read; the value of a record is the number of its event.
    events: Vec<Event<'static>>,
    offsets: i64,
    pub(crate) changes: Vec<Change>,
}

impl Network {
    pub(crate) fn new(rules: &Arc<Rules>, partitions: u32, clock: Timestamp) -> Self {
        let task = |partition| {
            let config = TaskConfig {
                application_id: "test".into(),
                partition,
                partitions,
                rules: Arc::clone(rules),
                keys_are_trusted: false,
                profiles_on_touch: false,
                run_id: "run".into(),
                rebuilt_at: Timestamp::MIN,
            };
            let mut task = PartitionTask::new(config, LINEAGE, Phase::Live);
            task.advance_to(clock);
            task
        };
        Self {
            tasks: (0..partitions).map(task).collect(),
            rules: Arc::clone(rules),
            relay: (0..partitions).map(|_| VecDeque::new()).collect(),
            events: Vec::new(),
            offsets: 0,
            changes: Vec::new(),
        }
    }

    /// An event is read in a partition.
    pub(crate) fn read(&mut self, partition: usize, event: &Event<'static>) {
        let value = self.events.len().to_be_bytes();
        self.events.push(event.clone());
        let (input, topic) = match event.body {
            Body::Interaction(_) => (0, "interactions"),
            Body::Purchase(_) => (1, "purchases"),
        };
        let (offset, at) = (self.offsets, event.occurred_at);
        self.offsets += 1;
        let topic = topic.into();
        let record = EventRecord { input, topic: &topic, offset, event, at, value: &value };
        let task = &mut self.tasks[partition];
        task.handle_event(&record, None).expect("no key is trusted");
        self.commit(partition);
    }

    /// A partition takes its next record of the relay; false when there is none.
    pub(crate) fn deliver(&mut self, partition: usize) -> bool {
        let Some(value) = self.relay[partition].pop_front() else { return false };
        let (lineage, relayed) = decode_relayed(&value).expect("as it was written");
        assert_eq!(lineage, LINEAGE);
        let event = event_in(&relayed, &self.events);
        let offset = self.offsets;
        self.offsets += 1;
        let task = &mut self.tasks[partition];
        task.handle_relayed((2, offset), relayed, event.as_ref(), None).expect("readable states");
        self.commit(partition);
        true
    }

    /// Everything in the relay arrives, and what comes of it.
    ///
    /// # Panics
    /// When it does not come to rest.
    pub(crate) fn drain(&mut self) {
        let mut delivered = 0;
        while (0..self.tasks.len()).any(|partition| self.deliver(partition)) {
            delivered += 1;
            assert!(delivered < 100_000, "the relay does not come to rest");
        }
    }

    /// A subject is told something without a record of the relay.
    pub(crate) fn tell(&mut self, relayed: Relayed<'_>) {
        let partition = self.partition_of(&relayed.to);
        self.tasks[partition].hand_over(relayed, None, None).expect("readable states");
        self.commit(partition);
    }

    /// From now on all tasks wait for others that have come so far: what is due by then is told,
    /// in between goes on what had to wait for it.
    pub(crate) fn release(&mut self, until: Timestamp) {
        for partition in 0..self.tasks.len() {
            let task = &mut self.tasks[partition];
            task.let_events_wait(true);
            task.hold(Some(until));
            loop {
                task.fire_timers(usize::MAX, None).expect("readable states");
                let Some(first) = task.first_waited().expect("readable states") else { break };
                let event = event_in(first, &self.events);
                task.end_wait(event.as_ref(), None).expect("readable states");
            }
            self.commit(partition);
        }
    }

    /// Records that wait in all tasks.
    pub(crate) fn waiting(&self) -> u64 {
        self.tasks.iter().map(PartitionTask::waiting).sum()
    }

    /// What all tasks counted of the relay since the last call.
    pub(crate) fn take_relays(&mut self) -> Relays {
        let mut relays = Relays::default();
        for task in &mut self.tasks {
            relays.add(task.take_tally().relayed);
        }
        relays
    }

    fn commit(&mut self, partition: usize) {
        let task = &mut self.tasks[partition];
        self.changes.extend(task.take_changes());
        for outgoing in task.take_outgoing() {
            let mut value = Vec::new();
            encode_relayed(LINEAGE, &outgoing.relayed, &mut value);
            self.relay[outgoing.partition as usize].push_back(value);
        }
        task.pack(|_, _, _| {});
        task.commit().expect("readable states");
    }

    fn partition_of(&self, id: &str) -> usize {
        partition_of(id, u32::try_from(self.tasks.len()).expect("few")) as usize
    }

    fn home(&self, id: &str) -> &PartitionTask {
        &self.tasks[self.partition_of(id)]
    }

    /// What is known of a subject.
    pub(crate) fn subject(&self, id: &str) -> Option<Customer> {
        look_up(self.home(id).store().committed(), id, &self.rules).expect("readable states")
    }

    /// Whom an id is known as: itself, or whom it became.
    ///
    /// # Panics
    /// When redirects go in a circle.
    pub(crate) fn whoever_is(&self, id: &str) -> String {
        let mut id = id.to_owned();
        for _ in 0..50 {
            let mark = salted_id(&self.rules.fold.erase_salt, &id);
            let to = self.home(&id).committed_marks().get(&mark).map(|mark| mark.to.clone());
            match to.flatten() {
                Some(to) => id = to.into(),
                None => return id,
            }
        }
        panic!("{id} goes in a circle");
    }

    /// Subjects of all partitions.
    pub(crate) fn subjects(&self) -> Vec<Customer> {
        let all = self.tasks.iter().flat_map(|task| task.store().customers(&self.rules));
        all.map(|customer| customer.expect("readable states")).collect()
    }
}

/// The event in what is told.
fn event_in(relayed: &Relayed<'_>, events: &[Event<'static>]) -> Option<Event<'static>> {
    let Told::Event { value, .. } = &relayed.told else { return None };
    Some(events[usize::from_be_bytes((**value).try_into().expect("eight bytes"))].clone())
}
