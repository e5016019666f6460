//! What can go wrong, which of it goes wrong in a run, and how often it did.
//!
//! Swarm: each seed switches some kinds off, so that they do not hide one another.
//! Next: `broker.rs`, where most of them strike.

use crate::simulation::random::Random;
use std::collections::BTreeMap;

/// A kind of fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Fault {
    /// The process ends in front of a call's effect.
    CrashBefore,
    /// The process ends behind it.
    CrashAfter,
    /// The process stands still in front of a call, others go on.
    Stall,
    /// The same, long enough to lose its session and its transaction.
    LongStall,
    /// The same between the group's offsets and the changelog of a task.
    StallInRestore,
    /// What the group has to tell comes later.
    LateNews,
    /// A commit says "call again" and has not happened.
    CommitUnanswered,
    /// A commit says "call again" and has happened.
    CommitAnswerLost,
    /// A commit is fenced and has not happened.
    CommitFenced,
    /// A commit is fenced and has happened.
    CommitFencedAfterwards,
    /// The coordinator times the transaction out.
    TransactionTimeout,
    /// The end of a transaction took long: the producer is to be renewed.
    SlowEnd,
    /// Markers arrive one by one, later.
    SlowMarkers,
    /// A record is refused.
    SendRefused,
    /// A record is not delivered.
    Undelivered,
    /// Offsets are refused.
    OffsetsRefused,
    /// Offsets get no answer at first.
    OffsetsUnanswered,
    /// An abort gets no answer at first.
    AbortUnanswered,
    /// An abort is fenced.
    AbortFenced,
    /// The producer's queue is full.
    QueueFull,
    /// A producer cannot be initialised at once.
    InitUnanswered,
    /// A read of metadata gets no answer.
    Unanswered,
    /// Records arrive late.
    SlowFetch,
    /// The changelog arrives in small pieces.
    SlowChangelog,
    /// The changelog was compacted.
    Compaction,
    /// The group rebalances for no reason.
    Rebalance,
    /// An instance stops in good order, with or without leaving.
    Stop,
    /// The clocks of the hosts differ.
    ClockSkew,
}

impl Fault {
    pub(crate) const ALL: [Self; 28] = [
        Self::CrashBefore,
        Self::CrashAfter,
        Self::Stall,
        Self::LongStall,
        Self::StallInRestore,
        Self::LateNews,
        Self::CommitUnanswered,
        Self::CommitAnswerLost,
        Self::CommitFenced,
        Self::CommitFencedAfterwards,
        Self::TransactionTimeout,
        Self::SlowEnd,
        Self::SlowMarkers,
        Self::SendRefused,
        Self::Undelivered,
        Self::OffsetsRefused,
        Self::OffsetsUnanswered,
        Self::AbortUnanswered,
        Self::AbortFenced,
        Self::QueueFull,
        Self::InitUnanswered,
        Self::Unanswered,
        Self::SlowFetch,
        Self::SlowChangelog,
        Self::Compaction,
        Self::Rebalance,
        Self::Stop,
        Self::ClockSkew,
    ];

    /// Times of a thousand that it strikes where it can.
    const fn per_mille(self) -> usize {
        match self {
            Self::CrashBefore | Self::CrashAfter | Self::Stall => 2,
            Self::LongStall | Self::Rebalance | Self::Stop => 1,
            Self::SendRefused => 4,
            Self::StallInRestore => 30,
            Self::Undelivered => 20,
            Self::TransactionTimeout | Self::CommitFenced | Self::CommitFencedAfterwards => 25,
            Self::CommitUnanswered | Self::CommitAnswerLost | Self::OffsetsRefused => 40,
            Self::OffsetsUnanswered | Self::AbortFenced | Self::SlowEnd => 50,
            Self::QueueFull | Self::Unanswered => 80,
            Self::AbortUnanswered | Self::InitUnanswered => 200,
            Self::LateNews => 400,
            Self::SlowFetch | Self::SlowChangelog => 600,
            Self::Compaction | Self::SlowMarkers | Self::ClockSkew => 1000,
        }
    }
}

impl Fault {
    /// More often than this nothing would ever get done.
    const fn most(self) -> usize {
        match self {
            Self::Compaction | Self::SlowMarkers | Self::ClockSkew => 1000,
            Self::SlowFetch | Self::SlowChangelog | Self::LateNews => 700,
            _ => 300,
        }
    }
}

/// How often each kind struck.
pub(crate) type Counts = BTreeMap<Fault, u64>;

/// The faults of one run.
#[derive(Debug)]
pub(crate) struct Plan {
    on: BTreeMap<Fault, usize>,
    pub(crate) active: bool,
    random: Random,
    pub(crate) counts: Counts,
}

impl Plan {
    /// Each kind is off, rare or usual; `intensity` makes up for short runs.
    pub(crate) fn new(mut random: Random, intensity: usize) -> Self {
        let calm = random.chance(50);
        let mut on = BTreeMap::new();
        for fault in Fault::ALL {
            let rate = [0, 0, 1, 2][random.below(4)] * fault.per_mille() * intensity;
            if rate > 0 && !calm {
                on.insert(fault, rate.div_ceil(2).min(fault.most()));
            }
        }
        Self { on, active: true, random, counts: BTreeMap::new() }
    }

    /// A run in which nothing goes wrong.
    pub(crate) fn calm() -> Self {
        let (on, counts) = (BTreeMap::new(), BTreeMap::new());
        Self { on, active: false, random: Random::new(0), counts }
    }

    /// A run in which one kind strikes every time.
    pub(crate) fn always(fault: Fault) -> Self {
        let on = BTreeMap::from([(fault, 1000)]);
        Self { on, active: true, ..Self::calm() }
    }

    /// Whether it strikes here.
    pub(crate) fn strikes(&mut self, fault: Fault) -> bool {
        let rate = self.on.get(&fault).copied().unwrap_or(0);
        let strikes = self.active && rate > 0 && self.random.chance(rate);
        if strikes {
            *self.counts.entry(fault).or_default() += 1;
        }
        strikes
    }
}
