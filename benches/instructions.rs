//! Instructions of the hot paths, counted by valgrind: a change of a tenth is found on any machine,
//! however busy.
//!
//! `cargo bench --bench instructions` compares with `benches/instructions.txt` and fails where
//! something takes more; `-- --update` writes what it takes now. Only differences between two runs
//! of the same work count: what comes before is left out. Next: `task.rs`, the same in time.

#![allow(clippy::print_stdout, reason = "figures for people")]

use ebbflow::codec::change::ChangeEncoder;
use ebbflow::codec::decoder::{Decoder, Format, Framing, RecordType};
use ebbflow::codec::encode::OutputFormat;
use ebbflow::codec::event_writer::EventEncoder;
use ebbflow::domain::event::Event;
use ebbflow::task::PartitionTask;
use mimalloc::MiMalloc;
use std::fmt::Write;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

#[allow(dead_code, reason = "each benchmark uses a part")]
mod support;
use support::{EVERYTHING, RFM_ALONE, START, config, config_of, feed, purchase, task, texts, view};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// More instructions than before by which the gate is closed, in percent.
const SLACK: u64 = 10;
const CUSTOMERS: u64 = 500;
/// Events of a transaction.
const BATCH: u64 = 250;

/// What is done, and how often in the longer run; a quarter of it in the shorter one.
type Work = (&'static str, u64, fn(u64));

const WORK: [Work; 7] = [
    ("task/order, rfm alone", 8_000, |times| events(RFM_ALONE, times, false)),
    ("task/order, everything", 4_000, |times| events(EVERYTHING, times, false)),
    ("task/nine views and an order, everything", 8_000, |times| events(EVERYTHING, times, true)),
    ("decode/avro order", 8_000, |times| decode(OutputFormat::AvroSingleObject, times)),
    ("decode/json order", 8_000, |times| decode(OutputFormat::Json, times)),
    ("encode/json change, full", 4_000, |times| encode(false, times)),
    ("restore/state", 8_000, restore),
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(place) = arguments.iter().position(|argument| argument == "--work") {
        let name = &arguments[place + 1];
        let times = arguments[place + 2].parse().expect("a count");
        let (.., work) = WORK.iter().find(|(known, ..)| known == name).expect("a name");
        work(times);
        return;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.txt");
    let before = std::fs::read_to_string(&file).unwrap_or_default();
    let known = |name: &str| -> Option<u64> {
        let line = before.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))?;
        line.parse().ok()
    };
    let (mut now, mut worse) = (String::new(), Vec::new());
    for (name, times, _) in WORK {
        let count = (counted(name, times) - counted(name, times / 4)) / (times - times / 4);
        writeln!(now, "{name}: {count}").expect("write to a string");
        let before = known(name);
        let shown = before.map_or("new".to_owned(), |before| format!("{before} before"));
        println!("{name}: {count} instructions ({shown})");
        if before.is_none_or(|before| count * 100 > before * (100 + SLACK)) {
            worse.push(name);
        }
    }
    if arguments.iter().any(|argument| argument == "--update") {
        std::fs::write(&file, now).expect("write the counts");
    } else {
        assert!(
            worse.is_empty(),
            "more instructions than benches/instructions.txt allows: {}; make it faster, or write \
             down what it takes now and why: cargo bench --bench instructions -- --update",
            worse.join(", ")
        );
    }
}

/// Instructions of a process that does something so often.
fn counted(name: &str, times: u64) -> u64 {
    let own = std::env::current_exe().expect("this program");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(own);
    let output = valgrind
        .args(["--work", name, &times.to_string()])
        .output()
        .expect("valgrind is needed; on Debian: apt-get install valgrind");
    let text = String::from_utf8_lossy(&output.stderr);
    let count = text.lines().find_map(|line| line.split_once("Collected : ")?.1.parse().ok());
    count.unwrap_or_else(|| panic!("valgrind did not count: {text}"))
}

fn committed(task: &mut PartitionTask) {
    task.pack(|_, packed, _| {
        black_box(packed);
    });
    task.commit().expect("readable states");
}

fn events(rules: &str, times: u64, mixed: bool) {
    let mut task = task(&config_of(rules));
    for index in 0..times {
        let texts = texts(index, CUSTOMERS);
        let offset = i64::try_from(index).expect("small");
        let event = match mixed && index % 10 > 0 {
            true => view(&texts, index),
            false => purchase(&texts, index),
        };
        // Everybody comes back three times a day.
        let occurred_at = START.plus_ms(offset * 60_000);
        feed(&mut task, &Event { occurred_at, ..event }, offset);
        black_box(task.take_changes()).for_each(drop);
        if index % BATCH == BATCH - 1 {
            committed(&mut task);
        }
    }
}

fn decode(format: OutputFormat, times: u64) {
    let config = config();
    let texts = texts(1, 1);
    let event: Event<'_> = purchase(&texts, 1);
    let mut bytes = Vec::new();
    EventEncoder::new(format, format).encode(&event, &mut bytes);
    let format = match format {
        OutputFormat::Json => Format::Json,
        _ => Format::Avro(Framing::SingleObject),
    };
    let decoder = Decoder::new(RecordType::Purchases, format);
    for _ in 0..times {
        black_box(decoder.decode(black_box(&bytes), &config.rules.rates)).expect("an event");
    }
}

fn encode(compact: bool, times: u64) {
    let mut task = task(&config());
    let texts = texts(1, 1);
    feed(&mut task, &purchase(&texts, 1), 0);
    let change = task.take_changes().next().expect("a first order is a change");
    let mut encoder = ChangeEncoder::new(OutputFormat::Json, compact);
    let mut bytes = Vec::new();
    for _ in 0..times {
        encoder.encode(black_box(&change), &mut bytes);
        black_box(&bytes);
    }
}

fn restore(times: u64) {
    let mut source = task(&config());
    let texts = texts(1, 1);
    feed(&mut source, &purchase(&texts, 1), 0);
    let mut state = Vec::new();
    source.pack(|_, packed, _| state = packed.expect("a state").to_vec());
    let mut target = task(&config());
    for index in 0..times {
        target.restore_state(&format!("{index:021}"), Some(&state)).expect("a state");
    }
}
