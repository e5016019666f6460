//! What differs between two configurations, and what it takes to go from one to the other.
//!
//! Next: `rules.rs`, whose two hashes decide the same when a task is restored.

use crate::config::load::Loaded;
use crate::config::rules::map_hash;
use std::collections::BTreeSet;

/// What a changed key takes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Takes {
    /// A restart.
    Restart,
    /// A higher rules.revision: every customer is judged anew.
    Reevaluation,
    /// `run --rebuild`: it is used when an event comes in.
    Rebuild,
    /// A group and topics of its own: it begins with the inputs' history.
    Deployment,
}

impl Takes {
    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Reevaluation => "re-evaluate",
            Self::Rebuild => "rebuild",
            Self::Deployment => "another",
        }
    }
}

/// Names a map, or the file of one, which counts by what it says.
const MAP: &str = "rfm.map";

/// Keys that say whose state and offsets these are.
const DEPLOYMENT: [&str; 11] = [
    "application_id",
    "topics.prefix",
    "topics.purchases",
    "topics.interactions",
    "topics.segment_changes",
    "topics.customers",
    "topics.state",
    "topics.relay",
    "topics.control",
    "topics.dead_letters",
    "topics.partitions",
];

/// Keys that are used when an event comes in, or what they begin with.
const REBUILD: [&str; 8] = [
    "base_currency",
    "engagement.weights.",
    "engagement.daily_cap",
    "engagement.half_life",
    "preferences.half_life",
    "costs.",
    "accounts.",
    "erase.salt",
];

/// Keys that decide about customers, or what they begin with.
const REEVALUATION: [&str; 19] = [
    "rules.when",
    "consent.",
    "output.dimensions",
    "output.judged",
    "output.subjects",
    "rfm.",
    "gap.",
    "subscriptions.",
    "lifecycle.",
    "activity.",
    "value_mode.",
    "value_tier.",
    "engagement.",
    "satisfaction.",
    "perceived_value.",
    "qualification.",
    "contacts.",
    "dwell.",
    "cool_down.",
];

/// The same where the names behind are the user's.
const OWN: [&str; 2] = ["audience.", "season."];

/// What a change of a key takes. Rates are compared with those that have been used when a task is
/// restored; the hold-out of an audience decides about nobody.
#[must_use]
pub fn takes(key: &str) -> Takes {
    let is = |known: &&str| key == *known || (known.ends_with('.') && key.starts_with(*known));
    let of_output = key.ends_with(".holdout");
    if DEPLOYMENT.contains(&key) {
        Takes::Deployment
    } else if REBUILD.iter().any(is) {
        Takes::Rebuild
    } else if REEVALUATION.iter().any(is) || (OWN.iter().any(is) && !of_output) {
        Takes::Reevaluation
    } else {
        Takes::Restart
    }
}

/// What else is to be known of a changed key.
#[must_use]
pub fn remark(key: &str) -> Option<&'static str> {
    (key == "erase.salt").then_some(
        "the marks of erased customers are lost: they fit nobody under another salt, and a rebuild \
         makes only those anew whose erase_requested the inputs still hold; send the others' \
         again, or what still comes of them makes somebody new of them",
    )
}

/// A key that differs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The key.
    pub key: String,
    /// Its value as TOML, secrets hidden; `None` = it is not there.
    pub running: Option<String>,
    /// The same in the other configuration.
    pub next: Option<String>,
    /// What the change takes.
    pub takes: Takes,
}

/// What differs between a configuration that runs and the next, what takes most first.
#[must_use]
pub fn compare(running: &Loaded, next: &Loaded) -> Vec<Difference> {
    let hash = |loaded: &Loaded| map_hash(&loaded.config.rules.thresholds.rfm.map);
    let (old_map, new_map) = (hash(running), hash(next));
    let keys: BTreeSet<&String> = running.values().keys().chain(next.values().keys()).collect();
    let mut differences = Vec::new();
    for key in keys {
        let [mut old, mut new] = [running, next].map(|loaded| loaded.values().get(key).cloned());
        let mut takes = takes(key);
        if key == MAP && old == new && old_map != new_map {
            // A file that says something else now.
            old = old.map(|name| format!("{name} with content {old_map}"));
            new = new.map(|name| format!("{name} with content {new_map}"));
        } else if old == new {
            continue;
        } else if key == MAP && old_map == new_map {
            // The same in another file.
            takes = Takes::Restart;
        }
        differences.push(Difference { key: key.clone(), running: old, next: new, takes });
    }
    differences.sort_by(|one, other| other.takes.cmp(&one.takes).then(one.key.cmp(&other.key)));
    differences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FileText, Setting, from_sources};

    fn loaded(settings: &[&str]) -> Loaded {
        let setting = |text: &&str| Setting { flag: "--set", text: (*text).to_owned() };
        let settings: Vec<Setting> = settings.iter().map(setting).collect();
        from_sources(None, [], &settings).expect("sound settings")
    }

    #[test]
    fn another_salt_is_said_to_lose_who_was_erased() {
        let differences = compare(&loaded(&[]), &loaded(&["erase.salt=x", "rules.revision=2"]));
        let remarks: Vec<_> = differences.iter().filter_map(|it| remark(&it.key)).collect();
        assert_eq!(remarks.len(), 1, "{differences:?}");
        assert!(remarks[0].contains("a rebuild makes only those anew"));
        assert_eq!(remark("erase.keep"), None);
    }

    /// Another sound value of a key of the defaults.
    fn other(key: &str, value: &str) -> String {
        let special = [
            ("accounts.", "person"),
            ("activity.at_risk.gaps", "1.6"),
            ("activity.at_risk.longest_gaps", "1.1"),
            ("activity.lapsed.gaps", "2.1"),
            ("activity.lapsed.longest_gaps", "1.3"),
            ("base_currency", "USD"),
            ("clock", "event"),
            ("costs.service_per_minute_minor", "5"),
            ("encoding.", "avro"),
            ("engagement.weights.", "7"),
            ("http.admin_listen", "127.0.0.1:1"),
            ("http.metrics_listen", "127.0.0.1:2"),
            ("input.key", "trusted"),
            ("kafka.bootstrap_servers", "kafka:9092"),
            ("lifecycle.live_gaps", "3"),
            ("log.filter", "warn"),
            ("output.detail", "compact"),
            ("output.dimensions", "[\"rfm\"]"),
            ("output.judged", "written"),
            ("output.locale", "de"),
            ("output.subjects", "[\"account\"]"),
            ("profiles.on", "touch"),
            ("qualification.needed", "3"),
            ("registry.url", "http://registry:8081"),
            ("rfm.frequency", "[1, 2, 3, 4]"),
            ("rfm.monetary", "average"),
            ("rfm.monetary_minor", "[1, 2, 3, 4]"),
            ("rfm.recency_days", "[1, 2, 3, 4]"),
            ("topics.prefix", "shop."),
            ("topics.replication", "2"),
            ("value_mode.change", "0.2"),
            ("value_mode.wider_from", "0.8"),
            ("value_tier.edges_minor", "[1, 2, 3]"),
        ];
        let is = |known: &str| key == known || (known.ends_with('.') && key.starts_with(known));
        if let Some((_, other)) = special.iter().find(|(known, _)| is(known)) {
            return (*other).to_owned();
        }
        let text = value.trim_matches('"');
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        match (value, text[..digits].parse::<u64>()) {
            ("true", _) => "false".to_owned(),
            ("false", _) => "true".to_owned(),
            // A number, a duration, a decimal: a little more of it.
            (_, Ok(number)) => format!("{}{}", number + 1, &text[digits..]),
            (_, Err(_)) => format!("{text}x"),
        }
    }

    /// Says whether the class of a change is what its two hashes do.
    fn check(change: &str, more: &[&str]) {
        let running = loaded(more);
        let next = loaded(&[more, &[change]].concat());
        let differences = compare(&running, &next);
        assert_eq!(differences.len(), 1, "{change}: {differences:?}");
        let (old, new) = (&running.config.rules.identity, &next.config.rules.identity);
        let expected = match (old.fold_hash == new.fold_hash, old.hash == new.hash) {
            (false, _) => Takes::Rebuild,
            (true, false) => Takes::Reevaluation,
            (true, true) if DEPLOYMENT.contains(&&*differences[0].key) => Takes::Deployment,
            (true, true) => Takes::Restart,
        };
        assert_eq!(differences[0].takes, expected, "{change}");
    }

    #[test]
    fn what_a_key_of_the_defaults_takes_is_what_the_hashes_say() {
        let defaults = loaded(&[]);
        let together = ["rfm.map", "registry.user", "registry.password_file"];
        for (key, value) in defaults.values() {
            if !together.contains(&key.as_str()) {
                check(&format!("{key}={}", other(key, value)), &[]);
            }
        }
        // A map brings edges of its own, unless they are set.
        let edges = |levels: usize| {
            let list = format!("{:?}", (1..levels).collect::<Vec<_>>());
            ["recency_days", "frequency", "monetary_minor"].map(|of| format!("rfm.{of}={list}"))
        };
        check("rfm.map=classic-11", &edges(5).each_ref().map(String::as_str));
    }

    #[test]
    fn a_map_file_that_says_something_else_is_a_change() {
        let folder = std::env::temp_dir().join(format!("ebbflow-compare-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("shop.toml");
        let load_from = |name: &str, ranks: [i32; 2], cells: &str| {
            let map = format!(
                "name = \"two\"\nlevels = 2\n\
                 edges = {{ recency_days = [90], frequency = [1], monetary_minor = [1000] }}\n\
                 segments = [{{ name = \"good\", rank = {}, cells = {cells} }},\n\
                 {{ name = \"bad\", rank = {}, cells = [\"1[12]\"] }}]\n",
                ranks[0], ranks[1]
            );
            std::fs::write(folder.join(name), map).expect("a map");
            let text = format!("rfm.map = \"{name}\"");
            let file = FileText { path: &path, text: &text };
            from_sources(Some(file), [], &[]).expect("a sound map")
        };
        let load = |ranks, cells| load_from("two.toml", ranks, cells);
        let running = load([2, 1], r#"["2[12]"]"#);
        // Another way to say the same is none.
        assert_eq!(compare(&running, &load([2, 1], r#"["21", "22"]"#)), []);
        let moved = compare(&running, &load_from("2.toml", [2, 1], r#"["2[12]"]"#));
        let [Difference { key, takes: Takes::Restart, .. }] = &moved[..] else {
            panic!("{moved:?}")
        };
        assert_eq!(key, "rfm.map");
        let next = load([2, 3], r#"["2[12]"]"#);
        std::fs::remove_dir_all(&folder).expect("the folder goes");
        assert_ne!(running.config.rules.identity.hash, next.config.rules.identity.hash);
        let differences = compare(&running, &next);
        let [Difference { key, running: Some(old), next: Some(new), takes }] = &differences[..]
        else {
            panic!("{differences:?}")
        };
        assert_eq!((key.as_str(), *takes), ("rfm.map", Takes::Reevaluation));
        assert!(old.contains("two.toml\" with content ") && old != new, "{old} {new}");
    }

    /// What has no default: tables whose keys are the user's.
    #[test]
    fn what_a_key_of_the_user_takes_is_what_the_hashes_say() {
        let audience = ["audience.x.rule=facts.orders > 1"];
        let seasons = ["season.by=hemisphere", "season.months.north.summer=6-8"];
        for (change, more) in [
            ("audience.x.rule=facts.orders > 1", &[][..]),
            ("audience.x.rule=facts.orders > 2", &audience[..]),
            ("audience.x.dwell=1d", &audience),
            ("audience.x.cool_down=1d", &audience),
            ("audience.x.holdout=5", &audience),
            ("audience.x.purpose=profiling", &audience),
            ("audience.y.rule=lifecycle == \"lapsed\"", &audience),
            ("rules.when=[{if = 'traits.x == \"EU\"', rfm = {recency_days = [1, 2, 3, 4]}}]", &[]),
            ("season.months.north.summer=5-8", &seasons),
            ("season.months.south.summer=12-2", &seasons),
            ("season.by=country", &seasons),
            ("consent.purposes.value_mode=profiling", &[]),
            ("consent.policies.profiling=withhold", &[]),
            ("holdout.dimensions.value_mode=10", &[]),
            ("costs.touch_minor.email=1", &[]),
            ("perceived_value.benefits.quality=2", &[]),
            ("perceived_value.costs.price=2", &[]),
            ("rates.USD.2026-01-01=\"0.9\"", &[]),
            ("labels.en.values.at_risk=in danger", &[]),
            ("labels.en.phrases.first_order=a new buyer", &[]),
            ("roles.lapsed=nobody", &[]),
            ("kafka.properties.debug=broker", &[]),
        ] {
            check(change, more);
        }
    }
}
