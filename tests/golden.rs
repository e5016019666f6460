//! Golden scenarios: events in, changes out, the same with a restart after every line.
//!
//! Each `tests/golden/<name>.jsonl` is read line by line, then the clock goes to the end of 2027;
//! the changes are a snapshot beside it. `INSTA_UPDATE=always` writes them; review what it wrote.

use ebbflow::codec::decoder::decode_json_line;
use ebbflow::config::from_sources;
use ebbflow::domain::change::Change;
use ebbflow::domain::dimension::COUNT;
use ebbflow::domain::event::Body;
use ebbflow::domain::name::Name;
use ebbflow::domain::progress::{Phase, Progress};
use ebbflow::domain::rules::Rules;
use ebbflow::domain::time::Timestamp;
use ebbflow::task::{EventRecord, PartitionTask, TaskConfig};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

/// 2028-01-01T00:00:00Z.
const END: Timestamp = Timestamp(1_830_297_600_000);

#[test]
fn first_year() {
    check("first_year");
}

#[test]
fn refunds() {
    check("refunds");
}

#[test]
fn late_events() {
    check("late_events");
}

#[test]
fn subscription() {
    check("subscription");
}

#[test]
fn advocacy() {
    check("advocacy");
}

#[test]
fn activity() {
    check("activity");
}

#[test]
fn value_mode() {
    check("value_mode");
}

#[test]
fn value_tier() {
    check("value_tier");
}

#[test]
fn qualification() {
    check("qualification");
}

#[test]
fn satisfaction() {
    check("satisfaction");
}

#[test]
fn engagement() {
    check("engagement");
}

/// From the first visit to advocate, to lapse, to reactivation; told in `README.md`.
#[test]
fn story() {
    check("story");
}

fn check(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let scenario = std::fs::read_to_string(folder.join(format!("{name}.jsonl"))).expect("read");
    let calm = run(&scenario, false);
    let restarted = run(&scenario, true);
    assert_eq!(calm, restarted, "{name}: a restart after every line changes the output");
    insta::with_settings!({ snapshot_path => "golden", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, calm);
    });
}

/// The changes that the lines make, one line each.
fn run(scenario: &str, restart: bool) -> String {
    let config = config();
    let mut task = PartitionTask::new(config.clone(), 1, Phase::Live);
    let mut written = String::new();
    let mut states: Vec<(String, Vec<u8>)> = Vec::new();
    for (offset, line) in (0..).zip(scenario.lines()) {
        let event = decode_json_line(line.as_bytes(), &config.rules.rates).expect("an event");
        let input = usize::from(matches!(event.body, Body::Purchase(_)));
        task.advance_to(event.occurred_at);
        task.fire_timers(usize::MAX, None).expect("timers fire");
        let at = event.occurred_at;
        let record = EventRecord { input, topic: &"events".into(), offset, event: &event, at };
        task.handle_event(&record, None).expect("the event is applied");
        writeln!(written, "{}", line_of(line)).expect("write");
        write_changes(&mut task, &mut written);
        commit(&mut task, &mut states);
        if restart {
            task = restored(&config, &task.progress(), &states);
        }
    }
    task.advance_to(END);
    task.fire_timers(usize::MAX, None).expect("timers fire");
    writeln!(written, "silence").expect("write");
    write_changes(&mut task, &mut written);
    written
}

fn config() -> TaskConfig {
    let loaded = from_sources(None, [], &[]).expect("the defaults are valid");
    // Engagement too, which is not written unless somebody asks for it.
    let mut rules = Rules::clone(&loaded.config.rules);
    rules.output.dimensions = [true; COUNT];
    TaskConfig {
        application_id: "golden".into(),
        partition: 0,
        partitions: 1,
        rules: Arc::new(rules),
        profiles_on_touch: false,
        run_id: "golden".into(),
        rebuilt_at: Timestamp::MIN,
    }
}

/// Commits, and keeps the last state of each customer as a compacted topic does.
fn commit(task: &mut PartitionTask, states: &mut Vec<(String, Vec<u8>)>) {
    task.pack(|id, packed, _| {
        states.retain(|(present, _)| present != id);
        states.push((id.to_owned(), packed.expect("a state").to_vec()));
    });
    task.commit().expect("readable states");
}

/// A task as a restart finds it; `progress` is what the next commit would write.
fn restored(
    config: &TaskConfig,
    progress: &Progress,
    states: &[(String, Vec<u8>)],
) -> PartitionTask {
    let mut task = PartitionTask::new(config.clone(), 1, Phase::Live);
    for (id, packed) in states {
        task.restore_state(id, Some(packed)).expect("a packed state");
    }
    task.restore_progress(progress).expect("few names");
    task
}

fn line_of(line: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
    let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
    format!("{} {} {}", text("occurred_at"), text("customer_id"), text("kind"))
}

fn write_changes(task: &mut PartitionTask, into: &mut String) {
    for change in task.take_changes() {
        writeln!(into, "    {}", shown(&change)).expect("write");
    }
}

fn shown(change: &Change) -> String {
    let at = ebbflow::codec::time::format(change.occurred_at);
    let name = |value: &Option<Name>| value.as_deref().unwrap_or("null").to_owned();
    format!(
        "{} #{} {}: {} -> {} ({}, {}, entry {}) {}{}",
        String::from_utf8_lossy(&at),
        change.seq,
        change.dimension,
        name(&change.previous),
        name(&change.current),
        change.cause.kind.name(),
        change.direction.name(),
        change.entry,
        change.summary,
        change.correction_of.map_or(String::new(), |seq| format!(" [corrects #{seq}]")),
    )
}
