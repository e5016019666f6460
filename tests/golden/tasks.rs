//! The tasks of all partitions in step, without a broker: what one tells another is handed over at
//! once.
//!
//! Decides nothing, and writes no text. Next: `shown.rs`, what becomes of what happened.

use ebbflow::codec::decoder::decode_json_line;
use ebbflow::config::{FileText, from_sources};
use ebbflow::domain::apply::Tally;
use ebbflow::domain::change::Change;
use ebbflow::domain::dimension::COUNT;
use ebbflow::domain::event::Body;
use ebbflow::domain::id::hash64;
use ebbflow::domain::mark::{Mark, SaltedId};
use ebbflow::domain::progress::Phase;
use ebbflow::domain::relay::Told;
use ebbflow::domain::rules::Rules;
use ebbflow::domain::time::Timestamp;
use ebbflow::task::relay::Outgoing;
use ebbflow::task::{EventRecord, PartitionTask, ProfileWrite, TaskConfig};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the scenarios lie.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// What a compacted topic holds: the last state of each subject, the marks of those who are gone.
#[derive(Default)]
struct Kept {
    states: BTreeMap<String, Vec<u8>>,
    marks: BTreeMap<SaltedId, Mark>,
}

/// What a commit wrote, of all tasks.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) profiles: Vec<(String, ProfileWrite)>,
    pub(crate) marks: Vec<Option<Mark>>,
    pub(crate) tallies: Vec<Tally>,
}

/// The tasks, and what is kept of them.
pub(crate) struct Tasks {
    rules: Arc<Rules>,
    tasks: Vec<PartitionTask>,
    kept: Vec<Kept>,
    offsets: i64,
}

impl Tasks {
    /// Tasks by the rules of a file of the folder, or by the defaults.
    pub(crate) fn new(rules: Option<&str>, partitions: u32) -> Self {
        let rules = Arc::new(rules_of(rules));
        let tasks = (0..partitions).map(|partition| task(partition, partitions, &rules)).collect();
        let kept = (0..partitions).map(|_| Kept::default()).collect();
        Self { rules, tasks, kept, offsets: 0 }
    }

    /// The clocks go on, and what is due fires.
    pub(crate) fn advance_to(&mut self, clock: Timestamp) {
        for task in &mut self.tasks {
            task.advance_to(clock);
            task.fire_timers(usize::MAX, None).expect("timers fire");
        }
    }

    /// A line is read: in the partition that it names, or in one that has nothing to do with its
    /// subject.
    pub(crate) fn read(&mut self, line: &str) {
        let rates = &self.rules.rates;
        let event = decode_json_line(line.as_bytes(), rates).expect("an event");
        self.advance_to(event.occurred_at);
        let partitions = self.tasks.len() as u64;
        let field: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let lies_in = field["partition"].as_u64().unwrap_or_else(|| hash64(line));
        let partition = usize::try_from(lies_in % partitions).expect("few");
        let (offset, at) = (self.offsets, event.occurred_at);
        self.offsets += 1;
        let input = usize::from(matches!(event.body, Body::Purchase(_)));
        let (topic, value) = ("events".into(), line.as_bytes());
        let record = EventRecord { input, topic: &topic, offset, event: &event, at, value };
        let teller = &mut self.tasks[partition];
        teller.handle_event(&record, None).expect("the event is applied");
        let mut told: VecDeque<Outgoing> = teller.take_outgoing().collect();
        while let Some(Outgoing { partition, relayed }) = told.pop_front() {
            let event = match &relayed.told {
                Told::Event { .. } => Some(&event),
                _ => None,
            };
            let task = &mut self.tasks[partition as usize];
            task.hand_over(relayed.clone(), event, None).expect("readable states");
            told.extend(task.take_outgoing());
        }
    }

    /// Everybody is judged by other rules.
    pub(crate) fn judge_by(&mut self, rules: &str) {
        self.rules = Arc::new(rules_of(Some(rules)));
        self.restart();
        for task in &mut self.tasks {
            while task.work_on_all(1, None).expect("readable states").is_some() {}
        }
    }

    /// The changes since the last call.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        self.tasks.iter_mut().flat_map(PartitionTask::take_changes).collect()
    }

    /// Commits, and keeps what a compacted topic does.
    pub(crate) fn commit(&mut self) -> Written {
        let mut written = Written::default();
        for (task, Kept { states, marks }) in self.tasks.iter_mut().zip(&mut self.kept) {
            task.pack(|id, packed, profile| {
                match packed {
                    Some(packed) => states.insert(id.to_owned(), packed.to_vec()),
                    None => states.remove(id),
                };
                written.profiles.push((id.to_owned(), profile));
            });
            for (id, mark) in task.marks() {
                match mark {
                    Some(mark) => marks.insert(*id, mark.clone()),
                    None => marks.remove(id),
                };
                written.marks.push(mark.cloned());
            }
            written.tallies.push(task.take_tally());
            task.commit().expect("readable states");
        }
        written
    }

    /// Tasks as a restart finds them; `progress` is what the next commit would write.
    pub(crate) fn restart(&mut self) {
        let partitions = u32::try_from(self.tasks.len()).expect("few");
        for (task, kept) in self.tasks.iter_mut().zip(&self.kept) {
            let progress = task.progress();
            *task = self::task(task.partition(), partitions, &self.rules);
            for (id, packed) in &kept.states {
                task.restore_state(id, Some(packed)).expect("a packed state");
            }
            for (id, mark) in &kept.marks {
                task.restore_mark(*id, Some(mark.clone()));
            }
            task.restore_progress(&progress).expect("few names");
        }
    }
}

/// The rules of a scenario, and everything that it writes: engagement too, which is not written
/// unless somebody asks for it.
fn rules_of(name: Option<&str>) -> Rules {
    let path = name.map(|name| folder().join(format!("{name}.toml")));
    let text = path.as_ref().map(|path| std::fs::read_to_string(path).expect("read"));
    let file = path.iter().zip(&text).map(|(path, text)| FileText { path, text }).next();
    let loaded = from_sources(file, [], &[]).unwrap_or_else(|error| panic!("{name:?}: {error}"));
    let mut rules = Rules::clone(&loaded.config.rules);
    rules.output.dimensions = [true; COUNT];
    rules
}

fn task(partition: u32, partitions: u32, rules: &Arc<Rules>) -> PartitionTask {
    let config = TaskConfig {
        application_id: "golden".into(),
        partition,
        partitions,
        rules: Arc::clone(rules),
        keys_are_trusted: false,
        profiles_on_touch: true,
        run_id: "golden".into(),
        rebuilt_at: Timestamp::MIN,
    };
    PartitionTask::new(config, 1, Phase::Live)
}
