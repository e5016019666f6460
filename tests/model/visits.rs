//! Visits and messages that move nothing.
//!
//! Next: `src/domain/publish/steady.rs`, which sees that; `published.rs`, the property.

use crate::fixture::{advance, day, eur, event, feed, ordered, taken, task, visited};
use ebbflow::config::{FileText, from_sources};
use ebbflow::domain::change::CauseKind;
use ebbflow::domain::event::VisitKind;
use std::path::Path;

#[test]
fn what_waits_is_asked_after_by_a_visit_that_moves_nothing() {
    let text = "[audience.fresh]\nrule = 'facts.recency_days <= 30'\ndwell = \"40d\"\n";
    let file = FileText { path: Path::new("visits.toml"), text };
    let loaded = from_sources(Some(file), [], &[]).expect("a valid configuration");
    let mut task = task(&loaded.config.rules);
    feed(&mut task, &event("e", "c", day(0), ordered("o", eur(100))), 0);
    // It is not true any more from day 30 on, and stays for ten days.
    feed(&mut task, &event("e-2", "c", day(35), visited(VisitKind::ReviewRead)), 1);
    assert_eq!(task.take_tally().unpublished.suppressed, 1);
    advance(&mut task, day(41));
    let changes = taken(&mut task);
    let left: Vec<_> =
        changes.iter().filter(|change| change.dimension == "audience:fresh").collect();
    let told = left.iter().map(|change| (change.occurred_at, change.cause.kind));
    let told: Vec<_> = told.collect();
    assert_eq!(told, [(day(0), CauseKind::Event), (day(40), CauseKind::Dwell)]);
}
