//! The fuzz targets with their seeds: what fuzzing has found once stays fixed.
//!
//! The fuzzing itself is `make fuzz`. Next: `../fuzz/src/targets.rs`.

#[path = "../fuzz/src/targets.rs"]
#[expect(unreachable_pub, reason = "a crate of its own when it fuzzes")]
mod targets;

use std::path::Path;

/// Runs a target with each of its seeds.
#[expect(clippy::print_stdout, reason = "the test runner shows the seed when the test fails")]
fn run(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let mut count = 0;
    for seed in std::fs::read_dir(folder).expect("the seeds are there") {
        let path = seed.expect("a seed").path();
        println!("{}", path.display());
        target(&std::fs::read(path).expect("read a seed"));
        count += 1;
    }
    assert!(count > 0, "{name} has seeds");
    target(b"");
}

#[test]
fn json() {
    run("json", targets::json);
}

#[test]
fn avro() {
    run("avro", targets::avro);
}

#[test]
fn confluent() {
    run("confluent", targets::confluent);
}

#[test]
fn schema() {
    run("schema", targets::schema);
}

#[test]
fn state() {
    run("state", targets::state);
}

#[test]
fn progress() {
    run("progress", targets::progress);
}

#[test]
fn control() {
    run("control", targets::control);
}

#[test]
fn config() {
    run("config", targets::config);
}

#[test]
fn zz_make_seeds() {
    use ebbflow::codec::decoder::decode_json_line;
    use ebbflow::codec::state::{customer_key, frame};
    use ebbflow::domain::apply::{Tally, apply};
    use ebbflow::domain::change::Change;
    use ebbflow::domain::customer::Customer;
    use ebbflow::domain::dimension::{Dimension, Entries};
    use ebbflow::domain::facts::order::Stamp;
    use ebbflow::domain::id::EventKey;
    use ebbflow::domain::pack::pack;
    use ebbflow::domain::publish::context::Context;
    use ebbflow::domain::time::Timestamp;
    let rules = ebbflow::config::from_sources(None, [], &[]).unwrap().config.rules;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let write = |name: &str, customer: &Customer| {
        let (mut packed, mut value, mut key) = (Vec::new(), Vec::new(), Vec::new());
        pack(customer, rules.rates.base(), &mut packed);
        frame(&packed, &mut value);
        customer_key(&customer.id, &mut key);
        let seed = [&key[..], &[0], &value[..]].concat();
        std::fs::write(folder.join("fuzz/seeds/state").join(name), seed).unwrap();
    };
    let of = |scenario: &str| {
        let text =
            std::fs::read_to_string(folder.join(format!("tests/golden/{scenario}.jsonl"))).unwrap();
        let mut customer: Option<Customer> = None;
        let (mut tally, mut changes) = (Tally::default(), Vec::<Change>::new());
        for line in text.lines() {
            let Ok(event) = decode_json_line(line.as_bytes(), &rules.rates) else { continue };
            let at = event.occurred_at;
            let customer =
                customer.get_or_insert_with(|| Customer::new(&event.subject_id(), at, 1));
            if customer.id != event.subject_id() {
                continue;
            }
            let context = Context {
                rules: &rules,
                application_id: "fuzz",
                lineage: 1,
                clock: at,
                now: None,
                silent: false,
                run_id: None,
                rebuilt_at: Timestamp::MIN,
            };
            apply(customer, &event, at, (&"t".into(), 0, 0), &context, &mut tally, &mut changes);
        }
        customer.unwrap()
    };
    for name in ["advocacy", "first_year", "refunds", "subscription"] {
        write(name, &of(name));
    }
    write("interactions", &of("engagement"));
    let mut twice = of("first_year");
    let entry = |value| Entries { dimension: Dimension::Rfm, value, count: 9 };
    twice.entries = vec![entry(100), entry(100)];
    write("entries_twice", &twice);
    twice.entries = vec![entry(100), entry(90)];
    write("entries_out_of_order", &twice);
    let mut visitor = Customer::new("anon:1", Timestamp(5), 1);
    visitor.evaluated_at = Timestamp(9);
    write("visitor", &visitor);
    let mut tied = of("first_year");
    let ties = tied.ties.get_or_insert_default();
    ties.know("anon:1", Timestamp(5));
    ties.join("account:a", Timestamp(5), Timestamp(9));
    ties.refer("r-1", Timestamp(5), EventKey(7));
    ties.brought("r-2", Timestamp(5), -700);
    let contacts = tied.contacts.get_or_insert_default();
    contacts.champion(1, 2, Stamp { at: Timestamp(8), key: EventKey(7) });
    contacts.seen(1, Timestamp(8));
    contacts.left(2, Timestamp(8));
    write("tied", &tied);
}
