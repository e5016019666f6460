//! The changes of a customer that are still kept, oldest first, one line each.
//!
//! What was told before an erase is not shown. Next: `kafka/key_records.rs`, which reads the one
//! partition of `segment-changes` that holds them.

use crate::config::Config;
use crate::domain::id::partition_of;
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
    /// Where they were read.
    pub(super) place: String,
    /// The first record that is still there, when older ones of the log are gone.
    pub(super) reaches_back_to: Option<Timestamp>,
}

/// Reads the customer's changes from `segment-changes`.
///
/// # Errors
/// When the cluster does not answer, or a change cannot be read.
pub(super) fn read(config: &Config, id: &str) -> Result<History, WhyError> {
    let topic = &config.topics.segment_changes;
    let records = key_records::read(config, topic, id, |count| partition_of(id, count))
        .map_err(|error| WhyError::Failed(error.to_string()))?;
    let registry = config.registry.as_ref().map(Registry::new).transpose();
    let registry = registry.map_err(|error| WhyError::Usage(error.to_string()))?;
    let mut reader = Reader::new(registry);
    let place = format!("\"{topic}\" partition {}", records.partition);
    let mut changes = Vec::with_capacity(records.values.len());
    for value in &records.values {
        changes.push(reader.read(value).map_err(|error| {
            WhyError::Failed(format!("a change in {place} cannot be read: {error}"))
        })?);
    }
    Ok(History { changes, place, reaches_back_to: records.reaches_back_to })
}

impl History {
    /// Changes since the last erase, or all of them.
    pub(super) fn since_erase(&self) -> &[Change] {
        let erased = self.changes.iter().rposition(|change| change.cause.kind == ERASE);
        &self.changes[erased.map_or(0, |place| place + 1)..]
    }

    /// When the customer was erased, if nothing has come since.
    pub(super) fn erased_at(&self) -> Option<Timestamp> {
        let last = self.changes.last()?;
        (last.cause.kind == ERASE).then_some(last.occurred_at.0)
    }

    /// The changes as text, with a line end; `seq` is that of the last one there was.
    pub(super) fn told(&self, seq: Option<u64>) -> String {
        let changes = self.since_erase();
        let erased = changes.len() < self.changes.len();
        let mut text = format!("history, from {}\n", self.place);
        if erased {
            text += "  (what was told before an erase is not shown)\n";
        }
        // `seq` of the first one that should be there.
        let first = changes.first().map(|change| change.seq);
        let missing = first.or(seq.map(|seq| seq + 1)).map_or(0, |first| first.saturating_sub(1));
        if missing > 0 && !erased {
            text += &self.missing(missing);
        }
        if changes.is_empty() && missing == 0 {
            text += "  no change so far\n";
        }
        let moves: Vec<String> = changes.iter().map(moved).collect();
        let width = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0);
        let of_name = width(&mut changes.iter().map(|change| change.dimension.chars().count()));
        let of_move = width(&mut moves.iter().map(|moved| moved.chars().count()));
        let mut before = 0;
        for (change, moved) in changes.iter().zip(&moves) {
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
        text
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
        History { changes: changes.to_vec(), place, reaches_back_to }
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
}
