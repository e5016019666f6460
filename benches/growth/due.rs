//! How long live orders wait while very many timers that fall due in one second are worked off.
//!
//! The worker's rounds without a broker: at most a thousand timers in each, a commit after 100 ms
//! or when there was nothing to do for 5 ms. The clock is the thread's time on its core, and leaps
//! where the worker would sleep, so that other work on the machine does not count.
//! Next: `workers.rs`.

use crate::Rules;
use crate::cost::TIMERS;
use crate::drive::{Drive, Incoming, Orders};
use crate::fill::{Last, States};
use crate::support::{START, cpu_time};
use std::time::Duration;

/// Live orders a second.
const RATE: u32 = 2_000;
/// Customers who order.
const ORDERING: u64 = 100_000;
/// The numbers of those whose timers are due.
const DUE: u64 = 1 << 41;
const DUE_AFTER: Duration = Duration::from_secs(5);
const INTERVAL: Duration = Duration::from_millis(100);
const IDLE_GAP: Duration = Duration::from_millis(5);
const MAX_BYTES: usize = 16 << 20;
/// Orders at hand at most, as a worker fetches them.
const FETCH: usize = 2_000;

/// What live orders waited, by when they came.
#[derive(Default)]
struct Waits {
    before: Vec<Duration>,
    meanwhile: Vec<Duration>,
}

struct Live {
    drive: Drive,
    orders: Orders,
    at_hand: Vec<Incoming>,
    /// When the orders at hand, and those of the open transaction, came.
    came: Vec<Duration>,
    open: Vec<Duration>,
    /// Orders so far.
    count: u32,
    now: Duration,
    began: Option<Duration>,
    ended: Duration,
    fired: usize,
}

pub(crate) fn due(rules: Rules, timers: u64) {
    let config = rules.config();
    let mut drives = vec![Drive::new(&config, 0, 1)];
    States::of(&config, Last::Lately).fill(&mut drives, 0..ORDERING);
    let in_ms = i64::try_from(DUE_AFTER.as_millis()).expect("few");
    States::of(&config, Last::Due(in_ms)).fill(&mut drives, DUE..DUE + timers);
    let mut live = Live {
        drive: drives.remove(0),
        orders: Orders::of(ORDERING, 1),
        at_hand: Vec::new(),
        came: Vec::new(),
        open: Vec::new(),
        count: 0,
        now: Duration::ZERO,
        began: None,
        ended: Duration::ZERO,
        fired: 0,
    };
    let mut waits = Waits::default();
    // A second behind the last timer, so that whoever came meanwhile is counted.
    let mut over: Option<Duration> = None;
    while over.is_none_or(|over| live.now < over + Duration::from_secs(1)) {
        let until = over.unwrap_or(Duration::MAX);
        live.round(&mut waits, until);
        let all = live.now > DUE_AFTER + Duration::from_secs(1) && !live.drive.task.is_due();
        over = over.or(all.then_some(live.now));
    }
    let took = over.unwrap_or_default().saturating_sub(DUE_AFTER);
    println!(
        "growth/due, {}: {} timers in one second, {RATE} orders/s: worked off in {:.1} s of its \
         core, {:.0} timers/s; orders wait for their commit {}; before {}",
        rules.name(),
        live.fired,
        took.as_secs_f64(),
        live.fired as f64 / took.as_secs_f64(),
        shown(waits.meanwhile),
        shown(waits.before),
    );
}

fn shown(mut waits: Vec<Duration>) -> String {
    waits.sort_unstable();
    let at = |percent: usize| waits[(waits.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
    format!("p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms", at(50), at(99), at(100))
}

impl Live {
    /// When an order comes.
    fn comes(number: u32) -> Duration {
        Duration::from_secs(1) * number / RATE
    }

    /// Fetches what has come; making it takes no time.
    fn fetch(&mut self) {
        while self.at_hand.len() < FETCH && Self::comes(self.count) <= self.now {
            let came = Self::comes(self.count);
            let at = START.plus_ms(i64::try_from(came.as_millis()).expect("few"));
            self.at_hand.push(self.orders.next(at).1);
            self.came.push(came);
            self.count += 1;
        }
    }

    fn round(&mut self, waits: &mut Waits, over: Duration) {
        self.fetch();
        let at = START.plus_ms(i64::try_from(self.now.as_millis()).expect("few"));
        let before = cpu_time();
        let pumped = self.drive.round(&self.at_hand, at, TIMERS);
        let consumed = pumped.consumed[1];
        self.at_hand.drain(..consumed);
        self.open.extend(self.came.drain(..consumed));
        self.fired += pumped.timers;
        let busy = consumed > 0 || pumped.timers > 0 || pumped.limited;
        if self.drive.task.is_touched() && self.began.is_none() {
            self.began = Some(self.now);
        }
        let commits = self.began.is_some_and(|began| {
            (!busy && self.now >= self.ended + IDLE_GAP)
                || self.now >= began + INTERVAL
                || self.drive.sent >= MAX_BYTES
        });
        if commits {
            self.drive.commit();
        }
        self.now += cpu_time() - before;
        if commits {
            (self.began, self.ended) = (None, self.now);
            for came in self.open.drain(..) {
                let waited = self.now - came;
                if came < DUE_AFTER {
                    waits.before.push(waited);
                } else if came < over {
                    waits.meanwhile.push(waited);
                }
            }
        } else if !busy {
            let dry = self.began.map_or(Duration::MAX, |_| self.ended + IDLE_GAP);
            self.now = self.now.max(Self::comes(self.count).min(dry));
        }
    }
}
