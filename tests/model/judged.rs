//! What is not judged is not missed: with `output.judged = "written"` the dimensions that are
//! written, and audiences, move as they do where everything is judged.
//!
//! Next: `src/domain/raw.rs`, what is measured.

use crate::fixture::{advance, config, feed, taken, task};
use crate::workload;
use ebbflow::config::{FileText, from_sources};
use ebbflow::domain::change::Change;
use ebbflow::domain::dimension::{Dimension, Judged};
use ebbflow::domain::event::Event;
use ebbflow::domain::rules::Rules;
use ebbflow::domain::time::DAY_MS;
use ebbflow::task::ProfileWrite;
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;

/// One dimension is written; audiences ask for others, by value and by what they rest on.
fn rules(judged: &str) -> Rules {
    let text = format!(
        "[output]\ndimensions = [\"rfm\"]\njudged = \"{judged}\"\n\
         [rates.USD]\n\"2020-01-01\" = \"0.9\"\n[rates.JPY]\n\"2020-01-01\" = \"0.006\"\n\
         [audience.hot]\nrule = 'engagement == \"hot\"'\n\
         [audience.late]\nrule = 'facts.expected_gap_days > 60'\n\
         [audience.worth]\nrule = 'facts.financial_value_minor > 10000'\n"
    );
    let file = FileText { path: Path::new("judged.toml"), text: &text };
    let loaded = from_sources(Some(file), [], &[]).expect("a valid configuration");
    Rules::clone(&loaded.config.rules)
}

fn changes(rules: Rules, events: &[Event<'static>]) -> Vec<Change> {
    let mut task = task(&Arc::new(rules));
    for (offset, event) in (0..).zip(events) {
        feed(&mut task, event, offset);
    }
    let end = task.clock().plus_ms(800 * DAY_MS);
    advance(&mut task, end);
    let mut changes = taken(&mut task);
    for change in &mut changes {
        // Which rules they were, and what was not written, is all that may differ.
        change.rule.identity.hash = "".into();
        change.dimensions = Arc::default();
        (change.owner_role, change.previous_owner_role) = (None, None);
    }
    changes
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_written_does_not_depend_on_what_else_is_judged(
        events in workload::history(2, 1..25, false),
    ) {
        prop_assert_eq!(changes(rules("written"), &events), changes(rules("all"), &events));
    }
}

#[test]
fn what_is_judged_is_what_is_written_or_asked_for() {
    let judged = rules("written").judged;
    let judged: Vec<_> = Dimension::BUILT_IN.into_iter().filter(|it| judged.has(*it)).collect();
    let asked = [Dimension::Rfm, Dimension::Activity, Dimension::ValueTier, Dimension::Engagement];
    assert_eq!(judged, asked);
    assert_eq!(rules("all").judged, Judged::ALL);
}

#[test]
fn a_profile_shows_what_is_judged_and_all_facts() {
    use crate::fixture::{day, eur, event, ordered};
    let mut task = task(&Arc::new(rules("written")));
    feed(&mut task, &event("e", "c", day(0), ordered("o", eur(12_000))), 0);
    task.pack(|_, _, profile| {
        let ProfileWrite::Profile(profile) = profile else { panic!("a profile") };
        let names: Vec<_> = profile.dimensions.iter().map(|it| it.name.to_string()).collect();
        let audiences = ["audience:hot", "audience:late", "audience:worth"];
        let judged = ["rfm", "activity", "value_tier", "engagement"];
        assert_eq!(names, [&judged[..], &audiences[..]].concat());
        assert!(profile.more.net_365d_minor == 12_000 && profile.more.engagement_score > 0.0);
    });
}
