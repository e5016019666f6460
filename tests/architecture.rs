//! Checks what the compiler does not: import directions, banned calls, heads and sizes of files.
//!
//! Every rule is also shown something that it must refuse. Next: `architecture/rules.rs`.

#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;

use rules::{floats_in_money, hash_iteration, wrong_imports, wrong_names, wrong_shape};
use source::{Source, without_comments_and_literals, without_test_items};

fn assert_none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn every_file_says_what_it_is_and_is_finished_and_short() {
    let sources = Source::all(&["src", "tests", "benches", "examples"]);
    assert!(sources.len() > 10, "the files are found");
    let problems: Vec<String> = sources
        .iter()
        .flat_map(|source| {
            let code = without_comments_and_literals(&source.text);
            wrong_shape(&source.path, &source.text, &code)
        })
        .collect();
    assert_none(&problems);
}

#[test]
fn the_program_keeps_its_layers_and_calls_nothing_banned() {
    let mut problems = Vec::new();
    for source in Source::all(&["src"]) {
        if source.path.ends_with("/tests.rs") {
            continue;
        }
        let code = without_test_items(&without_comments_and_literals(&source.text));
        for rule in [wrong_imports, wrong_names, floats_in_money, hash_iteration] {
            problems.extend(rule(&source.path, &code));
        }
    }
    assert_none(&problems);
}

#[test]
fn imports_against_the_direction_are_refused() {
    let refused = |path: &str, code: &str| wrong_imports(path, code).len();
    assert_eq!(refused("src/domain/order.rs", "use crate::task::store;\n"), 1);
    assert_eq!(refused("src/domain/order.rs", "use crate::domain::time;\n"), 0);
    assert_eq!(refused("src/task/mod.rs", "fn f() { crate::metrics::Metrics::new() }"), 1);
    assert_eq!(refused("src/kafka/mod.rs", "use crate::{runtime::broker, codec::{a, b}};"), 1);
    assert_eq!(refused("src/kafka/mod.rs", "use crate::{\n  task,\n  codec::json,\n};"), 2);
    assert_eq!(refused("src/http/mod.rs", "use super::kafka::client;"), 1);
    assert_eq!(refused("src/http/health.rs", "use super::kafka;"), 0, "http's own module");
    assert_eq!(refused("src/http/health.rs", "use super::super::kafka;"), 1);
    assert_eq!(refused("src/registry.rs", "use super::http;"), 1);
    assert_eq!(refused("src/main.rs", "use ebbflow::domain::time;"), 1);
    assert_eq!(refused("src/main.rs", "use ebbflow::cli;"), 0);
    assert_eq!(refused("src/lib.rs", "use crate::kafka;"), 0);
    assert_eq!(refused("src/helpers.rs", ""), 1, "a module that is not in the table");
}

#[test]
fn names_away_from_home_are_refused() {
    let refused = |path: &str, code: &str| wrong_names(path, code).len();
    assert_eq!(refused("src/runtime/worker.rs", "let t = Instant::now();"), 2);
    assert_eq!(refused("src/runtime/clock.rs", "let t = Instant::now();"), 0);
    assert_eq!(refused("src/runtime/worker.rs", "let t = jiff::Timestamp::now();"), 1);
    assert_eq!(refused("src/codec/json.rs", "std::env::var(name)"), 2);
    assert_eq!(refused("src/config/load.rs", "std::env::var(name)"), 0);
    assert_eq!(refused("src/config/mod.rs", "env!()"), 0);
    assert_eq!(refused("src/runtime/worker.rs", "std::thread::sleep(d)"), 1);
    assert_eq!(refused("src/service.rs", "std::process::exit(1)"), 1);
    assert_eq!(refused("src/service.rs", "use rdkafka::ClientConfig;"), 1);
    assert_eq!(refused("src/runtime/mod.rs", "tokio::spawn(f)"), 1);
    assert_eq!(refused("src/http/mod.rs", "println!()"), 1);
    assert_eq!(refused("src/cli/mod.rs", "println!(); dbg!(1)"), 1);
    assert_eq!(refused("src/kafka/mod.rs", "unsafe { f() }"), 1);
    assert_eq!(refused("src/kafka/batch.rs", "unsafe { f() }"), 0);
    assert_eq!(refused("src/task/mod.rs", "tracing::info!()"), 1);
    assert_eq!(refused("src/domain/x.rs", "std::fs::read(p); random; operand"), 1);
}

#[test]
fn floats_beside_money_are_refused() {
    assert_eq!(floats_in_money("src/domain/money.rs", "let x = 1 as f64;").len(), 1);
    assert_eq!(floats_in_money("src/domain/order_book.rs", "fn f(x: f32) {}").len(), 1);
    assert_eq!(floats_in_money("src/domain/order_facts.rs", "fn f(x: f32) {}").len(), 0);
    assert_eq!(floats_in_money("src/domain/gap.rs", "let x = 1 as f64;").len(), 0);
    assert_eq!(floats_in_money("src/domain/money.rs", "let xf64 = 1;").len(), 0);
}

#[test]
fn iteration_over_hash_maps_is_refused() {
    let refused = |code: &str| hash_iteration("src/task/store.rs", code).len();
    assert_eq!(refused("struct S { by_id: HashMap<u8, u8> }\nself.by_id.values().sum()"), 1);
    assert_eq!(refused("let seen = HashSet::new();\nfor id in &seen {\n}"), 1);
    assert_eq!(refused("fn f(m: &mut std::collections::HashMap<u8, u8>) { m.drain() }"), 1);
    assert_eq!(refused("states: Arc<u8>, m: DashMap<u8, u8>,\nfor (k, v) in self.m {"), 1);
    assert_eq!(refused("let m = HashMap::new();\nm.get(&1); rows.iter(); for x in rows {"), 0);
    assert_eq!(refused("let m = BTreeMap::new();\nm.iter();"), 0);
    assert_eq!(hash_iteration("src/service.rs", "let m = HashMap::new(); m.iter()").len(), 0);
}

#[test]
fn files_without_a_head_too_large_or_unfinished_are_refused() {
    let refused =
        |text: &str| wrong_shape("src/x.rs", text, &without_comments_and_literals(text)).len();
    assert_eq!(refused("//! What it is.\n"), 0);
    assert_eq!(refused("fn main() {}\n"), 1);
    assert_eq!(refused(&format!("//! What it is.\n{}", "\n".repeat(500))), 1);
    assert_eq!(refused(&format!("//! {}\n", "x".repeat(97))), 1);
    assert_eq!(refused("//! What it is.\nfn f() { todo!() }\n// todo!\n"), 1);
    assert_eq!(refused("//! What it is.\n#[ignore = \"slow\"]\nfn f() { unimplemented!() }\n"), 2);
}
