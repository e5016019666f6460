//! Deliberate bugs in the protocol, for the simulator to find.
//!
//! Never on in a program: without the feature `mutations` there is nothing to switch, and the
//! compiler drops every one of them. Next: `tests/simulation/mutations.rs`, which switches them on
//! one by one; `docs/correctness.md`, the table of what found them.

/// A deliberate bug: what is done wrong while it is on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Mutation {
    /// A transaction ends while records of it are on their way.
    CommitBeforeDrain,
    /// A transaction of timers alone sends no offsets, so the group fences nothing.
    TimersWithoutOffsets,
    /// A commit whose outcome is unknown counts as done.
    UnknownCommitCounts,
    /// The producer goes on after an end of transaction that took long.
    ProducerNotRenewed,
    /// An abort leaves the memory as the transaction made it.
    MemoryKeptAfterAbort,
    /// After an abort the inputs go on where they were.
    InputsNotRewound,
    /// A record that was refused by the broker is passed over.
    RefusalIgnored,
    /// Memory is trusted after a fencing, whatever was committed.
    FencedMemoryTrusted,
    /// A record that found the queue full counts as sent.
    FullQueueLosesRecords,
    /// Memory that was kept over a rebalance is trusted.
    KeptMemoryTrusted,
    /// The same, if the offsets fit: the commit counter is not compared.
    CommitCounterNotCompared,
    /// The end of the changelog is taken before the committed offsets are.
    ChangelogBeforeOffsets,
    /// The changelog is read to its last stable offset as of the start.
    ChangelogToStableEnd,
    /// A task begins at the ends of its inputs.
    StartAtEnd,
    /// A revoked task goes on writing.
    RevokedTaskWrites,
    /// Tombstones in the changelog are not read.
    TombstonesIgnored,
    /// The clock of a restored task begins anew.
    ClockNotRestored,
    /// The offset of the last record is committed, not that of the next.
    OffsetOfLastRecord,
    /// Pre-images are taken after the change.
    PreImageAfterChange,
    /// A rollback leaves the timers as they are.
    TimersNotRolledBack,
    /// Events go before deadlines that were due.
    EventsBeforeTimers,
    /// Memory of a lost session is kept as its transaction made it.
    LostMemoryKept,
    /// Memory that was kept is trusted, whatever lineage has begun.
    LineageNotCompared,
    /// Where a re-evaluation stands is not written: a restart forgets the rest.
    CursorNotWritten,
    /// New rules judge only customers to whom something happens before the first look at the rest.
    DormantNotJudged,
    /// An event goes before the new rules judge its customer.
    EventsBeforeNewRules,
    /// A deadline of the old rules fires, although the new ones have put it off.
    OldDeadlinesFire,
    /// The numbers of names begin anew under new rules.
    NamesNotRestored,
    /// An instance runs tasks that newer rules have judged.
    LowerRevisionRuns,
    /// Who is erased leaves the state and the profile in their topics.
    NoTombstones,
    /// Marks of erased customers are not read.
    MarksNotRestored,
    /// After a restart whoever comes back has the change ids of the first time.
    ErasuresNotCounted,
    /// Whoever becomes another one sends no state.
    StateNotSent,
    /// Whoever becomes another one sends its state twice.
    StateSentTwice,
    /// What goes round in a circle is not stopped.
    PathNotChecked,
    /// A redirect is set by whoever hears of a merge, before the state has gone.
    RedirectBeforeState,
    /// What is told others is sent when nobody can be sure that it is committed: after an abort.
    RelayKeptAfterAbort,
    /// Records of an earlier lineage are taken from the relay.
    RelayLineageNotCompared,
    /// Timers wait for nobody.
    HoldLeftOut,
    /// What waits for other tasks is not read after a restart.
    WaitingNotRestored,
    /// Nobody is told that somebody waits to become another one.
    WaitingMovesNotShown,
    /// What has waited is judged as of the clock.
    WaitingJudgedAtClock,
}

impl Mutation {
    /// Every one.
    pub const ALL: [Self; 42] = [
        Self::CommitBeforeDrain,
        Self::TimersWithoutOffsets,
        Self::UnknownCommitCounts,
        Self::ProducerNotRenewed,
        Self::MemoryKeptAfterAbort,
        Self::InputsNotRewound,
        Self::RefusalIgnored,
        Self::FencedMemoryTrusted,
        Self::FullQueueLosesRecords,
        Self::KeptMemoryTrusted,
        Self::CommitCounterNotCompared,
        Self::ChangelogBeforeOffsets,
        Self::ChangelogToStableEnd,
        Self::StartAtEnd,
        Self::RevokedTaskWrites,
        Self::TombstonesIgnored,
        Self::ClockNotRestored,
        Self::OffsetOfLastRecord,
        Self::PreImageAfterChange,
        Self::TimersNotRolledBack,
        Self::EventsBeforeTimers,
        Self::LostMemoryKept,
        Self::LineageNotCompared,
        Self::CursorNotWritten,
        Self::DormantNotJudged,
        Self::EventsBeforeNewRules,
        Self::OldDeadlinesFire,
        Self::NamesNotRestored,
        Self::LowerRevisionRuns,
        Self::NoTombstones,
        Self::MarksNotRestored,
        Self::ErasuresNotCounted,
        Self::StateNotSent,
        Self::StateSentTwice,
        Self::PathNotChecked,
        Self::RedirectBeforeState,
        Self::RelayKeptAfterAbort,
        Self::RelayLineageNotCompared,
        Self::HoldLeftOut,
        Self::WaitingNotRestored,
        Self::WaitingMovesNotShown,
        Self::WaitingJudgedAtClock,
    ];

    /// Whether it is on in this thread.
    #[cfg(feature = "mutations")]
    #[must_use]
    pub fn is_on(self) -> bool {
        ON.get() == Some(self)
    }

    /// Never.
    #[cfg(not(feature = "mutations"))]
    #[must_use]
    #[inline]
    pub const fn is_on(self) -> bool {
        false
    }
}

#[cfg(feature = "mutations")]
thread_local! {
    static ON: std::cell::Cell<Option<Mutation>> = const { std::cell::Cell::new(None) };
}

/// Switches one on in this thread, and any other off.
#[cfg(feature = "mutations")]
pub fn switch(mutation: Option<Mutation>) {
    ON.set(mutation);
}
