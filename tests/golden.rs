//! Golden scenarios: events in, changes out, the same with a restart after every line.
//!
//! Each `tests/golden/<name>.jsonl` is read line by line, then the clock goes to the end of 2027;
//! the changes are a snapshot beside it. `INSTA_UPDATE=always` writes them; review what it wrote.
//! With a `<name>.toml` those are its rules, and what waits, what is counted, who is held out and
//! who hands over is shown too; a line `{"rules": "<other>"}` goes on with `<other>.toml`.

use ebbflow::codec::decoder::decode_json_line;
use ebbflow::config::{FileText, from_sources};
use ebbflow::domain::apply::Tally;
use ebbflow::domain::change::Change;
use ebbflow::domain::dimension::COUNT;
use ebbflow::domain::event::Body;
use ebbflow::domain::mark::{Mark, SaltedId};
use ebbflow::domain::name::Name;
use ebbflow::domain::progress::{Phase, Progress};
use ebbflow::domain::rules::Rules;
use ebbflow::domain::time::Timestamp;
use ebbflow::task::{EventRecord, PartitionTask, ProfileWrite, TaskConfig};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
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

#[test]
fn rfm() {
    check("rfm");
}

#[test]
fn lifecycle() {
    check("lifecycle");
}

#[test]
fn audience() {
    check("audience");
}

#[test]
fn regions() {
    check("regions");
}

#[test]
fn consent() {
    check("consent");
}

#[test]
fn erase() {
    check("erase");
}

#[test]
fn anti_flap() {
    check("anti_flap");
}

#[test]
fn dwell() {
    check("dwell");
}

#[test]
fn roles() {
    check("roles");
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn check(name: &str) {
    let scenario = std::fs::read_to_string(folder().join(format!("{name}.jsonl"))).expect("read");
    let calm = run(name, &scenario, false);
    let restarted = run(name, &scenario, true);
    assert_eq!(calm, restarted, "{name}: a restart after every line changes the output");
    insta::with_settings!({ snapshot_path => "golden", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, calm);
    });
}

/// What a compacted topic holds: the last state of each customer, the marks of erased ones.
#[derive(Default)]
struct Kept {
    states: BTreeMap<String, Vec<u8>>,
    marks: BTreeMap<SaltedId, Mark>,
}

/// The changes that the lines make, one line each.
fn run(name: &str, scenario: &str, restart: bool) -> String {
    let told_more = folder().join(format!("{name}.toml")).exists();
    let mut config = config(told_more.then_some(name));
    let mut task = PartitionTask::new(config.clone(), 1, Phase::Live);
    let mut written = String::new();
    let mut kept = Kept::default();
    for (offset, line) in (0..).zip(scenario.lines()) {
        writeln!(written, "{}", line_of(line)).expect("write");
        if let Some(other) = other_rules(line) {
            config = self::config(Some(&other));
            task = restored(&config, &task.progress(), &kept);
            while task.work_on_all(1, None).expect("readable states").is_some() {
                write_changes(&mut task, &mut written, told_more);
                commit(&mut task, &mut kept, &mut written, told_more);
            }
            continue;
        }
        let event = decode_json_line(line.as_bytes(), &config.rules.rates).expect("an event");
        let input = usize::from(matches!(event.body, Body::Purchase(_)));
        task.advance_to(event.occurred_at);
        task.fire_timers(usize::MAX, None).expect("timers fire");
        let at = event.occurred_at;
        let record =
            EventRecord { input, topic: &"events".into(), offset, event: &event, at, value: &[] };
        task.handle_event(&record, None).expect("the event is applied");
        write_changes(&mut task, &mut written, told_more);
        commit(&mut task, &mut kept, &mut written, told_more);
        if restart {
            task = restored(&config, &task.progress(), &kept);
        }
    }
    task.advance_to(END);
    task.fire_timers(usize::MAX, None).expect("timers fire");
    writeln!(written, "silence").expect("write");
    write_changes(&mut task, &mut written, told_more);
    commit(&mut task, &mut kept, &mut written, told_more);
    written
}

/// The rules of a scenario, and everything that it writes: engagement too, which is not written
/// unless somebody asks for it.
fn config(name: Option<&str>) -> TaskConfig {
    let path = name.map(|name| folder().join(format!("{name}.toml")));
    let text = path.as_ref().map(|path| std::fs::read_to_string(path).expect("read"));
    let file = path.iter().zip(&text).map(|(path, text)| FileText { path, text }).next();
    let loaded = from_sources(file, [], &[]).unwrap_or_else(|error| panic!("{name:?}: {error}"));
    let mut rules = Rules::clone(&loaded.config.rules);
    rules.output.dimensions = [true; COUNT];
    TaskConfig {
        application_id: "golden".into(),
        partition: 0,
        partitions: 1,
        rules: Arc::new(rules),
        keys_are_trusted: true,
        profiles_on_touch: true,
        run_id: "golden".into(),
        rebuilt_at: Timestamp::MIN,
    }
}

/// Commits, keeps what a compacted topic does, and writes what waits and what was counted.
fn commit(task: &mut PartitionTask, kept: &mut Kept, into: &mut String, told_more: bool) {
    let Kept { states, marks } = kept;
    let mut told = Vec::new();
    task.pack(|id, packed, profile| {
        match packed {
            Some(packed) => states.insert(id.to_owned(), packed.to_vec()),
            None => states.remove(id),
        };
        match profile {
            ProfileWrite::Profile(profile) => {
                for dimension in profile.dimensions {
                    if let Some((value, until)) = dimension.pending {
                        let until = until.map(|until| format!(", not before {}", time(until)));
                        let until = until.unwrap_or_default();
                        told.push(format!("waits: {} of {id} -> {value}{until}", dimension.name));
                    }
                }
            }
            ProfileWrite::Tombstone => told.push(format!("tombstones of {id}")),
            ProfileWrite::Nothing => {}
        }
    });
    for (id, mark) in task.marks() {
        match mark {
            Some(mark) => {
                told.push(format!("a mark until {}", time(mark.until)));
                marks.insert(*id, mark);
            }
            None => {
                told.push("a mark is over".to_owned());
                marks.remove(id);
            }
        }
    }
    let Tally { late, bounded, erased, after_erase, unpublished, .. } = task.take_tally();
    for (name, count) in [
        ("late", late),
        ("bounded", bounded),
        ("suppressed", unpublished.suppressed),
        ("withheld", unpublished.withheld),
        ("erased", erased),
        ("after erase", after_erase),
    ] {
        if count > 0 {
            told.push(format!("counted: {name} {count}"));
        }
    }
    task.commit().expect("readable states");
    if told_more {
        for line in told {
            writeln!(into, "    {line}").expect("write");
        }
    }
}

/// A task as a restart finds it; `progress` is what the next commit would write.
fn restored(config: &TaskConfig, progress: &Progress, kept: &Kept) -> PartitionTask {
    let mut task = PartitionTask::new(config.clone(), 1, Phase::Live);
    for (id, packed) in &kept.states {
        task.restore_state(id, Some(packed)).expect("a packed state");
    }
    for (id, mark) in &kept.marks {
        task.restore_mark(*id, Some(*mark));
    }
    task.restore_progress(progress).expect("few names");
    task
}

/// The rules that a line asks for.
fn other_rules(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    line["rules"].as_str().map(str::to_owned)
}

fn line_of(line: &str) -> String {
    if let Some(rules) = other_rules(line) {
        return format!("the rules are now {rules}");
    }
    let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
    let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
    format!("{} {} {}", text("occurred_at"), text("customer_id"), text("kind"))
}

fn write_changes(task: &mut PartitionTask, into: &mut String, told_more: bool) {
    for change in task.take_changes() {
        let more = if told_more { more(&change) } else { String::new() };
        writeln!(into, "    {}{more}", shown(&change)).expect("write");
    }
}

fn time(at: Timestamp) -> String {
    String::from_utf8_lossy(&ebbflow::codec::time::format(at)).into_owned()
}

/// Whose it is, who is held out, and what nobody is to act on.
fn more(change: &Change) -> String {
    let mut more = format!(" [{}", change.customer_id);
    if let Some(from) = &change.previous_owner_role
        && change.previous_owner_role != change.owner_role
    {
        let to = change.owner_role.as_deref().unwrap_or("nobody");
        write!(more, ", {from} hands over to {to}").expect("write");
    }
    if !change.holdout.treated {
        more.push_str(", held out");
    }
    if !change.actionable {
        more.push_str(", not actionable");
    }
    more.push(']');
    more
}

fn shown(change: &Change) -> String {
    let name = |value: &Option<Name>| value.as_deref().unwrap_or("null").to_owned();
    format!(
        "{} #{} {}: {} -> {} ({}, {}, entry {}) {}{}",
        time(change.occurred_at),
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
