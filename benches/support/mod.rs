//! What the benchmarks share: rules, events, tasks, and counted allocations.

use ebbflow::config::{Config, FileText, from_sources};
use ebbflow::domain::event::{Body, Event, Interaction, Purchase, VisitKind};
use ebbflow::domain::id::partition_of;
use ebbflow::domain::money::{Currency, Money};
use ebbflow::domain::name::Name;
use ebbflow::domain::progress::Phase;
use ebbflow::domain::time::{DAY_MS, Timestamp};
use ebbflow::task::{EventRecord, PartitionTask, TaskConfig};
use mimalloc::MiMalloc;
use rustix::time::{ClockId, clock_gettime};
use std::alloc::{GlobalAlloc, Layout};
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts allocations of the whole process, and their bytes.
pub(crate) struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static ALLOCATED: AtomicU64 = AtomicU64::new(0);

fn count(bytes: usize) {
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    ALLOCATED.fetch_add(bytes as u64, Ordering::Relaxed);
}

// SAFETY: every call goes to the program's allocator unchanged; only counters are added.
#[allow(unsafe_code, reason = "an allocator is unsafe by its nature")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller promises.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { MiMalloc.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as the caller promises.
        unsafe { MiMalloc.realloc(pointer, layout, size) }
    }
}

/// Allocations since the start of the process.
#[must_use]
pub(crate) fn allocations() -> u64 {
    ALLOCATIONS.load(Ordering::Relaxed)
}

/// Bytes that were asked for since the start of the process.
#[must_use]
pub(crate) fn allocated_bytes() -> u64 {
    ALLOCATED.load(Ordering::Relaxed)
}

/// How long this thread has run on a core.
#[must_use]
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("a time that passes")
}

/// What a process has used so far.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_kb: u64,
}

impl Usage {
    pub(crate) fn of(process: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let words: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        let ticks: f64 =
            words.get(11)?.parse::<f64>().ok()? + words.get(12)?.parse::<f64>().ok()?;
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let peak_kb = peak.trim().trim_end_matches(" kB").trim().parse().ok()?;
        // The kernel counts in hundredths of a second on every common configuration.
        Some(Self { cpu_seconds: ticks / 100.0, peak_kb })
    }
}

/// One dimension, in few bytes.
pub(crate) const RFM_ALONE: &str = "\
    [rfm]\nmap = \"classic-11\"\nwindow = \"lifetime\"\n\
    [output]\ndimensions = [\"rfm\"]\ndetail = \"compact\"\njudged = \"written\"\n\
    [profiles]\non = \"never\"\n\
    [input]\nkey = \"trusted\"\n";

/// All dimensions and ten audiences, in full.
pub(crate) const EVERYTHING: &str = "\
    [output]\ndimensions = [\"rfm\", \"lifecycle\", \"activity\", \"value_mode\", \"value_tier\", \
    \"engagement\", \"satisfaction\", \"qualification\", \"contacts\"]\n\
    [audience]\n\
    vip.rule = 'facts.net_minor >= 50000'\n\
    win-back.rule = 'lifecycle == \"lapsed\" && facts.net_minor >= 20000'\n\
    second-order.rule = 'lifecycle == \"purchase\" && facts.orders == 1'\n\
    hot-no-order.rule = 'engagement == \"hot\" && facts.orders == 0'\n\
    shoes.rule = 'preferred_category == \"shoes\"'\n\
    app.rule = 'preferred_channel == \"app\"'\n\
    europe.rule = 'traits.region == \"EU\" && facts.orders > 0'\n\
    champions.rule = 'rfm == \"champions\"'\n\
    silent-champions.rule = 'rfm == \"champions\" && activity == \"at_risk\"'\n\
    mail.rule = 'consent[\"marketing:email\"] && facts.orders > 2'\n";

/// A configuration.
#[must_use]
pub(crate) fn config_of(text: &str) -> Config {
    let file = FileText { path: Path::new("bench.toml"), text };
    from_sources(Some(file), [], &[]).expect("a valid configuration").config
}

/// The default configuration.
#[must_use]
pub(crate) fn config() -> Config {
    from_sources(None, [], &[]).expect("the defaults are valid").config
}

/// A task that owns the only partition.
#[must_use]
pub(crate) fn task(config: &Config) -> PartitionTask {
    let task = TaskConfig {
        application_id: "bench".into(),
        partition: 0,
        partitions: 1,
        rules: Arc::clone(&config.rules),
        keys_are_trusted: true,
        profiles_on_touch: false,
        run_id: "bench".into(),
        rebuilt_at: Timestamp::MIN,
    };
    assert_eq!(partition_of("any", 1), 0);
    PartitionTask::new(task, 1, Phase::Live)
}

/// The start of the events.
pub(crate) const START: Timestamp = Timestamp(1_767_225_600_000);

/// Owned texts of the `index`th event.
pub(crate) struct Texts {
    event_id: String,
    customer_id: String,
    order_id: String,
}

/// Texts of the `index`th event over so many customers, spread by a multiplicative hash.
#[must_use]
pub(crate) fn texts(index: u64, customers: u64) -> Texts {
    texts_of(index, index.wrapping_mul(0x9e37_79b9_7f4a_7c15) % customers)
}

/// Texts of the `index`th event, which is this customer's.
#[must_use]
pub(crate) fn texts_of(index: u64, customer: u64) -> Texts {
    Texts {
        event_id: format!("{:016x}", index.wrapping_mul(0xff51_afd7_ed55_8ccd)),
        customer_id: format!("c_{customer:019}"),
        order_id: format!("o-{index}"),
    }
}

/// An order, 97 of 100 times, else a refund of an earlier order.
#[must_use]
pub(crate) fn purchase(texts: &Texts, index: u64) -> Event<'_> {
    let step = i64::try_from(index).expect("an index is small");
    let amount = Money {
        amount_minor: 500 + step % 20_000,
        currency: Currency::parse("EUR").expect("a code"),
    };
    event(
        texts,
        START.plus_ms(step * 40),
        Body::Purchase(Purchase::OrderCompleted {
            order_id: Cow::Borrowed(&texts.order_id),
            amount,
            channel: None,
            coupon: None,
            items: Vec::new(),
        }),
    )
}

/// A product view.
#[must_use]
pub(crate) fn view(texts: &Texts, index: u64) -> Event<'_> {
    let step = i64::try_from(index).expect("an index is small");
    let visit = Interaction::Visit {
        kind: VisitKind::ProductViewed,
        sku: None,
        category: None,
        channel: None,
    };
    event(texts, START.plus_ms(step * 40 % (30 * DAY_MS)), Body::Interaction(visit))
}

fn event<'a>(texts: &'a Texts, occurred_at: Timestamp, body: Body<'a>) -> Event<'a> {
    Event {
        event_id: Cow::Borrowed(&texts.event_id),
        customer_id: Some(Cow::Borrowed(&texts.customer_id)),
        anonymous_id: None,
        account_id: None,
        occurred_at,
        source: None,
        body,
    }
}

const TOPIC: Name = Name::BuiltIn("purchases");

/// Feeds an event to a task.
pub(crate) fn feed(task: &mut PartitionTask, event: &Event<'_>, offset: i64) {
    let record =
        EventRecord { input: 1, topic: &TOPIC, offset, event, at: event.occurred_at, value: &[] };
    task.handle_event(&record, Some(event.occurred_at)).expect("the event belongs here");
}
