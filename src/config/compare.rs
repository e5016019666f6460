//! What differs between two configurations, and what it takes to go from one to the other.
//!
//! Next: `rules.rs`, whose two hashes decide the same when a task is restored.

use crate::config::load::Loaded;
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
}

impl Takes {
    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Reevaluation => "re-evaluate",
            Self::Rebuild => "rebuild",
        }
    }
}

/// Keys that are used when an event comes in, or what they begin with.
const REBUILD: [&str; 7] = [
    "base_currency",
    "engagement.weights.",
    "engagement.daily_cap",
    "engagement.half_life",
    "preferences.half_life",
    "costs.",
    "erase.salt",
];

/// Keys that decide about customers, or what they begin with.
const REEVALUATION: [&str; 14] = [
    "rules.when",
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
    "dwell.",
    "cool_down.",
];

/// The same where the names behind are the user's.
const OWN: [&str; 2] = ["audience.", "season."];

/// What a change of a key takes. Rates are compared with those that have been used when a task is
/// restored; a purpose or a hold-out of an audience decides about nobody.
#[must_use]
pub fn takes(key: &str) -> Takes {
    let is = |known: &&str| key == *known || (known.ends_with('.') && key.starts_with(*known));
    let of_output = key.ends_with(".holdout") || key.ends_with(".purpose");
    if REBUILD.iter().any(&is) {
        Takes::Rebuild
    } else if REEVALUATION.iter().any(&is)
        || (OWN.iter().any(is) && !of_output)
    {
        Takes::Reevaluation
    } else {
        Takes::Restart
    }
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
    let keys: BTreeSet<&String> = running.values().keys().chain(next.values().keys()).collect();
    let mut differences: Vec<Difference> = keys
        .into_iter()
        .filter(|key| running.values().get(*key) != next.values().get(*key))
        .map(|key| Difference {
            key: key.clone(),
            running: running.values().get(key).cloned(),
            next: next.values().get(key).cloned(),
            takes: takes(key),
        })
        .collect();
    differences.sort_by(|one, other| other.takes.cmp(&one.takes).then(one.key.cmp(&other.key)));
    differences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Setting, from_sources};

    fn loaded(settings: &[&str]) -> Loaded {
        let setting = |text: &&str| Setting { flag: "--set", text: (*text).to_owned() };
        let settings: Vec<Setting> = settings.iter().map(setting).collect();
        from_sources(None, [], &settings).expect("sound settings")
    }

    /// What a key is said to take is what its hashes do.
    #[test]
    fn what_a_key_takes_is_what_the_hashes_say() {
        let running = loaded(&[]);
        for change in [
            "base_currency=USD",
            "engagement.weights.shared=6",
            "engagement.half_life=10d",
            "preferences.half_life=10d",
            "costs.service_per_minute_minor=5",
            "costs.touch_minor.email=1",
            "erase.salt=x",
            "rfm.recency_days=[1, 2, 3, 4]",
            "gap.prior=10d",
            "lifecycle.live_gaps=3",
            "activity.reactivation_gaps=3",
            "value_mode.change=0.2",
            "value_tier.edges_minor=[1, 2, 3]",
            "engagement.warm=6",
            "satisfaction.lasts=1d",
            "perceived_value.lasts=1d",
            "perceived_value.benefits.quality=2",
            "qualification.stale=1d",
            "dwell.rfm=1d",
            "cool_down.rfm=1d",
            "season.by=region",
            "audience.x.rule=facts.orders > 1",
            "roles.lapsed=nobody",
            "output.locale=de",
            "holdout.percent=5",
            "erase.keep=800d",
            "commit.interval=200ms",
            "output.dimensions=[\"rfm\"]",
        ] {
            let next = loaded(&[change]);
            let differences = compare(&running, &next);
            assert_eq!(differences.len(), 1, "{change}: {differences:?}");
            let (old, new) = (&running.config.rules.identity, &next.config.rules.identity);
            let expected = match (old.fold_hash == new.fold_hash, old.hash == new.hash) {
                (false, _) => Takes::Rebuild,
                (true, false) => Takes::Reevaluation,
                (true, true) => Takes::Restart,
            };
            assert_eq!(differences[0].takes, expected, "{change}");
        }
    }
}
