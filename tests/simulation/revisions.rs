//! New rules step by step: who is judged when, what is told, who may run a task.
//!
//! The first half plays a task alone, the second whole processes. Next: `rules.rs`, what the
//! revisions ask for; `scripted.rs`.

use crate::simulation::cluster::Topic;
use crate::simulation::faults::Plan;
use crate::simulation::log::Payload;
use crate::simulation::outcome::outcome;
use crate::simulation::rules;
use crate::simulation::run::{Mode, Run};
use crate::simulation::stage::{EPOCH, SimWorker};
use crate::simulation::workload::text;
use ebbflow::codec::state::{PROGRESS_KEY, decode_progress};
use ebbflow::domain::change::{CauseKind, Change};
use ebbflow::domain::event::{Body, Event, Interaction, Purchase};
use ebbflow::domain::money::{Currency, Money};
use ebbflow::domain::progress::{Phase, Progress};
use ebbflow::domain::publish::profile::Profile;
use ebbflow::domain::rules::Rules;
use ebbflow::domain::time::{DAY_MS, Timestamp};
use ebbflow::runtime::settings::{Round, Settings, WorkerError};
use ebbflow::task::{EventRecord, PartitionTask, ProfileWrite, TaskConfig};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A task of one partition, with the states that its commits left.
struct Alone {
    task: PartitionTask,
    states: Vec<(String, Vec<u8>)>,
    /// The last profiles that were written.
    profiles: BTreeMap<String, Profile>,
    offset: i64,
}

fn config(revision: u32) -> TaskConfig {
    TaskConfig {
        application_id: "alone".into(),
        partition: 0,
        partitions: 1,
        rules: rules::rules(revision, false),
        keys_are_trusted: true,
        profiles_on_touch: false,
        run_id: "run".into(),
        rebuilt_at: Timestamp::MIN,
    }
}

fn day(days: i64) -> Timestamp {
    EPOCH.plus_days(days)
}

fn order(amount_minor: i64) -> Body<'static> {
    let currency = Currency::parse("EUR").unwrap();
    let (channel, coupon, items) = (None, None, Vec::new());
    let amount = Money { amount_minor, currency };
    let order_id = text(format!("o-{amount_minor}"));
    Body::Purchase(Purchase::OrderCompleted { order_id, amount, channel, coupon, items })
}

fn lives_in(region: &str) -> Body<'static> {
    let traits = vec![(text("region".to_owned()), text(region.to_owned()))];
    Body::Interaction(Interaction::ProfileUpdated { traits })
}

impl Alone {
    fn new() -> Self {
        let task = PartitionTask::new(config(rules::REVISION), 1, Phase::Live);
        Self { task, states: Vec::new(), profiles: BTreeMap::new(), offset: 0 }
    }

    fn event(&mut self, id: &str, at: Timestamp, body: Body<'static>) -> Vec<Change> {
        self.offset += 1;
        let event = Event {
            event_id: text(format!("e-{}", self.offset)),
            customer_id: Some(text(id.to_owned())),
            anonymous_id: None,
            account_id: None,
            occurred_at: at,
            source: None,
            body,
        };
        self.task.advance_to(at);
        let topic = "purchases".into();
        let record = EventRecord {
            input: 1,
            topic: &topic,
            offset: self.offset,
            event: &event,
            at,
            value: &[],
        };
        self.task.handle_event(&record, None).unwrap();
        self.task.take_changes().collect()
    }

    fn commit(&mut self) -> Progress {
        let progress = self.task.progress();
        let (states, profiles) = (&mut self.states, &mut self.profiles);
        self.task.pack(|id, packed, profile| {
            if let ProfileWrite::Profile(profile) = profile {
                profiles.insert(id.to_owned(), *profile);
            }
            states.retain(|(known, _)| known != id);
            states.extend(packed.map(|packed| (id.to_owned(), packed.to_vec())));
        });
        self.task.commit().unwrap();
        progress
    }

    /// The process ends, and another one goes on from what was committed.
    fn restart(&mut self, revision: u32, progress: &Progress) {
        self.task = PartitionTask::new(config(revision), 1, Phase::Live);
        for (id, packed) in &self.states {
            self.task.restore_state(id, Some(packed)).unwrap();
        }
        self.task.restore_progress(progress).unwrap();
    }

    fn works(&mut self, budget: usize) -> Vec<Change> {
        self.task.work_on_all(budget, None).unwrap();
        self.task.take_changes().collect()
    }
}

fn ids(changes: &[Change]) -> Vec<&str> {
    let mut ids: Vec<&str> = changes.iter().map(|change| change.customer_id.as_str()).collect();
    ids.dedup();
    ids
}

/// Customers who will be told something else by the second revision.
fn dormant() -> Alone {
    let mut alone = Alone::new();
    for customer in 0..6 {
        alone.event(&format!("c-{customer}"), day(0), order(900));
    }
    alone
}

#[test]
fn dormant_customers_are_judged_at_a_bounded_rate_and_a_crash_goes_on_at_the_cursor() {
    let mut alone = dormant();
    let progress = alone.commit();
    alone.restart(2, &progress);
    let first = alone.works(2);
    assert_eq!(ids(&first).len(), 2);
    let told = |change: &Change| (change.cause.kind, change.backfill, change.run_id.clone());
    let by_rules = (CauseKind::Rules, true, Some("rules-2".to_owned()));
    assert!(first.iter().all(|change| told(change) == by_rules), "{first:?}");
    let progress = alone.commit();
    assert!(progress.cursor.is_some_and(|cursor| cursor > 0), "{progress:?}");
    // This part is lost with the process, and done again.
    let lost: Vec<_> = alone.works(2).iter().map(|change| change.change_id).collect();
    alone.restart(2, &progress);
    let second = alone.works(2);
    assert_eq!(second.iter().map(|change| change.change_id).collect::<Vec<_>>(), lost);
    let progress = alone.commit();
    alone.restart(2, &progress);
    let third = alone.works(10);
    let mut all = [ids(&first), ids(&second), ids(&third)].concat();
    all.sort_unstable();
    assert_eq!(all, ["c-0", "c-1", "c-2", "c-3", "c-4", "c-5"]);
    alone.commit();
    assert!(alone.works(10).is_empty());
    let progress = alone.commit();
    assert_eq!(progress.cursor, None);
}

#[test]
fn looking_for_who_is_still_to_be_judged_takes_its_part_of_the_budget() {
    let mut alone = Alone::new();
    for customer in 0..100 {
        alone.event(&format!("c-{customer}"), day(0), order(900));
    }
    let progress = alone.commit();
    alone.restart(2, &progress);
    assert!(alone.task.begins_walk());
    for left in (0..100).rev() {
        assert_eq!(ids(&alone.works(1)).len(), 1);
        assert_eq!(alone.task.reevaluation_left(), Some(left));
        alone.commit();
    }
    // Whether anybody was left out: 32 looks for one who would be judged, and nothing to commit.
    for _ in 0..3 {
        assert!(alone.works(1).is_empty());
        assert_eq!(alone.task.reevaluation_left(), Some(0));
        assert!(!alone.task.is_touched());
    }
    alone.works(1);
    assert!(alone.task.is_touched() && !alone.task.is_reevaluating());
    assert_eq!(alone.commit().cursor, None);
}

#[test]
fn customer_whom_something_happens_to_is_judged_first() {
    for touched in 0..6 {
        let mut alone = dormant();
        let progress = alone.commit();
        alone.restart(2, &progress);
        let id = format!("c-{touched}");
        let changes = alone.event(&id, day(1), order(60_000));
        let kinds: Vec<CauseKind> = changes.iter().map(|change| change.cause.kind).collect();
        let judged = kinds.iter().take_while(|kind| **kind == CauseKind::Rules).count();
        assert!(judged > 0 && judged < kinds.len(), "{kinds:?}");
        assert!(kinds[judged..].iter().all(|kind| *kind == CauseKind::Event), "{kinds:?}");
        let rest = [alone.works(3), alone.works(3)].concat();
        assert!(!ids(&rest).contains(&id.as_str()), "judged twice: {rest:?}");
    }
}

#[test]
fn whoever_no_longer_matches_an_audience_leaves_it_and_one_that_is_gone_is_left_by_all() {
    let mut alone = Alone::new();
    let mut entered = alone.event("c-0", day(0), order(900));
    entered.extend(alone.event("c-0", day(0), lives_in("north")));
    entered.extend(alone.event("c-0", day(1), order(901)));
    let by_name = |changes: &[Change], name: &str| {
        let found = changes.iter().find(|change| *change.dimension == *name);
        found.map(|change| (change.previous.clone().unwrap(), change.current.clone().unwrap()))
    };
    for name in ["audience:north", "audience:loyal"] {
        let (out, inside) = ("out".into(), "in".into());
        assert_eq!(by_name(&entered, name), Some((out, inside)), "{name}");
    }
    let progress = alone.commit();
    alone.restart(2, &progress);
    let changes = alone.works(10);
    for name in ["audience:north", "audience:loyal"] {
        let (out, inside) = ("out".into(), "in".into());
        assert_eq!(by_name(&changes, name), Some((inside, out)), "{name}");
    }
}

/// A value keeps its name when the map that gave it is gone.
#[test]
fn value_of_an_earlier_map_is_told_by_its_name() {
    let mut alone = Alone::new();
    alone.event("c-0", day(0), order(900));
    alone.event("c-0", day(0), order(901));
    let progress = alone.commit();
    alone.restart(2, &progress);
    let changes = alone.works(10);
    let rfm = changes.iter().find(|change| *change.dimension == *"rfm").unwrap();
    assert_eq!(rfm.previous.as_deref(), Some("champions"));
    assert_eq!(rfm.current.as_deref(), Some("gold"));
}

#[test]
fn profile_tells_what_new_rules_will_do_though_nothing_moved() {
    let mut alone = Alone::new();
    alone.event("c-0", day(0), order(200));
    // Somebody of whom nothing was told has no profile.
    alone.event("c-1", day(0), lives_in("south"));
    // The order is no longer news, and R has not dropped by any rules.
    alone.task.advance_to(day(7));
    alone.task.fire_timers(100, None).unwrap();
    assert!(alone.task.take_changes().count() > 0);
    let progress = alone.commit();
    let told = alone.profiles["c-0"].next.clone();
    alone.restart(2, &progress);
    assert_eq!(alone.works(10), []);
    alone.commit();
    let next = &alone.profiles["c-0"].next;
    assert!(!next.is_empty() && *next != told, "{next:?}");
    assert!(!alone.profiles.contains_key("c-1"));
}

/// The first revision lets R drop after 20 days, the third keeps it; the second after 8.
#[test]
fn deadline_that_new_rules_put_off_does_not_fire() {
    let mut alone = Alone::new();
    alone.event("c-0", day(0), order(900));
    let progress = alone.commit();
    alone.restart(2, &progress);
    let ms = 8 * DAY_MS + 1;
    for change in alone.works(10) {
        assert!(change.occurred_at <= day(0), "{change:?}");
    }
    let progress = alone.commit();
    alone.task.advance_to(day(0).plus_ms(ms));
    // The process ends before the deadline fires; by the next rules it is none.
    alone.restart(3, &progress);
    alone.task.advance_to(day(0).plus_ms(ms));
    alone.task.fire_timers(100, None).unwrap();
    let changes: Vec<Change> = alone.task.take_changes().collect();
    for change in changes {
        assert!(change.occurred_at <= day(0).plus_ms(ms), "told before its time: {change:?}");
    }
}

/// Two instances or more, with many customers and one judged in each round.
fn script() -> Run {
    let runs = (0..).map(|seed| Run::new(Mode::Wall, seed, &None));
    let fits = |run: &Run| {
        let settings = &run.stage.settings;
        let slow = settings.timers_per_round == 1 && settings.commit.max_records == 1;
        run.instances > 1 && !run.stage.avro && !settings.leave_on_stop && slow
    };
    let run = runs.into_iter().find(fits).unwrap();
    *run.stage.plan.borrow_mut() = Plan::calm();
    run
}

impl Run {
    fn settings_of(&self, revision: u32, hash: Option<&'static str>) -> Settings {
        let mut settings = self.stage.settings.clone();
        let withholds = rules::withhold(&settings.task.rules);
        let mut rules = Rules::clone(&rules::rules(revision, withholds));
        if let Some(hash) = hash {
            rules.identity.hash = hash.into();
        }
        settings.task.rules = Arc::new(rules);
        settings
    }

    /// An order of each of so many customers of partition 0.
    fn many_orders(&self, count: usize) {
        let mine = |id: &String| ebbflow::domain::id::partition_of(id, self.partitions) == 0;
        let ids = (0..).map(|it| format!("c-{it}")).filter(mine).take(count);
        let mut cluster = self.stage.cluster.borrow_mut();
        for id in ids {
            let value = format!(
                r#"{{"event_id":"e-{id}","kind":"order_completed","customer_id":"{id}",
                   "occurred_at":{},"order_id":"o-{id}","amount_minor":900,"currency":"EUR"}}"#,
                EPOCH.0
            );
            let (key, value) = (Some(id.into_bytes()), Some(value.into_bytes()));
            let record = Payload { key, value, at: EPOCH, ..Payload::default() };
            cluster.log(Topic::Purchases, 0).append(record, None);
        }
    }

    /// One process acts alone until something holds of the last progress of partition 0.
    fn until(
        &self,
        worker: &mut SimWorker,
        holds: impl Fn(&Progress) -> bool,
    ) -> Result<(), WorkerError> {
        for _ in 0..10_000 {
            if let Round::Idle(at_most) = worker.round()? {
                self.stage.pass(i64::try_from(at_most.as_millis()).unwrap());
            }
            self.stage.pass(1);
            if self.last_progress().is_some_and(|progress| holds(&progress)) {
                return Ok(());
            }
        }
        panic!("it never held");
    }

    fn last_progress(&self) -> Option<Progress> {
        let mut cluster = self.stage.cluster.borrow_mut();
        let states = cluster.log(Topic::State, 0).committed();
        let progress = states.filter(|(_, it)| it.key.as_deref() == Some(PROGRESS_KEY)).last();
        progress.map(|(_, it)| decode_progress(it.value.as_deref().unwrap()).unwrap())
    }
}

/// The run as it is deployed from now on, to its end, and what it has left.
fn ends_well(mut run: Run, revision: u32) {
    run.stage.deploy_rules(revision);
    run.settle().unwrap();
    let (partitions, _) = run.left().unwrap();
    let progress = run.last_progress().unwrap();
    assert_eq!((progress.rules_revision, progress.cursor), (revision, None));
    assert!(!partitions[0].changes.is_empty());
}

#[test]
fn crash_of_the_process_in_the_middle_of_a_re_evaluation_loses_and_doubles_nothing() {
    let run = script();
    run.many_orders(20);
    let mut first = run.stage.start_with(0, run.settings_of(1, None));
    run.until(&mut first, |progress| progress.customers == 20).unwrap();
    drop(first);
    let mut second = run.stage.start_with(0, run.settings_of(2, None));
    run.until(&mut second, |progress| progress.cursor.is_some_and(|cursor| cursor > 0)).unwrap();
    drop(second);
    let judged = |run: &Run| {
        let partitions = outcome(&mut run.stage.cluster.borrow_mut(), run.partitions, false);
        let changes = &partitions[0].changes;
        let cause = ("cause".to_owned(), b"rules".to_vec());
        changes.iter().filter(|it| it.headers.contains(&cause)).count()
    };
    let before = judged(&run);
    assert!(before > 0 && before < 20, "{before}");
    ends_well(run, 2);
}

#[test]
fn older_rules_do_not_run_what_newer_ones_have_judged() {
    let run = script();
    run.many_orders(3);
    let mut newer = run.stage.start_with(0, run.settings_of(2, None));
    run.until(&mut newer, |progress| progress.customers == 3).unwrap();
    newer.stop().unwrap();
    drop(newer);
    // The other partitions have no progress: they can be run.
    let mut older = run.stage.start_with(0, run.settings_of(1, None));
    for _ in 0..1_000 {
        older.round().unwrap();
        run.stage.pass(5);
    }
    assert_eq!(run.last_progress().unwrap().rules_revision, 2);
    drop(older);
    ends_well(run, 2);
}

#[test]
fn same_revision_with_other_rules_is_refused() {
    let run = script();
    run.many_orders(3);
    let mut first = run.stage.start_with(0, run.settings_of(2, None));
    run.until(&mut first, |progress| progress.customers == 3).unwrap();
    first.stop().unwrap();
    drop(first);
    let mut other = run.stage.start_with(0, run.settings_of(2, Some("another")));
    let refused = run.until(&mut other, |progress| &progress.rules_hash == "another");
    let Err(WorkerError::Refused(text)) = refused else { panic!("{refused:?}") };
    assert!(text.contains("the same revision with hash another"), "{text}");
}
