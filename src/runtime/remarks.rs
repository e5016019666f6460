//! What a worker remarks in the log: the first of its kind at once, then a count once a minute.
//!
//! Never names a customer. Next: `commit.rs`, where there is something to remark.

use std::collections::BTreeMap;

/// Time between two lines about the same, in ms.
const EVERY_MS: i64 = 60_000;

/// The remarks of one worker.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    letters: Limit<(&'static str, &'static str)>,
    troubles: Limit<&'static str>,
}

impl Remarks {
    /// Committed dead letters: topic, reason, count.
    pub(super) fn refused(
        &mut self,
        letters: impl Iterator<Item = (&'static str, &'static str, u64)>,
        now_ms: i64,
    ) {
        for (topic, reason, count) in letters {
            self.letters.count((topic, reason), count);
        }
        self.tell_refused(now_ms);
    }

    /// Tells of the dead letters that were held back and whose minute is over.
    pub(super) fn tell_refused(&mut self, now_ms: i64) {
        for ((topic, reason), count) in self.letters.due(now_ms) {
            tracing::warn!(topic, reason, count, "records refused: {}", advice(reason));
        }
    }

    /// Something that is tried again until it succeeds; `what` is one of few, `told` whether the
    /// log says why already.
    pub(super) fn trying_again(
        &mut self,
        what: &'static str,
        reason: &str,
        told: bool,
        now_ms: i64,
    ) {
        self.troubles.count(what, 1);
        if !told && self.troubles.take(&what, now_ms).is_some() {
            tracing::warn!(reason, "{what}; trying again");
        } else {
            tracing::debug!(reason, "{what}; trying again");
        }
    }
}

impl Remarks {
    /// A task waits for somebody to do something.
    pub(super) fn stands_still(&mut self, partition: u32, reason: &str, now_ms: i64) {
        let what = "a task stands still";
        self.troubles.count(what, 1);
        if self.troubles.take(&what, now_ms).is_some() {
            tracing::error!(partition, reason, "{what}; its clock, and others' timers, wait");
        }
    }
}

/// What to do about dead letters of a reason.
fn advice(reason: &str) -> &'static str {
    match reason {
        "misrouted" => {
            "they are not in their customer's partition; producers on librdkafka need \
             partitioner=murmur2_random"
        }
        "unknown_currency" => "add their currency to [rates]; then send them again",
        "unknown_kind" => "docs/events.md lists the kinds; correct the producer",
        _ => "the header \"detail\" of the dead letters says what is wrong",
    }
}

/// Counts by key, told at most once a minute each.
#[derive(Debug)]
struct Limit<K> {
    /// What was not told yet, and when the next line may be written.
    held: BTreeMap<K, (u64, i64)>,
}

impl<K> Default for Limit<K> {
    fn default() -> Self {
        Self { held: BTreeMap::new() }
    }
}

impl<K: Ord + Copy> Limit<K> {
    fn count(&mut self, key: K, count: u64) {
        self.held.entry(key).or_insert((0, i64::MIN)).0 += count;
    }

    /// The count of a key, if it may be told now, which it is with this.
    fn take(&mut self, key: &K, now_ms: i64) -> Option<u64> {
        let (count, next_ms) = self.held.get_mut(key)?;
        if *count == 0 || now_ms < *next_ms {
            return None;
        }
        *next_ms = now_ms + EVERY_MS;
        Some(std::mem::take(count))
    }

    /// Every count that may be told now.
    fn due(&mut self, now_ms: i64) -> Vec<(K, u64)> {
        let keys: Vec<K> = self.held.keys().copied().collect();
        keys.into_iter().filter_map(|key| Some((key, self.take(&key, now_ms)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_then_one_a_minute_with_their_number() {
        let mut limit = Limit::default();
        limit.count("a", 1);
        assert_eq!(limit.due(5), [("a", 1)]);
        assert_eq!(limit.due(6), []);
        for now_ms in 10..1_010 {
            limit.count("a", 2);
            assert_eq!(limit.due(now_ms), []);
        }
        limit.count("b", 7);
        assert_eq!(limit.due(59_000), [("b", 7)]);
        assert_eq!(limit.due(60_005), [("a", 2_000)]);
        assert_eq!(limit.due(600_000), []);
        limit.count("a", 1);
        assert_eq!(limit.due(600_001), [("a", 1)]);
    }

    #[test]
    fn the_reasons_that_a_setting_mends_have_advice() {
        assert!(advice("misrouted").contains("murmur2_random"));
        assert!(advice("unknown_currency").contains("[rates]"));
        assert!(advice("unknown_kind").contains("docs/events.md"));
    }
}
