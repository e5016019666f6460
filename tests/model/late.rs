//! What a late event makes known: no news when it is old, and no gap that never was.
//!
//! Next: `model/published.rs`, the rest of what is published.

use crate::fixture::{day, eur, event, ordered, rules, task};
use ebbflow::domain::change::{CauseKind, Change};
use ebbflow::domain::event::Event;
use ebbflow::domain::time::{DAY_MS, Timestamp};
use ebbflow::task::EventRecord;
use std::sync::Arc;

const WATCHED: [&str; 2] = ["rfm", "lifecycle"];

/// The changes of the watched dimensions by the last event, each handled with its time of the wall.
fn last_of(events: &[(Event<'static>, Timestamp)]) -> Vec<Change> {
    let mut task = task(&Arc::new(rules()));
    let mut last = Vec::new();
    for (offset, (event, now)) in (0..).zip(events) {
        task.advance_to(*now);
        while task.fire_timers(usize::MAX, Some(*now)).expect("readable states") > 0 {}
        let _ = task.take_changes().count();
        let topic = "purchases".into();
        let record = EventRecord {
            input: 1,
            topic: &topic,
            offset,
            event,
            at: event.occurred_at,
            value: &[],
        };
        task.handle_event(&record, Some(*now)).expect("an event of this partition");
        last = task.take_changes().filter(|it| WATCHED.contains(&&*it.dimension)).collect();
    }
    last
}

/// Changes of an order that comes `late_ms` after it was placed, when time had already moved its
/// customer on.
fn late_by(late_ms: i64) -> Vec<Change> {
    let now = day(30).plus_ms(1 + DAY_MS / 24);
    let late = event("e-2", "c", now.plus_ms(-late_ms), ordered("o-2", eur(5_000)));
    last_of(&[(event("e-1", "c", day(0), ordered("o-1", eur(5_000))), now), (late, now)])
}

#[test]
fn what_happened_long_ago_is_not_actionable_because_it_came_late() {
    for (late_ms, actionable) in [(DAY_MS, true), (DAY_MS + 1, false), (20 * DAY_MS, false)] {
        let changes = late_by(late_ms);
        assert_eq!(changes.len(), 2, "{changes:?}");
        for change in changes {
            assert_eq!(change.cause.kind, CauseKind::LateEvent);
            assert_eq!(change.occurred_at, change.detected_at);
            assert_eq!(change.actionable, actionable, "{late_ms} ms: {change:?}");
        }
    }
}

#[test]
fn a_late_order_says_when_it_was_and_not_how_long_nobody_ordered() {
    let now = day(100);
    let changes = last_of(&[
        (event("e-1", "c", day(0), ordered("o-1", eur(5_000))), now),
        (event("e-2", "c", day(60), ordered("o-2", eur(5_000))), now),
    ]);
    let words: Vec<_> = changes.iter().map(|change| change.summary.as_str()).collect();
    let expected = [
        "a late event, last order 40 days ago: now potential loyalist",
        "a late event, 2 orders: now retention",
    ];
    assert_eq!(words, expected);
}
