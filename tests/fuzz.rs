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
