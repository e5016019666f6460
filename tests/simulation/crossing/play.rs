//! One crossing run from one seed: history that lies there, input that arrives, or both; then
//! everything once more in a second lineage.
//!
//! Next: `workload.rs`, what is sent; `oracle.rs` and `told.rs`, what must come of it.

use crate::simulation::crossing::naive::Identity;
use crate::simulation::crossing::oracle::{check_end, identity};
use crate::simulation::crossing::told::{check_absence, check_told};
use crate::simulation::crossing::workload::Workload;
use crate::simulation::oracle::check_forgotten;
use crate::simulation::outcome::{Partition, outcome};
use crate::simulation::random::Random;
use crate::simulation::run::{FAULTS_MS, Run};
use crate::simulation::schedule::check_schedule;
use crate::simulation::stage::{EPOCH, SESSION_MS};
use ebbflow::domain::time::{DAY_MS, Timestamp};
use ebbflow::task::TaskConfig;

/// How long before everything else history lies, in days.
const HISTORY_DAYS: i64 = 90;

/// What moves the clocks of a crossing run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Clocks {
    /// The wall.
    Wall,
    /// Events, and tasks wait for one another.
    Event,
    /// Events, in a run that ends by itself: one process moves all tasks in step.
    InStep,
}

impl Clocks {
    pub(crate) fn of(seed: u64) -> Self {
        match seed % 5 {
            0 | 1 | 3 => Self::Wall,
            2 => Self::Event,
            _ => Self::InStep,
        }
    }
}

/// How much happened that is seldom.
#[derive(Default)]
pub(crate) struct Crossed {
    pub(crate) relayed: u64,
    /// Redirects that are left.
    pub(crate) redirects: u64,
    pub(crate) rebuilt: u64,
    /// Changes by time that were compared with the naive model's.
    pub(crate) timers: u64,
}

/// Plays a run to its end and checks it; gives what its last lineage left.
pub(crate) fn play(run: &mut Run, seed: u64) -> Result<(Vec<Partition>, Crossed), String> {
    let mut random = Random::new(!seed);
    let clocks = Clocks::of(seed);
    let rebuilds = random.chance(250);
    let arrives = clocks == Clocks::Wall && random.chance(600);
    let mut workload = Workload::new(random.fork(), run.partitions, run.stage.avro);
    if !arrives || random.chance(500) {
        lay_history(run, &mut workload, &mut random);
    }
    if arrives {
        let_arrive(run, &mut workload, &mut random)?;
    }
    finish(run, clocks)?;
    let mut crossed = Crossed::default();
    let first = left(run);
    let ever = identity(&first, &run.config);
    let before = vec![0; first.len()];
    check(run, &first, &ever, (&before, !arrives), &mut crossed)?;
    if !rebuilds {
        return Ok((first, crossed));
    }
    crossed.rebuilt = 1;
    // Whoever begins a lineage waits until the group has no members.
    run.stage.pass(SESSION_MS + 1);
    run.forget_inputs();
    let began_at = run.begin_lineage();
    run.stage.start_again(&run.ends());
    finish(run, clocks)?;
    let whole = left(run);
    let second: Vec<Partition> =
        whole.iter().zip(&first).map(|(it, first)| it.after(first)).collect();
    check_forgotten(&whole, &second)?;
    let before: Vec<u64> = first.iter().map(Partition::transactions).collect();
    // Redirects outlive lineages.
    let second: Vec<Partition> =
        second.into_iter().zip(&first).map(|(second, first)| second.with_marks_of(first)).collect();
    run.config = TaskConfig { rebuilt_at: began_at, ..run.config.clone() };
    check(run, &second, &ever, (&before, false), &mut crossed)
        .map_err(|text| format!("in the second lineage {text}"))?;
    Ok((second, crossed))
}

fn check(
    run: &Run,
    outcome: &[Partition],
    ever: &Identity,
    (before, is_history): (&[u64], bool),
    crossed: &mut Crossed,
) -> Result<(), String> {
    check_told(outcome, &run.config, before)?;
    check_schedule(outcome)?;
    check_end(outcome, ever, &run.config)?;
    if is_history {
        crossed.timers += check_absence(outcome, &run.config, ever)?;
    }
    crossed.relayed += outcome.iter().map(|records| records.inputs[2].len() as u64).sum::<u64>();
    crossed.redirects += outcome.iter().map(Partition::redirects).sum::<u64>();
    Ok(())
}

/// What lies in the inputs from the start, in order of time.
fn lay_history(run: &mut Run, workload: &mut Workload, random: &mut Random) {
    let mut now = EPOCH.plus_days(-HISTORY_DAYS);
    for _ in 0..random.between(5, 25) {
        let mut records = Vec::new();
        for _ in 0..random.between(1, 3) {
            let steps = [0, 1, 60_000, DAY_MS / 3, DAY_MS, 4 * DAY_MS];
            let then = now.plus_ms(*random.pick(&steps));
            if then < EPOCH {
                now = then;
            }
            records.extend(workload.records(now, now));
        }
        run.append(records);
    }
}

fn let_arrive(run: &mut Run, workload: &mut Workload, random: &mut Random) -> Result<(), String> {
    for _ in 0..random.between(2, 7) {
        for _ in 0..random.between(1, 4) {
            let now = EPOCH.plus_ms(run.stage.now_ms());
            for _ in 0..random.between(1, 3) {
                let late = *random.pick(&[0, 0, 0, 1, DAY_MS, 9 * DAY_MS]);
                let records = workload.records(now.plus_ms(-late), now);
                run.append(records);
            }
            for _ in 0..random.between(0, 40) {
                run.step()?;
            }
        }
        if random.chance(400) && run.rest(20_000)? {
            let long = *random.pick(&[3_600_000, DAY_MS, 9 * DAY_MS]);
            run.stage.skip(random.between(1, long));
        }
    }
    Ok(())
}

/// Until all is read and told, and all clocks have come to the end.
fn finish(run: &mut Run, clocks: Clocks) -> Result<(), String> {
    if clocks == Clocks::InStep {
        return run.play_to_the_end();
    }
    let calm_ms = run.stage.now_ms() + FAULTS_MS / 2;
    while run.stage.now_ms() < calm_ms && !run.is_drained() {
        run.step()?;
    }
    run.stage.plan.borrow_mut().active = false;
    run.settle()?;
    if clocks == Clocks::Wall {
        run.stage.skip(40 * DAY_MS);
        run.settle()?;
    }
    Ok(())
}

fn left(run: &Run) -> Vec<Partition> {
    let mut cluster = run.stage.cluster.borrow_mut();
    while !cluster.is_quiet() {
        cluster.pass(1);
    }
    outcome(&mut cluster, run.partitions, run.stage.avro)
}

/// Where the clocks of a run that ends by itself go.
pub(crate) fn end_of(clocks: Clocks) -> Option<Option<Timestamp>> {
    (clocks == Clocks::InStep).then_some(Some(EPOCH.plus_days(40)))
}
