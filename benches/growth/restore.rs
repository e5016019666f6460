//! Records of a changelog into tasks, as a worker reads them at its start: on one thread, and on
//! two with a task each.
//!
//! Keys and values are copied out of the fetched bytes, read and put in place. What the broker and
//! librdkafka take is not in it: `cargo bench --bench peer -- throughput` has a whole process.
//! Next: `memory.rs`.

use crate::Rules;
use crate::cost::median;
use crate::drive::Drive;
use crate::fill::{Last, States};
use crate::life;
use crate::support::cpu_time;
use ebbflow::codec::state::{StateKey, customer_key, frame, parse_key, unframe};
use ebbflow::config::Config;
use ebbflow::runtime::broker::ChangelogRecord;
use std::time::{Duration, Instant};

const REPEATS: usize = 5;
/// Records read at once.
const SLICE: usize = 10_000;

/// Fetched records, one behind the other: length of key and value, and both.
#[derive(Default)]
struct Changelog {
    bytes: Vec<u8>,
    records: Vec<(usize, usize)>,
}

impl Changelog {
    fn push(&mut self, id: &str, packed: &[u8]) {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        customer_key(id, &mut key);
        frame(packed, &mut value);
        self.bytes.extend_from_slice(&key);
        self.bytes.extend_from_slice(&value);
        self.records.push((key.len(), value.len()));
    }

    fn restore(&self, drive: &mut Drive) -> Duration {
        let before = cpu_time();
        let (mut place, mut slice) = (0, Vec::with_capacity(SLICE));
        for records in self.records.chunks(SLICE) {
            for (key, value) in records {
                let (key, value) = self.bytes[place..place + key + value].split_at(*key);
                place += key.len() + value.len();
                slice.push(ChangelogRecord { key: key.to_vec(), value: Some(value.to_vec()) });
            }
            for record in slice.drain(..) {
                let Ok(StateKey::Customer(id)) = parse_key(&record.key) else {
                    panic!("a customer's key");
                };
                let packed = record.value.as_deref().map(|value| unframe(value).expect("a state"));
                drive.task.restore_state(id, packed).expect("a customer");
            }
        }
        cpu_time() - before
    }
}

pub(crate) fn restore(rules: Rules) {
    let config = rules.config();
    let (what, customers) = match rules {
        Rules::Rfm => ("2 or 3 orders, rfm alone", 1_000_000),
        Rules::Everything => ("all dimensions in use", 500_000),
    };
    let mut changelogs = [Changelog::default(), Changelog::default()];
    let mut states = match rules {
        Rules::Rfm => States::of(&config, Last::Lately),
        Rules::Everything => life::states(&config),
    };
    for n in 0..2 * customers {
        let (id, packed) = states.get(n);
        changelogs[usize::try_from(n % 2).expect("few")].push(id, packed);
    }
    let mut one = Vec::new();
    let mut two = Vec::new();
    for _ in 0..REPEATS {
        one.push(run(&config, &changelogs[..1], customers));
        two.push(run(&config, &changelogs, customers));
    }
    let rate = |runs: &[(f64, f64)]| median(runs.iter().map(|run| run.0).collect());
    let best = |runs: &[(f64, f64)]| runs.iter().map(|run| run.0).fold(0.0, f64::max);
    let ns = |runs: &[(f64, f64)]| median(runs.iter().map(|run| run.1).collect());
    println!(
        "growth/restore, {what}, {} bytes a state, {customers} customers a task: one thread {:.0} \
         customers/s (best {:.0}), {:.0} ns on its core each; two {:.0} (best {:.0}), {:.0} ns, \
         which are {:.0} customers/s on two cores of their own",
        states.mean_bytes(),
        rate(&one),
        best(&one),
        ns(&one),
        rate(&two),
        best(&two),
        ns(&two),
        2e9 / ns(&two),
    );
}

/// Customers/s, and ns of a thread on its core for each.
fn run(config: &Config, changelogs: &[Changelog], customers: u64) -> (f64, f64) {
    let mut drives: Vec<Drive> = changelogs.iter().map(|_| Drive::new(config, 0, 1)).collect();
    let began = Instant::now();
    let cpu: Duration = std::thread::scope(|scope| {
        let pairs = drives.iter_mut().zip(changelogs);
        let threads: Vec<_> =
            pairs.map(|(drive, log)| scope.spawn(move || log.restore(drive))).collect();
        threads.into_iter().map(|it| it.join().expect("it ends")).sum()
    });
    let all = customers as f64 * changelogs.len() as f64;
    (all / began.elapsed().as_secs_f64(), cpu.as_nanos() as f64 / all)
}
