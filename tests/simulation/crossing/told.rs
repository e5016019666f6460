//! The changes of a crossing run: they hang together, subject by subject, and nobody is told
//! silent while an event lay in the inputs that would have prevented it.
//!
//! Next: `chain.rs`, what hangs together; `oracle.rs`, the states.

use crate::simulation::chain::check_chain;
use crate::simulation::crossing::naive::{Identity, folded, once};
use crate::simulation::crossing::oracle::all_events;
use crate::simulation::log::Payload;
use crate::simulation::oracle::{Check, by_key, check_progress, ensure, shown};
use crate::simulation::outcome::Partition;
use crate::simulation::reference::Timed;
use ebbflow::domain::dimension::Dimension;
use ebbflow::domain::event::{Body, Interaction};
use ebbflow::domain::id::partition_of;
use ebbflow::domain::raw::measure;
use ebbflow::domain::rules::Rules;
use ebbflow::domain::subject::Subject;
use ebbflow::domain::time::Timestamp;
use ebbflow::task::TaskConfig;
use std::collections::BTreeSet;

/// The changes of every subject hang together, and all that was read is committed; each partition
/// had so many commits before.
pub(crate) fn check_told(outcome: &[Partition], config: &TaskConfig, before: &[u64]) -> Check {
    let mut change_ids = BTreeSet::new();
    for ((partition, records), commits) in (0..).zip(outcome).zip(before) {
        let context = |text| format!("partition {partition}: {text}");
        for (key, changes) in by_key(&records.changes) {
            let id = shown(Some(key));
            ensure(partition_of(&id, config.partitions) == partition, || {
                context(format!("{id} does not belong here"))
            })?;
            check_chain(&changes, true, &mut change_ids)
                .map_err(|text| context(format!("{id}: {text}")))?;
        }
        check_progress(records, *commits).map_err(context)?;
    }
    Ok(())
}

/// What time brought about is what the events until then make of it, of customers who never became
/// anybody else, whoever became them; how many changes were compared. Only where every event lay in
/// its partition in order of time, before anything was read.
pub(crate) fn check_absence(
    outcome: &[Partition],
    config: &TaskConfig,
    ever: &Identity,
) -> Result<u64, String> {
    let all = all_events(outcome, config);
    let events = once(all.iter().collect());
    let moved = moved(&events);
    let mut compared = 0;
    for (key, changes) in outcome.iter().flat_map(|records| by_key(&records.changes)) {
        let id = shown(Some(key));
        let class = ever.classes.of(&id);
        let mut others = ever.ids.iter().filter(|other| ever.classes.of(other) == class);
        let is_clear = others.all(|other| {
            let stays = Subject::of(other) == Subject::Customer && !moved.contains(other.as_str());
            (stays == (*other == id))
                && !ever.sharing.contains(other)
                && !ever.erased.contains(other)
        });
        if Subject::of(&id) != Subject::Customer || !is_clear {
            continue;
        }
        for change in changes {
            compared += u64::from(check_timer(change, &id, &events, config)?);
        }
    }
    Ok(compared)
}

/// Customers who became another one, as an event says.
fn moved<'a>(events: &'a [&Timed<'_>]) -> BTreeSet<&'a str> {
    let from = |timed: &&'a Timed<'_>| match &timed.event.body {
        Body::Interaction(Interaction::CustomersMerged { from_customer_id: from })
            if **from != *timed.event.subject_id() =>
        {
            Some(&**from)
        }
        _ => None,
    };
    events.iter().filter_map(from).collect()
}

/// The events of all who were one with a customer by then, but those of that very instant.
fn own_events<'a>(
    events: &[&'a Timed<'a>],
    id: &str,
    at: Timestamp,
    rules: &Rules,
) -> Vec<&'a Timed<'a>> {
    let mut identity = Identity::default();
    let before = || events.iter().copied().filter(|timed| timed.at < at);
    before().for_each(|timed| identity.add(timed));
    let class = identity.classes.of(id);
    let is_own = |timed: &&Timed<'_>| {
        identity.classes.of(&timed.event.subject_id()) == class && rules.feeds(&timed.event).person
    };
    before().filter(is_own).collect()
}

/// Whether it was the passing of time, told rightly.
fn check_timer(
    change: &Payload,
    id: &str,
    events: &[&Timed<'_>],
    config: &TaskConfig,
) -> Result<bool, String> {
    let json: serde_json::Value =
        serde_json::from_slice(change.value.as_deref().unwrap_or_default())
            .map_err(|error| error.to_string())?;
    // What fades is solved for, and hangs on when it was scored.
    if json["cause"]["kind"] != "timer" || json["dimension"] == "engagement" {
        return Ok(false);
    }
    let at: jiff::Timestamp = json["occurred_at"]
        .as_str()
        .unwrap_or_default()
        .parse()
        .map_err(|error| format!("{json}: {error}"))?;
    // Whoever became a customer while history was read brought what had been read of it, later
    // orders too: the customer is told what they make of it, not silent.
    let last_order_at = json["facts"]["last_order_at"].as_str().map(str::parse::<jiff::Timestamp>);
    let knows_later = last_order_at.is_some_and(|last| last.is_ok_and(|last| last > at));
    let at = Timestamp(at.as_millisecond());
    let rules = &config.rules;
    // At its very instant it comes first.
    let own = own_events(events, id, at, rules);
    if knows_later && own.iter().any(|timed| timed.event.subject_id() != id) {
        return Ok(false);
    }
    let naive = folded(id, own.iter().copied(), rules);
    let measured = measure(&naive, rules, at);
    let named = |it: &Dimension| json["dimension"] == *it.name(rules);
    let Some(dimension) = Dimension::all_of(Subject::Customer).find(named) else {
        return Err(format!("{json} is of no dimension"));
    };
    let value = dimension.value_name(measured.value(dimension), rules);
    ensure(json["current"] == *value, || {
        let told: Vec<_> = own.iter().map(|it| (it.at, it.offset, &it.event.body)).collect();
        format!("{id} is told {} and was {value:?}: {json} of {told:?}", json["current"])
    })?;
    Ok(true)
}
