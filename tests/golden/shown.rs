//! What happened at a line, as text that people review.
//!
//! In an order that does not hang on the number of partitions. Next: `tests/golden.rs`, the
//! scenarios.

use crate::golden::tasks::Written;
use ebbflow::domain::apply::Tally;
use ebbflow::domain::change::Change;
use ebbflow::domain::name::Name;
use ebbflow::domain::publish::profile::Profile;
use ebbflow::domain::time::Timestamp;
use ebbflow::task::ProfileWrite;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The facts of subjects, as they were last shown.
pub(crate) type Known = BTreeMap<String, String>;

/// Changes, in the order of time, of subjects, and of each one's `seq`.
pub(crate) fn write_changes(mut changes: Vec<Change>, into: &mut String, told_more: bool) {
    changes.sort_by(|one, other| {
        let key = |change: &Change| (change.occurred_at, change.customer_id.to_string());
        key(one).cmp(&key(other)).then(one.seq.cmp(&other.seq))
    });
    for change in changes {
        let more = if told_more { more(&change) } else { String::new() };
        writeln!(into, "    {}{more}", shown(&change)).expect("write");
    }
}

/// What waits, who is gone, what was counted, and the facts of whoever had an event.
pub(crate) fn write_more(written: &Written, known: &mut Known, into: &mut String) {
    let mut told = Vec::new();
    for (id, profile) in &written.profiles {
        match profile {
            ProfileWrite::Profile(profile) => {
                for dimension in &profile.dimensions {
                    if let Some((value, until)) = &dimension.pending {
                        let until = until.map(|until| format!(", not before {}", time(until)));
                        let until = until.unwrap_or_default();
                        told.push(format!("waits: {} of {id} -> {value}{until}", dimension.name));
                    }
                }
                let facts = facts(profile);
                if known.insert(id.clone(), facts.clone()).as_ref() != Some(&facts) {
                    told.push(format!("facts of {id}: {facts}"));
                }
            }
            ProfileWrite::Tombstone => {
                known.remove(id);
                told.push(format!("tombstones of {id}"));
            }
            ProfileWrite::Nothing => {}
        }
    }
    told.extend(written.marks.iter().map(|mark| match mark {
        Some(mark) => match &mark.to {
            Some(to) => format!("a redirect to {to} until {}", time(mark.until)),
            None => format!("a mark until {}", time(mark.until)),
        },
        None => "a mark is over".to_owned(),
    }));
    told.sort();
    for (name, count) in [
        ("duplicates", sum(written, |it| it.duplicates)),
        ("late", sum(written, |it| it.late)),
        ("bounded", sum(written, |it| it.bounded)),
        ("suppressed", sum(written, |it| it.unpublished.suppressed)),
        ("withheld", sum(written, |it| it.unpublished.withheld)),
        ("erased", sum(written, |it| it.erased)),
        ("after erase", sum(written, |it| it.after_erase)),
        ("shared visitors", sum(written, |it| it.relayed.shared_visitors)),
        ("forgotten visitors", sum(written, |it| it.relayed.forgotten_visitors)),
    ] {
        if count > 0 {
            told.push(format!("counted: {name} {count}"));
        }
    }
    for line in told {
        writeln!(into, "    {line}").expect("write");
    }
}

fn sum(written: &Written, count: impl Fn(&Tally) -> u64) -> u64 {
    written.tallies.iter().map(count).sum()
}

/// What is not zero of the numbers that cross partitions.
fn facts(profile: &Profile) -> String {
    let (facts, more) = (&profile.facts, &profile.more);
    let numbers = [
        ("orders", facts.orders.to_string()),
        ("net", facts.net_minor.to_string()),
        ("interactions", more.interactions.to_string()),
        ("contacts", more.contacts.unwrap_or_default().to_string()),
        ("referrals", more.accepted_referrals.to_string()),
        ("their revenue", more.referred_revenue_minor.to_string()),
    ];
    let some = numbers.iter().filter(|(_, number)| number != "0");
    let some: Vec<String> = some.map(|(name, number)| format!("{name} {number}")).collect();
    if some.is_empty() { "none".to_owned() } else { some.join(", ") }
}

/// An instant as it is written.
pub(crate) fn time(at: Timestamp) -> String {
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
