//! What is done to the instances, the brokers and the network, by a seed; and the doing of it.
//!
//! Every fault ends with waiting until committed output comes out of every partition again: a
//! service that does not get going by itself fails here. Next: `oracle.rs`.

use crate::cluster::{self, Cluster};
use crate::fleet::{self, Fleet, PROXIED};
use crate::load::Load;
use crate::proxy::Proxy;
use crate::witness::Witness;
use crate::workload::Random;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

/// `kafka.session_timeout` of the instances.
pub(crate) const SESSION: Duration = Duration::from_secs(2);
/// `kafka.transaction_timeout` of the instances.
pub(crate) const TRANSACTION: Duration = Duration::from_secs(4);
/// How long the service may take to go on after a fault, on a slow machine.
const GOES_ON_WITHIN: Duration = Duration::from_secs(90);

/// One thing that goes wrong, or is done on purpose.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Fault {
    /// `kill -9` and a new start after a while.
    Kill { instance: usize, away: Duration },
    /// SIGSTOP, and SIGCONT after the session is over.
    Suspend { instance: usize, time: Duration },
    /// The same, after the transaction has timed out too.
    SuspendLong { instance: usize, time: Duration },
    /// `kill -9` of a broker, or of the one that coordinates the group; meanwhile perhaps also of
    /// an instance.
    KillBroker { broker: Option<usize>, away: Duration, instance: Option<usize> },
    /// Everything that passes to and from one instance waits.
    Delay { time: Duration, by: Duration },
    /// The connections of one instance break, several times.
    Cut { times: u32, every: Duration },
    /// SIGTERM to all, and a new start of all.
    RestartAll,
    /// From three instances to one and back: by going away, then by leaving the group.
    Scale,
    /// One instance after the other gets other settings.
    RollingConfig,
}

/// Names of the kinds, in the order of [`Fault::kind`].
pub(crate) const KINDS: [&str; 9] = [
    "kill -9 of an instance",
    "suspended beyond the session",
    "suspended beyond the transaction",
    "kill -9 of a broker",
    "network delayed",
    "network cut",
    "clean restart of all",
    "scale 3 -> 1 -> 3 -> 1 -> 3",
    "rolling config change",
];

impl Fault {
    pub(crate) fn kind(self) -> usize {
        match self {
            Self::Kill { .. } => 0,
            Self::Suspend { .. } => 1,
            Self::SuspendLong { .. } => 2,
            Self::KillBroker { .. } => 3,
            Self::Delay { .. } => 4,
            Self::Cut { .. } => 5,
            Self::RestartAll => 6,
            Self::Scale => 7,
            Self::RollingConfig => 8,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(KINDS[self.kind()])?;
        match self {
            Self::Kill { instance, away } => write!(f, " ({instance:02}, away {away:?})"),
            Self::Suspend { instance, time } | Self::SuspendLong { instance, time } => {
                write!(f, " ({instance:02} for {time:?})")
            }
            Self::KillBroker { broker, away, instance } => {
                match broker {
                    Some(broker) => write!(f, " ({}", broker + 1)?,
                    None => f.write_str(" (the group's coordinator")?,
                }
                write!(f, ", away {away:?}")?;
                match instance {
                    Some(instance) => write!(f, ", meanwhile of {instance:02})"),
                    None => f.write_str(")"),
                }
            }
            Self::Delay { time, by } => write!(f, " ({by:?} for {time:?})"),
            Self::Cut { times, every } => write!(f, " ({times} times, every {every:?})"),
            Self::RestartAll | Self::Scale | Self::RollingConfig => Ok(()),
        }
    }
}

/// So many rounds of every kind, each round in an order of its own; instances and brokers are hit
/// in rotation.
pub(crate) fn plan(seed: u64, rounds: usize) -> Vec<Fault> {
    let mut random = Random(seed);
    let mut faults = Vec::new();
    for round in 0..rounds {
        let instance = |kind: usize| (round + kind) % fleet::SIZE;
        let mut ms = |from: i64, below: i64| {
            Duration::from_millis((from + random.below(below - from)).unsigned_abs())
        };
        let session = i64::try_from(SESSION.as_millis()).expect("short");
        let both = session + i64::try_from(TRANSACTION.as_millis()).expect("short");
        let mut kinds = vec![
            Fault::Kill { instance: instance(0), away: ms(0, 500) },
            // Its partitions are given to others before it is back.
            Fault::Kill { instance: instance(1), away: ms(session + 500, session + 2000) },
            Fault::Suspend { instance: instance(2), time: ms(session + 500, session + 2000) },
            Fault::SuspendLong { instance: instance(0), time: ms(both + 500, both + 2500) },
            Fault::KillBroker {
                broker: (round % 2 == 1).then_some(round / 2 % cluster::SIZE),
                away: ms(500, 6000),
                instance: (round % 2 == 1).then(|| instance(1)),
            },
            Fault::Delay { time: ms(2000, 4000), by: ms(20, 400) },
            Fault::Cut { times: 4, every: ms(100, 900) },
            Fault::RestartAll,
            Fault::Scale,
            Fault::RollingConfig,
        ];
        while !kinds.is_empty() {
            let count = i64::try_from(kinds.len()).expect("few");
            let at = usize::try_from(random.below(count)).expect("not negative");
            faults.push(kinds.swap_remove(at));
        }
    }
    faults
}

/// All that can be broken.
pub(crate) struct Scene {
    pub(crate) cluster: Cluster,
    /// The consumer group of the instances.
    pub(crate) group: String,
    pub(crate) proxies: [Proxy; cluster::SIZE],
    pub(crate) fleet: Fleet,
    pub(crate) witness: Witness,
    pub(crate) load: Load,
}

impl Scene {
    /// Does it, and waits until the service goes on. Returns the longest time that a partition
    /// stood still meanwhile.
    pub(crate) fn suffer(&mut self, fault: Fault) -> Duration {
        let began = Instant::now();
        self.inflict(fault);
        self.wait_until_all_go_on();
        let stalls = self.witness.stalls_since(began);
        stalls.first().map_or(Duration::ZERO, |stall| stall.time)
    }

    fn inflict(&mut self, fault: Fault) {
        match fault {
            Fault::Kill { instance, away } => {
                self.fleet.kill(instance);
                self.hold(away);
                self.fleet.start(instance);
            }
            Fault::Suspend { instance, time } | Fault::SuspendLong { instance, time } => {
                self.fleet.suspend(instance);
                self.hold(time);
                self.fleet.resume(instance);
            }
            Fault::KillBroker { broker, away, instance } => {
                // Two at once would be more than the replicas promise to survive.
                self.cluster.await_in_sync();
                let broker = broker.unwrap_or_else(|| self.cluster.coordinator(&self.group));
                self.cluster.kill(broker);
                self.hold(away / 2);
                if let Some(instance) = instance {
                    self.fleet.kill(instance);
                    self.fleet.start(instance);
                }
                self.hold(away / 2);
                let began = Instant::now();
                self.cluster.run(broker);
                let (ready, load) = (began.elapsed(), self.load.longest_gap());
                self.cluster.await_in_sync();
                println!(
                    "          broker ready after {ready:.1?}, in sync after {:.1?}; \
                     the load stood still for up to {load:.1?}",
                    began.elapsed()
                );
            }
            Fault::Delay { time, by } => {
                self.proxies.iter().for_each(|proxy| proxy.delay(by));
                self.hold(time);
                self.proxies.iter().for_each(|proxy| proxy.delay(Duration::ZERO));
            }
            Fault::Cut { times, every } => {
                for _ in 0..times {
                    self.proxies.iter().for_each(Proxy::cut);
                    self.hold(every);
                }
            }
            Fault::RestartAll => {
                self.fleet.stop(&[0, 1, 2]);
                (0..fleet::SIZE).for_each(|index| self.fleet.start(index));
            }
            Fault::Scale => self.scale(),
            Fault::RollingConfig => {
                for index in 0..fleet::SIZE {
                    self.fleet.change_config(index);
                    self.fleet.stop(&[index]);
                    self.fleet.start(index);
                    self.wait_until_all_go_on();
                }
            }
        }
    }

    fn scale(&mut self) {
        let rest = [1, PROXIED];
        // They stay members until the session is over.
        self.fleet.stop(&rest);
        self.wait_until_all_go_on();
        for index in rest {
            self.fleet.start_with(index, &["leave_on_stop=true"]);
        }
        self.wait_until_all_go_on();
        // They leave for good.
        self.fleet.stop(&rest);
        self.wait_until_all_go_on();
        rest.iter().for_each(|index| self.fleet.start(*index));
    }

    /// Lets time pass.
    fn hold(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.fleet.tend();
            let left = until.saturating_duration_since(Instant::now());
            thread::sleep(left.min(Duration::from_millis(100)));
        }
    }

    /// Waits until every partition has had something committed from now on, if there is load.
    pub(crate) fn wait_until_all_go_on(&mut self) {
        let began = Instant::now();
        while !self.load.is_over() && !self.witness.all_since(began) {
            assert!(began.elapsed() < GOES_ON_WITHIN, "it does not go on after a fault");
            self.hold(Duration::from_millis(50));
        }
    }
}
