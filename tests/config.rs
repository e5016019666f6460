//! Configuration as users meet it: shipped files, sources over each other, every mistake told.
//!
//! Next: `tests/cli.rs`, the same through the binary.

#[path = "config/rules.rs"]
mod rules;
#[path = "config/subjects.rs"]
mod subjects;

use ebbflow::config::{
    ClockMode, Config, ConfigError, DEFAULTS, FileText, Loaded, Setting, from_sources, map_file,
};
use insta::assert_snapshot;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

fn try_load(text: &str, variables: &[(&str, &str)], settings: &[&str]) -> Result<Loaded, String> {
    let environment = variables.iter().map(|(n, v)| (OsString::from(n), OsString::from(v)));
    let settings: Vec<_> =
        settings.iter().map(|text| Setting { flag: "--set", text: (*text).to_owned() }).collect();
    let file = FileText { path: Path::new("shop.toml"), text };
    from_sources(Some(file), environment, &settings).map_err(|error| error.to_string())
}

fn loaded(text: &str) -> Loaded {
    try_load(text, &[], &[]).expect("a valid configuration")
}

fn config(text: &str, variables: &[(&str, &str)], settings: &[&str]) -> Config {
    try_load(text, variables, settings).expect("a valid configuration").config
}

fn problems(text: &str) -> String {
    try_load(text, &[], &[]).expect_err("a mistake")
}

/// `table.key` of every line `key = ..`, commented examples included.
fn keys_written(text: &str) -> BTreeSet<String> {
    let mut table = String::new();
    let mut keys = BTreeSet::new();
    for line in text.lines() {
        let line = line.trim_start_matches("# ");
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.split(']').next()) {
            table = format!("{name}.");
        } else if let Some((key, value)) = line.split_once(" = ")
            && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            // What stands in a list of tables are keys of other tables.
            && !table.starts_with('[')
        {
            match value.strip_prefix('{') {
                Some(inner) => keys.extend(
                    inner
                        .split(',')
                        .filter_map(|part| part.split_once('='))
                        .map(|(part, _)| format!("{table}{key}.{}", part.trim())),
                ),
                None => {
                    keys.insert(format!("{table}{key}"));
                }
            }
        }
    }
    keys
}

#[test]
fn the_default_file_lists_every_key_and_no_other() {
    let loaded = loaded("");
    let written = keys_written(DEFAULTS);
    for key in &loaded.keys {
        match key.strip_suffix(".*") {
            Some(table) => assert!(DEFAULTS.contains(&format!("\n[{table}]\n")), "{table}"),
            // A list of tables has no default: it stands there as a comment.
            None => {
                let found = written.contains(key) || DEFAULTS.contains(&format!("# [[{key}]]"));
                assert!(found, "{key} is not in config/default.toml");
            }
        }
    }
    for key in &written {
        let mut tables = key.match_indices('.').map(|(at, _)| format!("{}.*", &key[..at]));
        let known = loaded.keys.contains(key) || tables.any(|table| loaded.keys.contains(&table));
        assert!(known, "{key} in config/default.toml is no key");
    }
}

#[test]
fn the_default_file_is_a_configuration_itself() {
    let of_nothing = loaded("");
    let of_defaults = loaded(DEFAULTS);
    assert_eq!(format!("{:?}", of_nothing.config), format!("{:?}", of_defaults.config));
    assert!(of_nothing.warnings.is_empty());
}

#[test]
fn commented_edges_are_those_of_the_default_map() {
    let text = DEFAULTS
        .replace("# recency_days", "recency_days")
        .replace("# frequency", "frequency")
        .replace("# monetary_minor", "monetary_minor");
    assert_eq!(loaded(&text).config.rules.identity, loaded("").config.rules.identity);
    assert!(text != DEFAULTS);
}

#[test]
fn every_shipped_map_can_be_chosen() {
    for (name, _) in map_file::SHIPPED {
        let rules = config(&format!("[rfm]\nmap = \"{name}\""), &[], &[]).rules;
        assert_eq!(rules.thresholds.rfm.map.name(), name);
        assert_eq!(
            rules.thresholds.rfm.recency_days.len(),
            usize::from(rules.thresholds.rfm.map.levels()) - 1
        );
    }
}

#[test]
fn silence_that_improves_a_segment_is_told() {
    assert_snapshot!(loaded("rfm.map = \"classic-11\"").warnings.join("\n"), @r##"rfm.map = "classic-11" moves a customer who merely stops ordering to a better segment in 5 cells of R, F, M (rf-10 has none such): 233 from hibernating to at_risk, 521 from promising to new_customer, 522 from promising to new_customer, 523 from promising to potential_loyalist, 535 from need_attention to loyal"##);
    assert!(loaded("rfm.map = \"rf-10\"").warnings.is_empty());
}

#[test]
fn later_sources_win() {
    let file =
        "application_id = \"shop\"\n[kafka]\nbootstrap_servers = \"file:1\"\nlinger = \"2ms\"";
    let servers = ("EBBFLOW__KAFKA__BOOTSTRAP_SERVERS", "env:1, env:2");
    let of_file = config(file, &[], &[]);
    assert_eq!(of_file.kafka.bootstrap_servers, "file:1");
    let of_variable = config(file, &[servers], &[]);
    assert_eq!(of_variable.kafka.bootstrap_servers, "env:1,env:2");
    let of_flag = config(file, &[servers], &["kafka.bootstrap_servers=flag:1"]);
    assert_eq!(of_flag.kafka.bootstrap_servers, "flag:1");
    assert_eq!(of_flag.kafka.linger, Duration::from_millis(2));
    assert_eq!(of_flag.application_id, "shop");
}

#[test]
fn a_variable_that_lacks_an_underscore_is_told() {
    let warnings = |name: &str| {
        try_load("", &[(name, "x")], &[]).expect("a valid configuration").warnings.join("\n")
    };
    for (name, meant) in [
        ("EBBFLOW_INSTANCE_ID", "did you mean EBBFLOW__INSTANCE_ID?"),
        ("EBBFLOW_KAFKA__LINGER", "did you mean EBBFLOW__KAFKA__LINGER?"),
        ("EBBFLOW_KAFKA_BOTSTRAP_SERVERS", "did you mean EBBFLOW__KAFKA__BOOTSTRAP_SERVERS?"),
        (
            "EBBFLOW_KAFKA_PROPERTIES_SASL_PASSWORD",
            "did you mean EBBFLOW__KAFKA__PROPERTIES__SASL_PASSWORD?",
        ),
        ("EBBFLOW_OTHER", "names of keys begin with EBBFLOW__"),
    ] {
        let told = warnings(name);
        assert!(told.starts_with(name) && told.ends_with(meant), "{told}");
    }
    for name in ["EBBFLOW", "EBBFLOW_PORT", "EBBFLOW_SERVICE_HOST", "EBBFLOW_PORT_9464_TCP"] {
        assert_eq!(warnings(name), "", "set by Kubernetes for a service of this name");
    }
}

#[test]
fn the_environment_needs_no_quotes_and_no_dots() {
    let config = config(
        "",
        &[
            ("EBBFLOW__INSTANCE_ID", "007"),
            ("EBBFLOW__APPLICATION_ID", "12"),
            ("EBBFLOW__CLOCK", "event"),
            ("EBBFLOW__WORKERS", "3"),
            ("EBBFLOW__LOG__JSON", "true"),
            ("EBBFLOW__OUTPUT__DIMENSIONS", "[\"rfm\"]"),
            ("EBBFLOW__KAFKA__PROPERTIES__SASL_PASSWORD", "1234"),
            ("EBBFLOW__RATES__USD__2026_01_01", "0.9"),
            ("EBBFLOW_OTHER", "is none of ours"),
        ],
        &["kafka.properties.security.protocol=SSL", "topics={prefix=\"shop.\", partitions=6}"],
    );
    assert_eq!((config.instance_id.as_str(), config.application_id.as_str()), ("007", "12"));
    assert_eq!((config.clock, config.workers), (ClockMode::Event, 3));
    assert!(
        config.log.json && config.rules.output.dimensions[0] && !config.rules.output.dimensions[1]
    );
    assert_eq!(config.kafka.properties["sasl.password"], "1234");
    assert_eq!(config.kafka.properties["security.protocol"], "SSL");
    assert_eq!(config.topics.segment_changes, "shop.segment-changes");
    assert_eq!(config.topics.partitions, 6);
    let usd = ebbflow::domain::money::Currency::parse("USD").expect("a code");
    assert!(config.rules.rates.knows(usd));
}

#[test]
fn ten_mistakes_are_ten_messages() {
    let text = r#"
application_id = "my shop"
base_currency = "euro"
clok = "event"
workers = "four"

[rfm]
map = "classic-12"
recency_days = [30, 20, 180, 365]

[kafka]
transaction_timeout = "1h"
properties = { "enable.auto.commit" = true, "group.id" = "g" }

[commit]
interval = "5 lightyears"
"#;
    assert_snapshot!(problems(text), @r##"
    10 problems in the configuration:
      application_id = "my shop" (shop.toml:2): expected 1 to 100 of A-Z a-z 0-9 . _ -
      workers = "four" (shop.toml:5): expected a whole number from 1 to 64
      base_currency = "euro" (shop.toml:3): expected a currency of ISO 4217 such as "EUR"
      rfm.map = "classic-12" (shop.toml:8): expected one of rf-10, classic-11, klaviyo-6 or the path of a file
      rfm.recency_days = [30, 20, 180, 365] (shop.toml:9): expected edges that never decrease
      kafka.transaction_timeout = "1h" (shop.toml:12): expected a duration from 1s to 15m
      kafka.properties.enable.auto.commit = true (shop.toml:13): the program sets this key: offsets are committed in transactions only
      kafka.properties.group.id = "g" (shop.toml:13): the program sets this key; set application_id instead
      commit.interval = "5 lightyears" (shop.toml:16): expected a duration such as "100ms", "6s", "15m" or "30d"
      clok = "event" (shop.toml:4): unknown key; did you mean "clock"?
    "##);
}

#[test]
fn a_key_that_no_other_is_like_names_its_table_and_the_way_to_all() {
    let text = "[tpoics]\nnumber = 3\n[kafka]\nfoo_bar_baz = 1\n[completely.other]\nthing = 1\n";
    assert_snapshot!(problems(text), @r##"
    3 problems in the configuration:
      completely.other.thing = 1 (shop.toml:6): unknown table; `ebbflow check-config --print` shows every key
      kafka.foo_bar_baz = 1 (shop.toml:4): unknown key of [kafka]; `ebbflow check-config --print` shows every key
      tpoics.number = 3 (shop.toml:2): unknown table; did you mean [topics]? `ebbflow check-config --print` shows every key
    "##);
}

#[test]
fn mistakes_in_variables_and_flags_are_told_too() {
    let variables = [("EBBFLOW__KAFKA__LINGERS", "5ms"), ("EBBFLOW__WORKERS", "none")];
    let error = try_load("", &variables, &["linger=5ms", "workers"]).expect_err("mistakes");
    assert_snapshot!(error, @r##"
    4 problems in the configuration:
      workers (--set): expected KEY.PATH=VALUE
      workers = "none" (EBBFLOW__WORKERS): expected a whole number from 1 to 64
      kafka.lingers = "5ms" (EBBFLOW__KAFKA__LINGERS): unknown key; did you mean "kafka.linger"?
      linger = "5ms" (--set): unknown key; did you mean "kafka.linger"?
    "##);
}

#[test]
fn broken_toml_is_told_with_its_lines_and_the_rest_is_checked() {
    let text = "clock = event\nworkers = 0\nworkers = 2\n[rules\nset = \"x\"\n";
    assert_snapshot!(problems(text), @r##"
    4 problems in the configuration:
      (shop.toml:1): not TOML: string values must be quoted, expected literal string
      (shop.toml:3): not TOML: duplicate key
      (shop.toml:4): not TOML: unclosed table, expected `]`
      workers = 0 (shop.toml:2): expected a whole number from 1 to 64
    "##);
}

#[test]
fn relations_between_keys_are_checked() {
    let text = r#"
[kafka]
session_timeout = "6s"
heartbeat_interval = "3s"
max_poll_interval = "12s"
[commit]
interval = "20s"
idle_gap = "30s"
[http]
metrics_listen = "0.0.0.0:80"
admin_listen = "0.0.0.0:80"
[registry]
user = "me"
[topics]
customers = "state"
"#;
    assert_snapshot!(problems(text), @r##"
    8 problems in the configuration:
      kafka.heartbeat_interval = "3s" (shop.toml:4): expected at most a third of kafka.session_timeout (6s)
      kafka.max_poll_interval = "12s" (shop.toml:5): expected at least kafka.transaction_timeout (10s) + kafka.session_timeout (6s): an undecided commit blocks for so long
      topics.state = "state" (default): expected another name than topics.customers has
      registry.password_file = "" (default): expected a file, since registry.user is set
      commit.interval = "20s" (shop.toml:7): expected less than kafka.transaction_timeout (10s)
      commit.idle_gap = "30s" (shop.toml:8): expected at most commit.interval (20s)
      http.admin_listen = "0.0.0.0:80" (shop.toml:11): expected a loopback address, or a file in http.admin_token_file: it serves personal data
      http.admin_listen = "0.0.0.0:80" (shop.toml:11): expected another port than http.metrics_listen has
    "##);
}

#[test]
fn values_of_the_wrong_shape_are_told() {
    let text = r#"
leave_on_stop = "yes"
kafka = 5
instance_id = 7
[clock]
mode = "wall"
[rfm]
recency_days = [0, 1, 2, 3]
frequency = [1, 2]
monetary_minor = "none"
window = "2 years"
[gap]
prior = "36h"
[output]
dimensions = ["rfm", "churn"]
[roles]
lapsed = ""
[topics]
prefix = "my shop/"
replication = 0
[registry]
url = "http://me:hunter2@registry"
[log]
filter = "ebbflow=noisy=x"
"#;
    let problems = problems(text);
    assert!(!problems.contains("hunter2"));
    assert_snapshot!(problems, @r##"
    15 problems in the configuration:
      instance_id = 7 (shop.toml:4): expected text in quotes
      leave_on_stop = "yes" (shop.toml:2): expected true or false
      rfm.window = "2 years" (shop.toml:11): expected a duration such as "730d", or "lifetime"
      rfm.recency_days = [0, 1, 2, 3] (shop.toml:8): the edge 0: expected 1 to 36500
      rfm.frequency = [1, 2] (shop.toml:9): 2 edges; expected 4, one fewer than the 5 levels of the map
      rfm.monetary_minor = "none" (shop.toml:10): expected a list of whole numbers such as [1, 2]
      gap.prior = "36h" (shop.toml:13): expected a duration of whole days such as "90d"
      roles.lapsed = "" (shop.toml:17): expected text of 1 to 64 bytes
      output.dimensions = ["rfm", "churn"] (shop.toml:15): expected a list of distinct "rfm", "lifecycle", "activity", "value_mode", "value_tier", "engagement", "satisfaction", "qualification", "contacts"
      topics.prefix = "my shop/" (shop.toml:19): expected 1 to 100 of A-Z a-z 0-9 . _ -
      topics.replication = 0 (shop.toml:20): expected "auto" or a whole number from 1 to 100
      registry.url = "(hidden)" (shop.toml:22): expected no user or password in the URL; use registry.user and registry.password_file
      log.filter = "ebbflow=noisy=x" (shop.toml:24): expected a filter such as "info" or "warn,ebbflow=debug"
      clock.mode = "wall" (shop.toml:6): clock is a value, not a table
      kafka = 5 (shop.toml:3): expected a table [kafka] with keys such as kafka.bootstrap_servers
    "##);
}

#[test]
fn rates_are_exact_decimals_by_day() {
    let text = r#"
[rates]
EUR = { "2026-01-01" = "1" }
usd = { "2026-01-01" = "0.9" }
GBP = { "2026-1-1" = "1.1", "2026-01-02" = 1.1, "2026-01-03" = "-1" }
CHF = "1.05"
"#;
    assert_snapshot!(problems(text), @r##"
    6 problems in the configuration:
      rates.CHF = "1.05" (shop.toml:6): expected [rates.CURRENCY] with "YYYY-MM-DD" = "0.9123"
      rates.EUR.2026-01-01 = "1" (shop.toml:3): expected no rate for base_currency itself
      rates.GBP.2026-01-02 = 1.1 (shop.toml:5): expected a decimal in quotes
      rates.GBP.2026-01-03 = "-1" (shop.toml:5): expected a decimal above 0 in quotes such as "0.9123", with at most 9 digits on each side of the point
      rates.GBP.2026-1-1 = "1.1" (shop.toml:5): expected the day as "YYYY-MM-DD"
      rates.usd.2026-01-01 = "0.9" (shop.toml:4): expected a currency of ISO 4217 such as "USD"
    "##);
}

#[test]
fn secrets_are_never_shown() {
    let text = "[kafka.properties]\n\"sasl.password\" = \"hunter2\"\n\"sasl.username\" = \"me\"\n\
                \"ssl.key.pem\" = [\"hunter2\"]";
    assert!(!problems(text).contains("hunter2"));
    let loaded = loaded(&text[..text.find("\"ssl").expect("the last key")]);
    assert!(!loaded.print().contains("hunter2"));
    assert!(loaded.print().contains("\"sasl.username\" = \"me\"  # shop.toml:3"));
    assert!(!format!("{loaded:?}").contains("hunter2"));
    assert_eq!(loaded.config.kafka.properties["sasl.password"], "hunter2");
}

#[test]
fn the_printed_configuration_loads_again_and_means_the_same() {
    let first = loaded(
        "clock = \"event\"\n[rfm]\nmap = \"klaviyo-6\"\n[rates.USD]\n2026-01-01 = \"0.9\"\n\
         [kafka.properties]\n\"security.protocol\" = \"SSL\"\n[http]\nadmin_token_file = \"token\"",
    );
    let second = loaded(first.print());
    assert_eq!(format!("{:?}", first.config), format!("{:?}", second.config));
    assert!(first.print().contains("frequency = [1, 4]  # map \"klaviyo-6\""));
}

#[test]
fn the_hash_names_what_decides_and_nothing_else() {
    let hash = |text: &str| config(text, &[], &[]).rules.identity.hash.clone();
    let default = hash("");
    assert_eq!(default.len(), 16);
    for same in [
        "rules.revision = 2",
        "roles.lapsed = \"sales\"",
        "output.act_within = \"1h\"",
        "lifecycle.review = \"2160h\"",
        "instance_id = \"1\"",
        "rates.USD.2026-01-01 = \"0.9\"",
    ] {
        assert_eq!(hash(same), default, "{same}");
    }
    for other in [
        "base_currency = \"USD\"",
        "rfm.map = \"classic-11\"",
        "rfm.frequency = [1, 2, 4, 9]",
        "rfm.window = \"lifetime\"",
        "rfm.monetary = \"average\"",
        "gap.prior = \"91d\"",
        "subscriptions.grace = \"4d\"",
        "lifecycle.review = \"91d\"",
        "output.dimensions = [\"rfm\"]",
        "output.subjects = [\"account\"]",
        "contacts.window = \"91d\"",
        "accounts.costs = \"person\"",
    ] {
        assert_ne!(hash(other), default, "{other}");
    }
}

#[test]
fn a_map_can_be_a_file_beside_the_configuration() {
    let folder = std::env::temp_dir().join(format!("ebbflow-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let map = "name = \"two\"\nlevels = 2\n\
               edges = { recency_days = [90], frequency = [1], monetary_minor = [1000] }\n\
               segments = [{ name = \"good\", rank = 2, cells = [\"2[12]\"] },\n\
               { name = \"bad\", rank = 1, cells = [\"11\"] }]\n";
    let load = |map: &str| {
        std::fs::write(folder.join("two.toml"), map).expect("a map");
        let path = folder.join("shop.toml");
        let file = FileText { path: &path, text: "rfm.map = \"two.toml\"" };
        from_sources(Some(file), [], &[]).map_err(|error| error.to_string())
    };
    let missing = load(map).expect_err("a cell without a name");
    assert!(missing.contains("cell 12 has no name"), "{missing}");
    let sound = map.replace("\"11\"", "\"1[12]\"");
    let loaded = load(&sound).expect("a sound map");
    assert_eq!(loaded.config.rules.thresholds.rfm.map.name(), "two");
    assert_eq!(loaded.config.rules.thresholds.rfm.recency_days, [90]);
    let again = try_load(loaded.print(), &[], &[]).expect("what was printed");
    assert_eq!(again.config.rules.identity, loaded.config.rules.identity);
    let malformed = load(&sound.replace("levels", "level")).expect_err("an unknown key");
    assert!(malformed.contains("line 2: unknown field `level`"), "{malformed}");
    std::fs::remove_dir_all(&folder).expect("the folder goes");
}

#[test]
fn who_was_erased_is_known_for_as_long_as_changes_are_kept() {
    let both = |keep: &str, kept: &str| {
        problems(&format!(
            "erase.keep = \"{keep}\"\ntopics.segment_changes_retention = \"{kept}\"\n"
        ))
    };
    assert_snapshot!(both("20d", "21d"), @r##"
    1 problem in the configuration:
      erase.keep = "20d" (shop.toml:1): expected at least topics.segment_changes_retention (21d): what segment-changes holds of who was erased would outlive the mark that keeps them away
    "##);
    assert_eq!(both("x", "21d").matches("erase.keep").count(), 1, "one problem at a time");
    let equal = "erase.keep = \"30d\"\n";
    assert_eq!(config(equal, &[], &[]).rules.erase_keep_ms, 30 * 86_400_000);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_or_fail_without_a_message(
        from in 0..DEFAULTS.len(),
        length in 0_usize..40,
        patch in "[ -~\n]{0,12}|[\\[\\]{}\"=.0-9a-z\n]{0,12}|\\PC{0,4}",
    ) {
        // The file is ASCII: every cut is between characters.
        let to = (from + length).min(DEFAULTS.len());
        let text = format!("{}{patch}{}", &DEFAULTS[..from], &DEFAULTS[to..]);
        let file = FileText { path: Path::new("shop.toml"), text: &text };
        if let Err(ConfigError::Problems(problems)) = from_sources(Some(file), [], &[]) {
            prop_assert!(!problems.is_empty(), "{text}");
        }
    }
}
