//! The binary: help texts, exit codes, what goes to stdout and what to stderr.
//!
//! Next: `tests/config.rs`, what a configuration may be.

#[path = "cli/why.rs"]
mod why;

use insta::assert_snapshot;
use std::path::PathBuf;
use std::process::{Command, Output};

fn ebbflow(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ebbflow"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("EBBFLOW__") {
            command.env_remove(name);
        }
    }
    command.args(arguments).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is UTF-8")
}

fn code(arguments: &[&str]) -> Option<i32> {
    ebbflow(arguments).status.code()
}

/// A configuration file that lives as long as this value.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(name: &str, content: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ebbflow-cli-{}-{name}", std::process::id()));
        std::fs::write(&path, content).expect("a temporary file");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a path in UTF-8")
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).expect("the temporary file goes");
    }
}

#[test]
fn help_names_commands_and_exit_codes() {
    let output = ebbflow(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    assert_snapshot!(text(&output.stdout), @r##"
    Streaming customer engagement: every customer's value and lifecycle, exactly once, from Kafka to Kafka

    Usage: ebbflow [OPTIONS] <COMMAND>

    Commands:
      run           Run the service
      replay        Compute changes from files, without Kafka
      demo          Show the whole path on real orders, with an embedded broker
      check-config  Check a configuration file: all problems at once
      topics        Check the topics, or create the missing ones
      why           Say why a customer stands where they stand
      help          Print this message or the help of the given subcommand(s)

    Options:
          --log <FILTER>  What to log, such as `info` or `warn,ebbflow=debug`; sets log.filter
      -h, --help          Print help
      -V, --version       Print version

    Data goes to stdout, logs to stderr. Exit codes: 0 done, 1 failure while running, 2 bad usage or configuration, 3 no such customer (why).
    "##);
}

#[test]
fn help_of_each_command_has_examples() {
    for command in ["run", "replay", "demo", "check-config", "topics", "why"] {
        let output = ebbflow(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{command}");
        let help = text(&output.stdout);
        assert!(help.contains(&format!("  ebbflow {command}")), "{help}");
        assert!(help.contains("Examples:"), "{help}");
    }
    assert_snapshot!(text(&ebbflow(&["replay", "-h"]).stdout), @r##"
    Compute changes from files, without Kafka

    Usage: ebbflow replay [OPTIONS] <FILE>...

    Arguments:
      <FILE>...  Events as JSON Lines, purchases and interactions mixed; `-` is stdin

    Options:
          --config <FILE>         Configuration file (TOML); its clock is taken as "event"
          --set <KEY.PATH=VALUE>  Set one key of the configuration, such as `rfm.map=classic-11`; may be repeated
          --partitions <N>        Split the events as a topic with so many partitions does [default: 1]
          --advance-to <TIME>     After the last event, move the clocks on to this instant (RFC 3339 or ms since 1970)
          --now <TIME>            Events after this instant are refused; default: the start of the process
          --changes <FILE>        Where changes go, as JSON Lines; default, and `-`: stdout
          --customers <FILE>      Where the final profiles go, as JSON Lines; `-` is stdout; default: nowhere
          --log <FILTER>          What to log, such as `info` or `warn,ebbflow=debug`; sets log.filter
      -h, --help                  Print help

    Examples:
      ebbflow replay examples/story.jsonl --now 2026-12-31T00:00:00Z --advance-to 2026-12-31T00:00:00Z
      ebbflow replay --customers profiles.jsonl orders.jsonl interactions.jsonl
      zcat events.jsonl.gz | ebbflow replay --set rfm.map=classic-11 - > changes.jsonl
    "##);
}

#[test]
fn bad_usage_exits_with_2() {
    for arguments in [
        &[][..],
        &["walk"],
        &["check-config", "no-such-file.toml"],
        &["check-config", "--config", "no-such-file.toml"],
        &["check-config", "shop.toml", "--config", "shop.toml"],
        &["replay"],
        &["replay", "--partitions", "0", "-"],
        &["replay", "--now", "yesterday", "-"],
        &["replay", "no-such-file.jsonl"],
        &["replay", "src"],
        &["replay", "examples/story.jsonl", "--customers", "no-such-folder/profiles.jsonl"],
        &["replay", "examples/story.jsonl", "--changes", "src"],
        &["run", "--advance-to", "2026-01-01T00:00:00Z"],
    ] {
        assert_eq!(code(arguments), Some(2), "{arguments:?}");
    }
}

#[test]
fn a_valid_configuration_exits_with_0_and_says_which_rules_it_holds() {
    let file = TemporaryFile::new("valid.toml", "rules.set = \"spring\"\nrules.revision = 4\n");
    let output = ebbflow(&["check-config", file.path()]);
    assert_eq!(output.status.code(), Some(0));
    let verdict = text(&output.stdout);
    assert!(verdict.contains("is valid: rules \"spring\" revision 4 hash "), "{verdict}");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn a_configuration_is_given_as_for_the_other_commands_or_not_at_all() {
    let file = TemporaryFile::new("flag.toml", "rules.set = \"spring\"\n");
    let plain = ebbflow(&["check-config", file.path()]);
    let flag = ebbflow(&["check-config", "--config", file.path()]);
    assert_eq!(text(&flag.stdout), text(&plain.stdout));
    let none = text(&ebbflow(&["check-config"]).stdout);
    assert!(none.starts_with("the configuration is valid: rules \"default\""), "{none}");
}

#[test]
fn properties_that_librdkafka_refuses_are_problems_of_the_configuration() {
    let file = TemporaryFile::new(
        "properties.toml",
        "[kafka.properties]\n\"sasl.pasword\" = \"hunter2\"\n\"security.protocol\" = \"TLS\"\n\
         \"socket.timeout.ms\" = \"soon\"\n",
    );
    let output = ebbflow(&["check-config", "--config", file.path()]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), "");
    let errors = text(&output.stderr).replace(file.path(), "shop.toml");
    assert_snapshot!(errors, @r##"
    ebbflow: 3 problems in the configuration:
      kafka.properties.sasl.pasword (shop.toml:2): librdkafka refuses it: No such configuration property: "sasl.pasword"
      kafka.properties.security.protocol (shop.toml:3): librdkafka refuses it: Invalid value "TLS" for configuration property "security.protocol"
      kafka.properties.socket.timeout.ms (shop.toml:4): librdkafka refuses it: Invalid value for configuration property "socket.timeout.ms"
    "##);
    // What is wrong with several together comes out only when a client is made.
    let set = |text: &str| format!("kafka.properties.{text}");
    let (protocol, mechanism) =
        (set("security.protocol=SASL_SSL"), set("sasl.mechanisms=SCRAM-SHA-512"));
    for command in ["check-config", "run", "topics"] {
        let output = ebbflow(&[command, "--set", &protocol, "--set", &mechanism]);
        assert_eq!(output.status.code(), Some(2));
        let errors = text(&output.stderr);
        assert!(errors.contains("kafka.properties (--set): librdkafka refuses it"), "{errors}");
        assert!(errors.contains("sasl.username"), "{errors}");
        assert!(errors.contains("EBBFLOW__KAFKA__PROPERTIES__SASL_PASSWORD"), "{errors}");
    }
}

#[test]
fn certificates_that_cannot_be_read_are_problems_of_the_configuration() {
    let folder = std::env::temp_dir();
    let file = TemporaryFile::new(
        "certificates.toml",
        &format!(
            "[kafka.properties]\n\"ssl.ca.location\" = \"no-such-ca.pem\"\n\
             \"ssl.certificate.location\" = \"no-such-certificate.pem\"\n\
             \"ssl.key.location\" = \"{}\"\n",
            folder.display()
        ),
    );
    // With TLS librdkafka would name one of them without its file; without it, none.
    let [without, with] = ["plaintext", "ssl"].map(|protocol| {
        let protocol = format!("kafka.properties.security.protocol={protocol}");
        let output = ebbflow(&["check-config", file.path(), "--set", &protocol]);
        assert_eq!(output.status.code(), Some(2));
        let errors = text(&output.stderr).replace(file.path(), "shop.toml");
        errors.replace(&folder.display().to_string(), "a-folder")
    });
    assert_eq!(with, without);
    assert_snapshot!(with, @r##"
    ebbflow: 3 problems in the configuration:
      kafka.properties.ssl.ca.location (shop.toml:2): cannot read "no-such-ca.pem": No such file or directory (os error 2)
      kafka.properties.ssl.certificate.location (shop.toml:3): cannot read "no-such-certificate.pem": No such file or directory (os error 2)
      kafka.properties.ssl.key.location (shop.toml:4): cannot read "a-folder": Is a directory (os error 21)
    "##);
    let certificates = TemporaryFile::new("no-certificates.pem", "nothing\n");
    let set = |value: &str| {
        let ca = format!("kafka.properties.ssl.ca.location={value}");
        let tls = "kafka.properties.security.protocol=ssl";
        ebbflow(&["check-config", "--set", &ca, "--set", tls])
    };
    let refused = set(certificates.path());
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("librdkafka refuses it: ssl.ca.location failed"));
    for fine in ["probe", &folder.display().to_string()] {
        assert_eq!(set(fine).status.code(), Some(0), "{fine}");
    }
}

#[test]
fn secrets_that_cannot_be_read_are_problems_of_the_configuration() {
    let empty = TemporaryFile::new("token", "\n");
    let token = format!("http.admin_token_file={}", empty.path());
    let missing = "http.admin_token_file=no-such-token";
    for (command, token) in [("check-config", missing), ("run", missing), ("run", token.as_str())] {
        let output = ebbflow(&[command, "--set", token]);
        assert_eq!(output.status.code(), Some(2), "{command} {token}");
        let errors = text(&output.stderr);
        assert!(errors.contains("http.admin_token_file = "), "{errors}");
    }
    let registry = "registry={url=\"http://registry:8081\",user=\"u\",password_file=\"none\"}";
    let output = ebbflow(&["check-config", "--set", registry]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("registry.password_file = "));
}

#[test]
fn replay_overwrites_no_input_and_neither_output_with_the_other() {
    let file = TemporaryFile::new("input.jsonl", EVENTS);
    let output = TemporaryFile::new("output.jsonl", "");
    let (input, output) = (file.path(), output.path());
    for arguments in [
        &["replay", input, "--changes", input][..],
        &["replay", input, "--customers", input],
        &["replay", input, "--changes", output, "--customers", output],
    ] {
        assert_eq!(code(arguments), Some(2), "{arguments:?}");
        assert_eq!(std::fs::read_to_string(input).expect("the input"), EVENTS);
    }
    let nowhere = ["replay", input, "--changes", "/dev/null", "--customers", "/dev/null"];
    assert_eq!(code(&nowhere), Some(0));
}

#[test]
fn mistakes_exit_with_2_and_go_to_stderr() {
    let file = TemporaryFile::new("bad.toml", "clock = \"sand\"\n");
    let output =
        ebbflow(&["check-config", file.path(), "--set", "workers=0", "--log", "=", "--print"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), "");
    let errors = text(&output.stderr).replace(file.path(), "bad.toml");
    assert_snapshot!(errors, @r##"
    ebbflow: 3 problems in the configuration:
      clock = "sand" (bad.toml:1): expected "wall" or "event"
      workers = 0 (--set): expected a whole number from 1 to 64
      log.filter = "=" (--log): expected a filter such as "info" or "warn,ebbflow=debug"
    (kafka.properties and the files of secrets were not tried yet)
    "##);
}

#[test]
fn the_printed_configuration_is_checked_again() {
    let file = TemporaryFile::new("first.toml", "rfm.map = \"classic-11\"\n");
    let password = "kafka.properties.sasl.password=hunter2";
    let arguments = ["check-config", file.path(), "--print", "--set", password];
    let output = ebbflow(&[&arguments[..], &["--bootstrap-servers", "kafka:9092"]].concat());
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).starts_with("warning: rfm.map"));
    let printed = text(&output.stdout);
    assert!(printed.contains("bootstrap_servers = \"kafka:9092\"  # --bootstrap-servers"));
    assert!(!printed.contains("hunter2"));
    let again = TemporaryFile::new("second.toml", &printed);
    assert_eq!(code(&["check-config", again.path()]), Some(0));
}

const EVENTS: &str = r#"{"event_id":"1","kind":"order_completed","customer_id":"c","occurred_at":"2026-01-01T00:00:00Z","order_id":"o","amount_minor":100,"currency":"EUR"}
{"event_id":"2","kind":"order_compelted","customer_id":"c","occurred_at":"2026-01-02T00:00:00Z"}
{"event_id":"3","kind":"tea_drunk","customer_id":"c","occurred_at":"2026-01-02T00:00:00Z"}
{"event_id":"4","kind":"tea_drunk","customer_id":"c","occurred_at":"2026-01-02T00:00:00Z"}
{"event_id":"5","kind":"page_viewed","customer_id":"c","occurred_at":"2027-01-02T00:00:00Z"}
"#;

#[test]
fn replay_tells_of_unknown_kinds_and_of_times_as_text() {
    let file = TemporaryFile::new("events.jsonl", EVENTS);
    let output = ebbflow(&["replay", "--now", "2026-06-01T00:00:00Z", file.path()]);
    assert_eq!(output.status.code(), Some(0));
    let told = text(&output.stderr).replace(file.path(), "events.jsonl");
    assert_snapshot!(told, @r##"
    dead letter: events.jsonl:5: too_far_ahead: occurred_at = 2027-01-02T00:00:00.000Z is after the limit of 2026-06-01T00:00:00.000Z; hint: set --now
    replayed 4 events of 1 customers: 5 changes, 1 dead letters
    warning: unknown kind "order_compelted" had no effect (count 1); did you mean "order_completed"?
    warning: unknown kind "tea_drunk" had no effect (count 2)
    warning: 1 of 5 lines are dead letters
    "##);
}

#[test]
fn replay_tells_of_ten_dead_letters_of_a_reason_and_counts_the_rest() {
    let file = TemporaryFile::new("refused.jsonl", &"{}\n".repeat(12));
    let output = ebbflow(&["replay", file.path()]);
    assert_eq!(output.status.code(), Some(0));
    let told = text(&output.stderr);
    let first = format!("dead letter: {}:1: missing_field: ", file.path());
    assert!(told.starts_with(&first), "{told}");
    assert_eq!(told.lines().count(), 13, "{told}");
    let rest: Vec<&str> = told.lines().skip(10).collect();
    let expected = [
        "dead letter: missing_field: 2 more",
        "replayed 0 events of 0 customers: 0 changes, 12 dead letters",
        "warning: 12 of 12 lines are dead letters",
    ];
    assert_eq!(rest, expected);
}

#[test]
fn replay_says_that_clocks_do_not_go_back() {
    let advanced = |to: &str| {
        let now = ["--now", "2026-12-31T00:00:00Z", "--advance-to", to];
        let output = ebbflow(&[&["replay", "examples/story.jsonl"], &now[..]].concat());
        assert_eq!(output.status.code(), Some(0));
        text(&output.stderr)
    };
    let warning = "warning: --advance-to 2020-01-01T00:00:00.000Z lies before the last event, \
                   2026-09-14T19:05:00.000Z: clocks do not go back\n";
    assert!(advanced("2020-01-01T00:00:00Z").ends_with(warning));
    assert!(!advanced("2026-12-31T00:00:00Z").contains("warning"));
}

#[test]
fn inputs_that_are_made_to_forget_what_still_counts_are_a_warning() {
    let check = |settings: &[&str]| {
        let settings = settings.iter().flat_map(|setting| ["--set", setting]);
        let output = ebbflow(&[&["check-config"], &settings.collect::<Vec<_>>()[..]].concat());
        assert_eq!(output.status.code(), Some(0));
        (text(&output.stdout), text(&output.stderr))
    };
    let (verdict, warned) = check(&["topics.input_retention=30d"]);
    assert!(verdict.trim_end().ends_with(", 1 warning"), "{verdict}");
    let expected = "warning: topics.input_retention = 30d is shorter than rfm.window = 730d: `run \
                    --rebuild` knows only what the inputs still hold, and forgets what still \
                    counts\n";
    assert_eq!(warned, expected);
    for fine in [
        &["topics.input_retention=30d", "rfm.window=30d"][..],
        &["topics.input_retention=30d", "rfm.window=lifetime"],
        &[],
    ] {
        assert_eq!(check(fine).1, "", "{fine:?}");
    }
}

#[test]
fn a_cluster_that_does_not_answer_is_told_in_lines_with_one_hint() {
    let output = ebbflow(&["topics", "--bootstrap-servers", "127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.starts_with("ebbflow: the cluster at \"127.0.0.1:1\" did not answer: "), "{told}");
    assert_eq!(told.matches("hint: ").count(), 1, "{told}");
    assert_eq!(told.lines().count(), 3, "{told}");
}

#[test]
fn a_dash_is_stdout_for_changes_or_for_customers_and_not_for_both() {
    let file = TemporaryFile::new("dash.jsonl", EVENTS);
    let now = ["replay", "--now", "2028-01-01T00:00:00Z", file.path()];
    let run = |more: &[&str]| ebbflow(&[&now[..], more].concat());
    let changes = run(&["--changes", "-"]);
    assert_eq!(changes.status.code(), Some(0));
    assert_eq!(text(&changes.stdout), text(&run(&[]).stdout));
    assert!(text(&changes.stdout).contains("\"dimension\":\"rfm\""));

    let into = TemporaryFile::new("changes.jsonl", "");
    let profiles = run(&["--customers", "-", "--changes", into.path()]);
    assert_eq!(profiles.status.code(), Some(0));
    assert_eq!(text(&profiles.stdout).lines().count(), 1);
    assert!(text(&profiles.stdout).starts_with("{\"customer_id\":\"c\""));
    let written = std::fs::read_to_string(into.path()).expect("the changes");
    assert_eq!(written, text(&changes.stdout));

    for both in [&["--customers", "-"][..], &["--customers", "-", "--changes", "-"]] {
        let output = run(both);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(
            text(&output.stderr),
            "ebbflow: --customers - and the changes would both go to stdout; \
             hint: give --changes FILE\n"
        );
    }
}
