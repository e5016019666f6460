//! The Kafka Streams program: built with Maven, run with the JVM that is there.
//!
//! Next: `streams/`, its source; `main.rs`.

use crate::broker::target;
use ebbflow::config::Config;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Heap with which it is as fast as with more.
const HEAP: [&str; 3] = ["-Xms512m", "-Xmx512m", "-XX:+UseParallelGC"];

/// The program, ready to run.
pub(crate) struct Streams {
    classpath: String,
}

impl Streams {
    /// Compiles it; what it needs is fetched when it is not there.
    pub(crate) fn build() -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peer/streams");
        let output = target().join("streams-peer");
        let classes = output.join("classes");
        let jars = output.join("jars-4.3.1");
        fs::create_dir_all(&classes).expect("make a folder");
        if !jars.exists() {
            let mut maven = Command::new("mvn");
            maven.args(["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime"]);
            maven.arg(format!("-DoutputDirectory={}", jars.display()));
            succeed(maven.arg("-f").arg(source.join("pom.xml")));
        }
        let java = source.join("src/main/java");
        let files = fs::read_dir(&java).expect("the source").map(|file| file.expect("a file"));
        let files: Vec<PathBuf> = files.map(|file| file.path()).collect();
        let jars = jars.join("*").display().to_string();
        let mut compiler = Command::new("javac");
        compiler.args(["--release", "17", "-cp", &jars, "-d"]).arg(&classes).args(files);
        succeed(&mut compiler);
        Self { classpath: format!("{}:{jars}", classes.display()) }
    }

    /// Starts it; its group is `application`, its changes are in the topic of that name with
    /// `-changes`, its states in that with `-customers-changelog`.
    pub(crate) fn start(
        &self,
        bootstrap: &str,
        application: &str,
        input: &str,
        config: &Config,
    ) -> Child {
        let folder = target().join("streams-peer").join(application);
        fs::create_dir_all(&folder).expect("make a folder");
        let segments = folder.join("segments");
        fs::write(&segments, segments_of(config)).expect("write the segments");
        let changes = format!("{application}-changes");
        let mut java = Command::new("java");
        java.args(HEAP).arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=error");
        java.args(["-cp", &self.classpath, "StreamsPeer", bootstrap, application, input, &changes]);
        java.arg(segments).arg(folder.join("state")).arg("100");
        java.stdout(Stdio::null()).spawn().expect("start java")
    }
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?} could not be started: {error}; it needs a JDK 17 and Maven")
    });
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&text));
}

/// The cut points and the map in the form that the program reads.
fn segments_of(config: &Config) -> String {
    let rfm = &config.rules.thresholds.rfm;
    let mut text = String::new();
    for edges in [&rfm.recency_days, &rfm.frequency, &rfm.monetary_minor] {
        let edges: Vec<String> = edges.iter().map(ToString::to_string).collect();
        writeln!(text, "{}", edges.join(",")).expect("write to a string");
    }
    let levels = 1..=rfm.map.levels();
    let mut names = Vec::new();
    for (r, f) in levels.clone().flat_map(|r| levels.clone().map(move |f| (r, f))) {
        for m in levels.clone() {
            let value = &rfm.map.values()[usize::from(rfm.map.look_up(r, f, m))];
            names.push(value.name.to_string());
        }
    }
    writeln!(text, "{}", names.join(",")).expect("write to a string");
    text
}
