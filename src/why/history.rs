//! The changes of a customer that are still kept, oldest first, one line each.
//!
//! What was told before an erase is not shown; a change that cannot be read hides no other.
//! Next: `kafka/key_records.rs`, which reads the one partition of `segment-changes` that holds
//! them.

use crate::codec::state::erased_key;
use crate::config::Config;
use crate::domain::id::{partition_of, salted_id};
use crate::domain::time::Timestamp;
use crate::kafka::key_records;
use crate::registry::Registry;
use crate::why::WhyError;
use crate::why::change::{Change, Reader};
use crate::why::words::{clean, exactly, instant};

/// The cause of a change that closes a dimension because its customer is erased.
const ERASE: &str = "erase";

/// The changes, in the order of their log.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) changes: Vec<Change>,
    /// Changes that cannot be read, in the order of the log too.
    pub(super) unreadable: Vec<Unreadable>,
    /// The state has a mark of an erase: all of it was told before.
    pub(super) marked_erased: bool,
    /// Where they were read.
    pub(super) place: String,
    /// The first record that is still there, when older ones of the log are gone.
    pub(super) reaches_back_to: Option<Timestamp>,
}

/// A record that holds no change that can be read.
#[derive(Clone, Debug)]
pub(super) struct Unreadable {
    /// Place among the changes: before the one of this index.
    pub(super) before: usize,
    pub(super) offset: i64,
    pub(super) reason: String,
}

/// Reads the customer's changes from `segment-changes`.
///
/// # Errors
/// When the cluster does not answer.
pub(super) fn read(config: &Config, id: &str) -> Result<History, WhyError> {
    let topic = &config.topics.segment_changes;
    let found = key_records::read(config, topic, id.as_bytes(), |count| partition_of(id, count))
        .map_err(|error| WhyError::Failed(error.to_string()))?;
    let registry = config.registry.as_ref().map(Registry::new).transpose();
    let registry = registry.map_err(|error| WhyError::Usage(error.to_string()))?;
    let mut reader = Reader::new(registry);
    let mut history = History {
        place: format!("\"{topic}\" partition {}", found.partition),
        reaches_back_to: found.reaches_back_to,
        ..History::default()
    };
    for (offset, value) in found.records {
        match value.map(|value| reader.read(&value)) {
            Some(Ok(change)) => history.changes.push(change),
            Some(Err(reason)) => {
                let before = history.changes.len();
                history.unreadable.push(Unreadable { before, offset, reason });
            }
            None => {}
        }
    }
    Ok(history)
}

/// Whether the state has a mark that the customer was erased: an erase closes only what was told,
/// and writes no change when all of it was back at its beginning.
///
/// # Errors
/// When the cluster does not answer.
pub(super) fn marked_erased(config: &Config, id: &str) -> Result<bool, WhyError> {
    let mut key = Vec::new();
    erased_key(&salted_id(&config.rules.fold.erase_salt, id), &mut key);
    let found =
        key_records::read(config, &config.topics.state, &key, |count| partition_of(id, count))
            .map_err(|error| {
                WhyError::Failed(format!(
                    "whether customer {} was erased cannot be told: {error}",
                    clean(id)
                ))
            })?;
    Ok(found.records.last().is_some_and(|(_, mark)| mark.is_some()))
}

impl History {
    /// Changes since the last erase, or all of them.
    pub(super) fn since_erase(&self) -> &[Change] {
        &self.changes[self.erased_until()..]
    }

    /// Changes of the log up to and with the last erase.
    fn erased_until(&self) -> usize {
        if self.marked_erased {
            return self.changes.len();
        }
        let erased = self.changes.iter().rposition(|change| change.cause.kind == ERASE);
        erased.map_or(0, |place| place + 1)
    }

    /// Those that cannot be read since the last erase.
    fn unreadable_since_erase(&self) -> &[Unreadable] {
        let until = self.erased_until();
        let first = self.unreadable.partition_point(|it| it.before < until);
        if self.marked_erased { &[] } else { &self.unreadable[first..] }
    }

    /// Whether there is something to tell.
    pub(super) fn is_told(&self) -> bool {
        !(self.since_erase().is_empty() && self.unreadable_since_erase().is_empty())
    }

    /// What is missing of it, in a sentence.
    pub(super) fn incomplete(&self) -> Option<String> {
        let count = self.unreadable_since_erase().len();
        let changes = if count == 1 { "1 change" } else { &format!("{count} changes") };
        (count > 0).then(|| format!("{changes} of the history cannot be read"))
    }

    /// Whether the customer was erased, and nothing has come since.
    pub(super) fn was_erased(&self) -> bool {
        self.marked_erased || self.erased_at().is_some()
    }

    /// When a change says that, if nothing has come since.
    pub(super) fn erased_at(&self) -> Option<Timestamp> {
        let last = self.changes.last()?;
        (last.cause.kind == ERASE).then_some(last.occurred_at.0)
    }

    /// The changes as text, with a line end; `seq` is that of the last one there was.
    pub(super) fn told(&self, seq: Option<u64>) -> String {
        let (changes, skipped) = (self.since_erase(), self.erased_until());
        let erased = skipped > 0;
        let mut unreadable = self.unreadable_since_erase();
        let mut text = format!("history, from {}\n", self.place);
        if erased {
            text += "  (what was told before an erase is not shown)\n";
        }
        // `seq` of the first one that should be there.
        let first = changes.first().map(|change| change.seq);
        let missing = first.or(seq.map(|seq| seq + 1)).map_or(0, |first| first.saturating_sub(1));
        let there = unreadable.partition_point(|it| it.before == skipped) as u64;
        let missing = missing.saturating_sub(there);
        if missing > 0 && !erased {
            text += &self.missing(missing);
        }
        if changes.is_empty() && unreadable.is_empty() && missing == 0 {
            text += "  no change so far\n";
        }
        let moves: Vec<String> = changes.iter().map(moved).collect();
        let width = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0);
        let of_name = width(&mut changes.iter().map(|change| change.dimension.chars().count()));
        let of_move = width(&mut moves.iter().map(|moved| moved.chars().count()));
        let mut before = 0;
        for (index, (change, moved)) in changes.iter().zip(&moves).enumerate() {
            text += &took(&mut unreadable, skipped + index);
            if change.seq <= before {
                text += "  (begins anew: the state was computed anew from the inputs)\n";
            }
            before = change.seq;
            let line = format!(
                "  {}  {:of_name$}  {moved:of_move$}  {}{}",
                exactly(change.occurred_at.0),
                clean(&change.dimension),
                change.summary.as_deref().map(|said| clean(said) + "  ").unwrap_or_default(),
                caused(change),
            );
            text += line.trim_end();
            text.push('\n');
        }
        text + &took(&mut unreadable, usize::MAX)
    }

    fn missing(&self, count: u64) -> String {
        let what = match count {
            1 => "change 1 is".to_owned(),
            count => format!("changes 1 to {count} are"),
        };
        match self.reaches_back_to {
            Some(first) => format!(
                "  ({what} no longer there: {} reaches back to {})\n",
                self.place,
                instant(first)
            ),
            None => format!("  ({what} not there)\n"),
        }
    }
}

/// Takes those before the change of this index, and tells of them: one line for each reason.
fn took(unreadable: &mut &[Unreadable], index: usize) -> String {
    let mut text = String::new();
    while let Some(first) = unreadable.first().filter(|it| it.before <= index) {
        let alike = |it: &Unreadable| it.before == first.before && it.reason == first.reason;
        let count = unreadable.iter().take_while(|it| alike(it)).count();
        let (these, rest) = unreadable.split_at(count);
        *unreadable = rest;
        let (what, last) = match these {
            [.., last] if count > 1 => (format!("{count} changes"), format!(" to {}", last.offset)),
            _ => ("a change".to_owned(), String::new()),
        };
        let (offset, reason) = (first.offset, clean(&first.reason));
        text += &format!("  ({what} at offset {offset}{last} cannot be read: {reason})\n");
    }
    text
}

/// `lapsed -> retention`.
fn moved(change: &Change) -> String {
    let name = |value: &Option<String>| value.as_deref().map_or("nothing".to_owned(), clean);
    format!("{} -> {}", name(&change.previous), name(&change.current))
}

/// `(event e-4)`.
fn caused(change: &Change) -> String {
    match &change.cause.event_id {
        Some(event_id) => format!("({} {})", clean(&change.cause.kind), clean(event_id)),
        None => format!("({})", clean(&change.cause.kind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::why::change::Cause;
    use crate::why::profile::Time;

    fn change(seq: u64, values: [Option<&str>; 2], kind: &str) -> Change {
        let [previous, current] = values.map(|value| value.map(str::to_owned));
        let at = i64::try_from(seq).unwrap() * 86_400_000;
        Change {
            seq,
            dimension: "rfm".to_owned(),
            previous,
            current,
            occurred_at: Time(Timestamp(1_767_225_600_000 + at)),
            cause: Cause {
                kind: kind.to_owned(),
                event_id: (kind == "event").then(|| format!("e-{seq}")),
            },
            summary: (kind != ERASE).then(|| format!("sentence {seq}")),
        }
    }

    fn history(changes: &[Change], reaches_back_to: Option<Timestamp>) -> History {
        let place = "\"log\" part 3".to_owned();
        History { changes: changes.to_vec(), place, reaches_back_to, ..History::default() }
    }

    #[test]
    fn changes_are_told_oldest_first_and_what_is_gone_is_said() {
        let changes = [
            change(5, [Some("none"), Some("new_customer")], "event"),
            change(6, [Some("new_customer"), Some("promising")], "timer"),
            change(1, [None, Some("promising")], "baseline"),
        ];
        let reached = Some(Timestamp(1_767_225_600_000));
        insta::assert_snapshot!(history(&changes, reached).told(Some(1)), @r#"
        history, from "log" part 3
          (changes 1 to 4 are no longer there: "log" part 3 reaches back to 2026-01-01 00:00 UTC)
          2026-01-06T00:00:00.000Z  rfm  none -> new_customer       sentence 5  (event e-5)
          2026-01-07T00:00:00.000Z  rfm  new_customer -> promising  sentence 6  (timer)
          (begins anew: the state was computed anew from the inputs)
          2026-01-02T00:00:00.000Z  rfm  nothing -> promising       sentence 1  (baseline)
        "#);
        insta::assert_snapshot!(history(&[], reached).told(Some(4)), @r#"
        history, from "log" part 3
          (changes 1 to 4 are no longer there: "log" part 3 reaches back to 2026-01-01 00:00 UTC)
        "#);
        insta::assert_snapshot!(history(&[], None).told(Some(0)), @r#"
        history, from "log" part 3
          no change so far
        "#);
    }

    #[test]
    fn what_was_told_before_an_erase_is_not_shown() {
        let before = [
            change(1, [Some("none"), Some("new_customer")], "event"),
            change(2, [Some("new_customer"), None], ERASE),
        ];
        let erased = history(&before, None);
        assert_eq!(erased.erased_at(), Some(Timestamp(1_767_225_600_000 + 2 * 86_400_000)));
        assert!(erased.since_erase().is_empty());
        let mut again = before.to_vec();
        again.push(change(1, [Some("none"), Some("new_customer")], "event"));
        let again = history(&again, None);
        assert_eq!(again.erased_at(), None);
        insta::assert_snapshot!(again.told(Some(1)), @r#"
        history, from "log" part 3
          (what was told before an erase is not shown)
          2026-01-02T00:00:00.000Z  rfm  none -> new_customer  sentence 1  (event e-1)
        "#);
    }

    #[test]
    fn a_change_that_cannot_be_read_hides_no_other() {
        let changes = [
            change(3, [Some("none"), Some("new_customer")], "event"),
            change(4, [Some("new_customer"), Some("promising")], "timer"),
        ];
        let mut history = history(&changes, Some(Timestamp(1_767_225_600_000)));
        let other = "its schema is another version's";
        for (before, offset, reason) in
            [(0, 7, other), (1, 11, other), (1, 13, other), (1, 14, "it is broken"), (2, 20, other)]
        {
            history.unreadable.push(Unreadable { before, offset, reason: reason.to_owned() });
        }
        insta::assert_snapshot!(history.told(Some(4)), @r#"
        history, from "log" part 3
          (change 1 is no longer there: "log" part 3 reaches back to 2026-01-01 00:00 UTC)
          (a change at offset 7 cannot be read: its schema is another version's)
          2026-01-04T00:00:00.000Z  rfm  none -> new_customer       sentence 3  (event e-3)
          (2 changes at offset 11 to 13 cannot be read: its schema is another version's)
          (a change at offset 14 cannot be read: it is broken)
          2026-01-05T00:00:00.000Z  rfm  new_customer -> promising  sentence 4  (timer)
          (a change at offset 20 cannot be read: its schema is another version's)
        "#);
        let incomplete = history.incomplete();
        assert_eq!(incomplete.as_deref(), Some("5 changes of the history cannot be read"));
        // One that closes the life before is no news, and neither is one within it.
        history.changes.push(change(5, [Some("promising"), None], ERASE));
        history.unreadable.push(Unreadable { before: 3, offset: 30, reason: other.to_owned() });
        insta::assert_snapshot!(history.told(None), @r#"
        history, from "log" part 3
          (what was told before an erase is not shown)
          (a change at offset 30 cannot be read: its schema is another version's)
        "#);
        assert!(history.is_told());
    }

    /// An erase closes only what is told: who is at the beginning everywhere has no closing change.
    #[test]
    fn what_was_told_before_an_erase_without_a_change_is_not_shown() {
        let changes = [
            change(1, [Some("none"), Some("new_customer")], "event"),
            change(2, [Some("new_customer"), Some("none")], "refund"),
        ];
        let mut history = history(&changes, None);
        assert!(history.is_told());
        history.marked_erased = true;
        assert!(!history.is_told() && history.since_erase().is_empty());
        assert_eq!(history.erased_at(), None);
    }
}
