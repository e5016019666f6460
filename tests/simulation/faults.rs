//! What can go wrong, which of it goes wrong in a run, and how often it did.
//!
//! Swarm: each seed switches some kinds off, so that they do not hide one another.
//! Next: `broker.rs`, where most of them strike.

use crate::simulation::random::Random;
use std::collections::{BTreeMap, BTreeSet};

/// A kind of fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Fault {
    /// The process ends in front of a call's effect.
    CrashBefore,
    /// The process ends behind it.
    CrashAfter,
    /// The process stands still in front of a call, others go on.
    Stall,
    /// The same, long enough to lose its session and mostly its transaction.
    LongStall,
    /// The same, much longer than the transaction's time-out.
    ZombieStall,
    /// While a process stands still so long, another one of its name is started.
    Twin,
    /// A stall between the group's offsets and the changelog of a task.
    StallInRestore,
    /// The same between a revocation and the commit that answers it.
    StallInRevoke,
    /// What the group has to tell comes later.
    LateNews,
    /// A commit says "call again" and has not happened.
    CommitUnanswered,
    /// A commit says "call again" and has happened.
    CommitAnswerLost,
    /// A commit is refused for good and has not happened.
    CommitRefused,
    /// A commit is fenced and has not happened.
    CommitFenced,
    /// A commit is fenced and has happened.
    CommitFencedAfterwards,
    /// The coordinator times the transaction out.
    TransactionTimeout,
    /// The end of a transaction took long: the producer is to be renewed.
    SlowEnd,
    /// The end of a transaction is sent twice, and the first copy arrives much later.
    DelayedEnd,
    /// Markers arrive one by one, later.
    SlowMarkers,
    /// A record is refused.
    SendRefused,
    /// A record counts as not delivered, though it was.
    Undelivered,
    /// Offsets are refused.
    OffsetsRefused,
    /// Offsets get no answer at first.
    OffsetsUnanswered,
    /// Offsets get no answer at first and are in the transaction.
    OffsetsAnswerLost,
    /// An abort gets no answer at first.
    AbortUnanswered,
    /// An abort gets no answer at first and has happened.
    AbortAnswerLost,
    /// An abort is fenced.
    AbortFenced,
    /// The producer's queue is full.
    QueueFull,
    /// A producer cannot be initialised at once.
    InitUnanswered,
    /// A producer is initialised, which it does not hear of.
    InitAnswerLost,
    /// No call of anybody is answered for a while.
    BrokerDown,
    /// No schema can be fetched for a while.
    RegistryDown,
    /// A read of metadata gets no answer.
    Unanswered,
    /// Records arrive late.
    SlowFetch,
    /// The changelog arrives in small pieces.
    SlowChangelog,
    /// A changelog has nothing to read for long.
    SlowRestore,
    /// The changelog was compacted.
    Compaction,
    /// The same, long ago: deletions are gone too.
    TombstonesGone,
    /// The group rebalances for no reason.
    Rebalance,
    /// An instance stops in good order, with or without leaving.
    Stop,
    /// All instances stop and start again, one after the other.
    RollingDeploy,
    /// All instances are deployed anew with the next revision of the rules, one after the other.
    NewRules,
    /// The clocks of the hosts differ.
    ClockSkew,
    /// The clock of a host jumps by hours.
    ClockJump,
    /// The ends of the inputs cannot be asked for a while.
    EndsUnknown,
    /// A record counts as not delivered, and arrives much later.
    DelayedRecord,
}

impl Fault {
    pub(crate) const ALL: [Self; 45] = [
        Self::CrashBefore,
        Self::CrashAfter,
        Self::Stall,
        Self::LongStall,
        Self::ZombieStall,
        Self::Twin,
        Self::StallInRestore,
        Self::StallInRevoke,
        Self::LateNews,
        Self::CommitUnanswered,
        Self::CommitAnswerLost,
        Self::CommitRefused,
        Self::CommitFenced,
        Self::CommitFencedAfterwards,
        Self::TransactionTimeout,
        Self::SlowEnd,
        Self::DelayedEnd,
        Self::SlowMarkers,
        Self::SendRefused,
        Self::Undelivered,
        Self::OffsetsRefused,
        Self::OffsetsUnanswered,
        Self::OffsetsAnswerLost,
        Self::AbortUnanswered,
        Self::AbortAnswerLost,
        Self::AbortFenced,
        Self::QueueFull,
        Self::InitUnanswered,
        Self::InitAnswerLost,
        Self::BrokerDown,
        Self::RegistryDown,
        Self::Unanswered,
        Self::SlowFetch,
        Self::SlowChangelog,
        Self::SlowRestore,
        Self::Compaction,
        Self::TombstonesGone,
        Self::Rebalance,
        Self::Stop,
        Self::RollingDeploy,
        Self::NewRules,
        Self::ClockSkew,
        Self::ClockJump,
        Self::EndsUnknown,
        Self::DelayedRecord,
    ];

    /// Times of a thousand that it strikes where it can.
    const fn per_mille(self) -> usize {
        match self {
            Self::CrashBefore | Self::CrashAfter | Self::Stall => 2,
            Self::LongStall | Self::ZombieStall | Self::Rebalance | Self::Stop => 1,
            Self::BrokerDown | Self::RegistryDown | Self::RollingDeploy => 1,
            Self::SendRefused | Self::NewRules => 4,
            Self::ClockJump | Self::EndsUnknown => 5,
            Self::StallInRestore | Self::SlowRestore => 30,
            Self::Undelivered | Self::DelayedRecord => 20,
            Self::TransactionTimeout | Self::CommitFenced | Self::CommitFencedAfterwards => 25,
            Self::CommitRefused | Self::OffsetsAnswerLost => 25,
            Self::CommitUnanswered | Self::CommitAnswerLost | Self::OffsetsRefused => 40,
            Self::DelayedEnd | Self::InitAnswerLost => 50,
            Self::OffsetsUnanswered | Self::AbortFenced | Self::SlowEnd => 50,
            Self::QueueFull | Self::Unanswered => 80,
            Self::AbortUnanswered | Self::AbortAnswerLost | Self::InitUnanswered => 200,
            Self::StallInRevoke | Self::Twin => 100,
            Self::LateNews => 400,
            Self::SlowFetch | Self::SlowChangelog => 600,
            Self::Compaction | Self::TombstonesGone | Self::SlowMarkers | Self::ClockSkew => 1000,
        }
    }
}

impl Fault {
    /// More often than this nothing would ever get done.
    const fn most(self) -> usize {
        match self {
            Self::Compaction | Self::TombstonesGone | Self::SlowMarkers | Self::ClockSkew => 1000,
            Self::SlowFetch | Self::SlowChangelog | Self::LateNews => 700,
            _ => 300,
        }
    }
}

/// How often each kind struck.
pub(crate) type Counts = BTreeMap<Fault, u64>;

/// The kinds that a run may have; `None` = all.
pub(crate) type Only = Option<BTreeSet<Fault>>;

/// The faults of one run. Each kind draws from a stream of its own, so that switching one off
/// leaves the others where they were as far as it can.
#[derive(Debug)]
pub(crate) struct Plan {
    on: BTreeMap<Fault, (usize, Random)>,
    pub(crate) active: bool,
    pub(crate) counts: Counts,
}

impl Plan {
    /// Each kind is off, rare or usual; `intensity` makes up for short runs.
    pub(crate) fn new(mut random: Random, intensity: usize, only: &Only) -> Self {
        let calm = random.chance(50);
        let mut on = BTreeMap::new();
        for fault in Fault::ALL {
            let rate = [0, 0, 1, 2][random.below(4)] * fault.per_mille() * intensity;
            let stream = random.fork();
            let wanted = only.as_ref().is_none_or(|only| only.contains(&fault));
            if rate > 0 && !calm && wanted {
                on.insert(fault, (rate.div_ceil(2).min(fault.most()), stream));
            }
        }
        Self { on, active: true, counts: BTreeMap::new() }
    }

    /// A run in which nothing goes wrong.
    pub(crate) fn calm() -> Self {
        Self { on: BTreeMap::new(), active: false, counts: BTreeMap::new() }
    }

    /// A run in which one kind strikes every time.
    pub(crate) fn always(fault: Fault) -> Self {
        let on = BTreeMap::from([(fault, (1000, Random::new(0)))]);
        Self { on, active: true, ..Self::calm() }
    }

    /// Whether it may strike.
    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.active && self.on.contains_key(&fault)
    }

    /// Whether it strikes here.
    pub(crate) fn strikes(&mut self, fault: Fault) -> bool {
        let Some((rate, random)) = self.on.get_mut(&fault).filter(|_| self.active) else {
            return false;
        };
        let strikes = random.chance(*rate);
        if strikes {
            *self.counts.entry(fault).or_default() += 1;
        }
        strikes
    }
}
