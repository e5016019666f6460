//! A partition's log: records, transactions that are open, committed or aborted, and the control
//! markers that take an offset each.
//!
//! Knows nothing of producers' epochs. Next: `cluster.rs`.

use ebbflow::domain::time::Timestamp;
use std::collections::BTreeMap;

/// What a producer wrote.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Payload {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) at: Timestamp,
    /// The transaction of an instance that it is part of; zero for everything else.
    pub(crate) transaction: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Committed,
    Open(u64),
    Aborted,
    Marker,
}

/// One partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    entries: Vec<(Payload, Fate)>,
    /// Open transactions: producer to first offset.
    open: BTreeMap<u64, i64>,
    low: i64,
}

pub(crate) fn place(offset: i64) -> usize {
    usize::try_from(offset).unwrap()
}

impl Log {
    /// High watermark.
    pub(crate) fn end(&self) -> i64 {
        i64::try_from(self.entries.len()).unwrap()
    }

    /// First offset that can be read.
    pub(crate) const fn low(&self) -> i64 {
        self.low
    }

    /// Deletes what lies before this offset, as retention does.
    pub(crate) fn delete_before(&mut self, offset: i64) {
        self.low = offset.min(self.end());
    }

    /// Last stable offset: what lies behind is decided.
    pub(crate) fn stable_end(&self) -> i64 {
        self.open.values().copied().min().unwrap_or_else(|| self.end())
    }

    /// Appends; without a producer the record is outside of any transaction.
    pub(crate) fn append(&mut self, payload: Payload, producer: Option<u64>) -> i64 {
        let offset = self.end();
        let fate = match producer {
            Some(producer) => {
                self.open.entry(producer).or_insert(offset);
                Fate::Open(producer)
            }
            None => Fate::Committed,
        };
        self.entries.push((payload, fate));
        offset
    }

    /// Writes the marker that ends a producer's transaction here.
    pub(crate) fn decide(&mut self, producer: u64, commit: bool) {
        if let Some(first) = self.open.remove(&producer) {
            let fate = if commit { Fate::Committed } else { Fate::Aborted };
            for (_, present) in &mut self.entries[place(first)..] {
                if *present == Fate::Open(producer) {
                    *present = fate;
                }
            }
        }
        self.entries.push((Payload::default(), Fate::Marker));
    }

    /// The first offset at or after `from` that a read_committed reader is given, or where it has
    /// to wait.
    pub(crate) fn next_visible(&self, from: i64) -> i64 {
        let stable = self.stable_end();
        (from..stable)
            .find(|offset| self.entries[place(*offset)].1 == Fate::Committed)
            .unwrap_or_else(|| stable.max(from))
    }

    /// The record at an offset that `next_visible` gave; `None` where the reader has to wait.
    pub(crate) fn visible(&self, offset: i64) -> Option<&Payload> {
        let readable = offset < self.stable_end();
        let (payload, fate) = self.entries.get(place(offset)).filter(|_| readable)?;
        (*fate == Fate::Committed).then_some(payload)
    }

    /// Everything that a read_committed reader sees.
    pub(crate) fn committed(&self) -> impl Iterator<Item = (i64, &Payload)> {
        let stable = place(self.stable_end());
        (0..)
            .zip(&self.entries[..stable])
            .filter(|(offset, (_, fate))| *fate == Fate::Committed && *offset >= self.low)
            .map(|(offset, (payload, _))| (offset, payload))
    }

    /// Tombstones that were rolled back.
    pub(crate) fn aborted_tombstones(&self) -> usize {
        let deletes = |payload: &Payload| payload.key.is_some() && payload.value.is_none();
        let aborted = self.entries.iter().filter(|(_, fate)| *fate == Fate::Aborted);
        aborted.filter(|(payload, _)| deletes(payload)).count()
    }

    /// Offsets below `clean` that a compaction leaves out: an overwritten value of their key, and
    /// deletions, once they were kept for long enough.
    pub(crate) fn cleaned(&self, clean: i64, tombstones: bool) -> Vec<i64> {
        let mut last = BTreeMap::new();
        let mut gone = Vec::new();
        for (offset, payload) in self.committed().filter(|(offset, _)| *offset < clean) {
            gone.extend(last.insert(payload.key.clone(), offset));
            if tombstones && payload.value.is_none() {
                gone.push(offset);
            }
        }
        gone
    }
}
