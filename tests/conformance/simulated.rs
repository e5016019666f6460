//! The simulated cluster, on which nothing goes wrong but what the history does.
//!
//! Its time is virtual: it passes only while a history waits. Next: `tests/simulation/cluster.rs`.

use crate::play::{Driver, Times, text};
use crate::simulation::{Cluster, Plan, REVISION, Random, SimBroker, Stage, Topic, rules};
use ebbflow::codec::encode::OutputFormat;
use ebbflow::config::CommitConfig;
use ebbflow::domain::time::Timestamp;
use ebbflow::runtime::broker::Output;
use ebbflow::runtime::settings::Settings;
use ebbflow::task::TaskConfig;
use std::rc::Rc;
use std::time::Duration;

const PARTITIONS: u32 = 2;
/// What passes between two attempts, in ms.
const MOMENT_MS: i64 = 10;

/// A simulated cluster.
pub(crate) struct Simulated {
    stage: Rc<Stage>,
}

impl Simulated {
    pub(crate) fn new(times: Times) -> Self {
        let ms = |time: Duration| i64::try_from(time.as_millis()).expect("a short time");
        // It has no heartbeats beside the polls.
        let session_ms = ms(times.session + times.max_poll);
        let cluster = Cluster::new(PARTITIONS, session_ms, ms(times.transaction), Random::new(1));
        let stage = Stage::new(cluster, Plan::calm(), Random::new(2), settings(), false, 0);
        Self { stage }
    }

    fn connect(&self, place: usize) -> SimBroker {
        SimBroker::new(Rc::clone(&self.stage), place, Rc::default())
    }
}

/// Nobody reads them: no worker is on the stage.
fn settings() -> Settings {
    Settings {
        task: TaskConfig {
            application_id: "conformance".into(),
            partition: 0,
            partitions: PARTITIONS,
            rules: rules(REVISION, false),
            keys_are_trusted: true,
            profiles_on_touch: false,
            run_id: "run".into(),
            rebuilt_at: Timestamp::MIN,
        },
        topics: ["interactions", "purchases", "relay"].map(Into::into),
        commit: CommitConfig {
            idle_gap: Duration::ZERO,
            interval: Duration::ZERO,
            max_records: 1,
            max_bytes: 1,
        },
        wall_clock: true,
        max_hold: None,
        timers_per_round: 1,
        unpacked: 4_096,
        dead_letter_max_bytes: 1,
        changes: OutputFormat::Json,
        profiles: OutputFormat::Json,
        leave_on_stop: false,
        until_end: None,
        forgetful: false,
        commit_patience: Duration::ZERO,
    }
}

impl Driver for Simulated {
    type Broker = SimBroker;

    fn member(&mut self, place: usize) -> SimBroker {
        self.connect(place)
    }

    fn double(&mut self, place: usize) -> SimBroker {
        // It is no member before it polls.
        self.connect(place)
    }

    fn pass(&mut self) {
        self.stage.pass(MOMENT_MS);
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.stage.now_ms().unsigned_abs())
    }

    fn read(&mut self, output: Output) -> Vec<(u32, i64, String)> {
        let topic = Topic::from(output);
        let mut cluster = self.stage.cluster.borrow_mut();
        let mut records = Vec::new();
        for partition in 0..PARTITIONS {
            let committed = cluster.log(topic, partition).committed();
            records.extend(
                committed
                    .map(|(offset, payload)| (partition, offset, text(payload.value.as_deref()))),
            );
        }
        records
    }
}
