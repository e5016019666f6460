//! Reads what the dimensions are judged by and what events leave behind.
//!
//! Next: `rules.rs`, which puts it together; `domain/rules.rs`, what comes out.

use crate::config::reader::{Reader, text_of};
use crate::config::values::{self, CENTURY_MS};
use crate::domain::decay::HalfLife;
use crate::domain::dimension::{self, Dimension};
use crate::domain::facts::scored_kind::ScoredKind;
use crate::domain::money::MAX_AMOUNT_MINOR;
use crate::domain::rules::{
    AccountRules, ActivityBand, ActivityRules, AntiFlap, ContactsRules, EngagementRules, Feeds,
    FoldRules, HoldoutRules, PerceivedRules, QualificationRules, ValueModeRules,
};
use crate::domain::time::DAY_MS;
use std::ops::RangeInclusive;
use toml::Value;

const CENTURY_DAYS: i64 = CENTURY_MS / DAY_MS;

/// What is used when an event comes in.
pub(super) fn fold(reader: &mut Reader<'_>) -> Option<FoldRules> {
    let weights = ScoredKind::ALL.map(|kind| {
        reader.integer::<u32>(&format!("engagement.weights.{}", kind.name()), 0..=1000)
    });
    let daily_cap = reader.integer("engagement.daily_cap", 1..=1000);
    let half_life = |reader: &mut Reader<'_>, key: &str| {
        reader
            .text(key, |text| days(text, 1..=3650))
            .map(|days| HalfLife::new(u16::try_from(days).unwrap_or(u16::MAX)))
    };
    let engagement_half_life = half_life(reader, "engagement.half_life");
    let preference_half_life = half_life(reader, "preferences.half_life");
    let minor = 0..=MAX_AMOUNT_MINOR;
    let service = reader.integer("costs.service_per_minute_minor", minor.clone());
    let touch_cost_minor = named_integers(reader, "costs.touch_minor", &minor);
    let erase_salt = reader.text("erase.salt", salt);
    let weights: Option<Vec<u32>> = weights.into_iter().collect();
    Some(FoldRules {
        weights: weights?.try_into().ok()?,
        daily_cap: daily_cap?,
        engagement_half_life: engagement_half_life?,
        preference_half_life: preference_half_life?,
        service_cost_per_minute_minor: service?,
        touch_cost_minor: touch_cost_minor?,
        erase_salt: erase_salt?,
    })
}

/// Whole numbers by the user's own names.
fn named_integers(
    reader: &mut Reader<'_>,
    key: &str,
    range: &RangeInclusive<i64>,
) -> Option<Vec<(String, i64)>> {
    let mut numbers = Vec::new();
    let mut sound = true;
    for (path, entry) in reader.table(key) {
        match (path.as_slice(), entry.value.as_integer().filter(|number| range.contains(number))) {
            ([name], Some(number)) => numbers.push((name.clone(), number)),
            _ => {
                sound = false;
                let (least, most) = (range.start(), range.end());
                let problem = format!("expected a whole number from {least} to {most}");
                reader.table_problem(format!("{key}.{}", path.join(".")), &entry, problem);
            }
        }
    }
    sound.then_some(numbers)
}

fn days(text: &str, range: RangeInclusive<i64>) -> Result<i64, String> {
    let (least, most) = (range.start(), range.end());
    match values::duration_ms(text) {
        Ok(ms) if ms % DAY_MS == 0 && range.contains(&(ms / DAY_MS)) => Ok(ms / DAY_MS),
        _ => Err(format!("expected a duration of {least} to {most} whole days such as \"90d\"")),
    }
}

fn salt(text: &str) -> Result<String, String> {
    if text.len() <= 64 { Ok(text.to_owned()) } else { Err("expected at most 64 bytes".into()) }
}

/// `activity`.
pub(super) fn activity(reader: &mut Reader<'_>) -> Option<ActivityRules> {
    let mut band = |name: &str| {
        let key = |what: &str| format!("activity.{name}.{what}");
        let gap_milli = reader.text(&key("gaps"), |text| milli(text, 1..=100_000));
        let floor_days = reader.text(&key("floor"), |text| days(text, 0..=CENTURY_DAYS));
        let longest_milli = reader.text(&key("longest_gaps"), |text| milli(text, 0..=100_000));
        Some(ActivityBand {
            gap_milli: gap_milli?,
            floor_days: floor_days?,
            longest_milli: longest_milli?,
        })
    };
    let bands = [band("at_risk"), band("lapsed"), band("churned")];
    let reactivation_milli =
        reader.text("activity.reactivation_gaps", |text| milli(text, 1000..=100_000));
    let [at_risk, lapsed, churned] = bands;
    let bands = [at_risk?, lapsed?, churned?];
    for (pair, name) in bands.windows(2).zip(["lapsed", "churned"]) {
        let grows = pair[0].gap_milli <= pair[1].gap_milli
            && pair[0].floor_days <= pair[1].floor_days
            && pair[0].longest_milli <= pair[1].longest_milli;
        if !grows {
            let problem = "expected no part of the band to begin before that of the band before it";
            reader.problem(&format!("activity.{name}.gaps"), problem);
            return None;
        }
    }
    Some(ActivityRules { bands, reactivation_milli: reactivation_milli? })
}

/// Thousandths of a decimal in quotes.
fn milli(text: &str, range: RangeInclusive<i64>) -> Result<i64, String> {
    let show = |milli: &i64| format!("{}.{:03}", milli / 1000, milli % 1000);
    let (least, most) = (show(range.start()), show(range.end()));
    let expected =
        || format!("expected a decimal in quotes from {least} to {most}, such as \"1.5\"");
    if text.trim_matches(['0', '.']).is_empty() && !text.is_empty() && range.contains(&0) {
        return Ok(0);
    }
    let nano = values::decimal_nano(text).map_err(|_| expected())?;
    let milli = nano / 1_000_000;
    if nano % 1_000_000 == 0 && range.contains(&milli) { Ok(milli) } else { Err(expected()) }
}

/// `value_mode`.
pub(super) fn value_mode(reader: &mut Reader<'_>) -> Option<ValueModeRules> {
    let window_milli = reader.text("value_mode.window_gaps", |text| milli(text, 1000..=100_000));
    let least = reader.text("value_mode.window_least", |text| days(text, 1..=CENTURY_DAYS));
    let most = reader.text("value_mode.window_most", |text| days(text, 1..=CENTURY_DAYS));
    let change_milli = reader.text("value_mode.change", |text| milli(text, 0..=1000));
    let z_milli = reader.text("value_mode.standard_errors", |text| milli(text, 0..=10_000));
    let wider_milli = reader.text("value_mode.wider_from", |text| milli(text, 0..=1000));
    let (least, most) = (least?, most?);
    if least > most {
        let problem = "expected at least value_mode.window_least";
        reader.problem("value_mode.window_most", problem);
        return None;
    }
    Some(ValueModeRules {
        window_milli: window_milli?,
        window_days: [least, most],
        change_milli: change_milli?,
        z_milli: z_milli?,
        wider_milli: wider_milli?,
    })
}

/// The edges of `value_tier`.
pub(super) fn value_tier(reader: &mut Reader<'_>) -> Option<[i64; 3]> {
    let expected = "expected three whole numbers that do not decrease";
    let edges = reader.integers_or_absent("value_tier.edges_minor", |edges| {
        let fits = edges.len() == 3 && edges.is_sorted();
        if fits { Ok(()) } else { Err(expected.to_owned()) }
    })?;
    edges?.try_into().ok()
}

/// `engagement`.
pub(super) fn engagement(reader: &mut Reader<'_>) -> Option<EngagementRules> {
    let mut score = |name: &str| reader.integer(&format!("engagement.{name}"), 1..=1_000_000);
    let (warm, warm_leaves) = (score("warm"), score("warm_leaves"));
    let (hot, hot_leaves) = (score("hot"), score("hot_leaves"));
    let rules = EngagementRules {
        warm: warm?,
        warm_leaves: warm_leaves?,
        hot: hot?,
        hot_leaves: hot_leaves?,
    };
    for (key, holds, expected) in [
        ("warm_leaves", rules.warm_leaves <= rules.warm, "at most engagement.warm"),
        ("hot", rules.warm <= rules.hot, "at least engagement.warm"),
        ("hot_leaves", rules.hot_leaves <= rules.hot, "at most engagement.hot"),
        ("hot_leaves", rules.warm_leaves <= rules.hot_leaves, "at least engagement.warm_leaves"),
    ] {
        if !holds {
            reader.problem(&format!("engagement.{key}"), format!("expected {expected}"));
            return None;
        }
    }
    Some(rules)
}

/// Perceived value.
pub(super) fn perceived(reader: &mut Reader<'_>) -> Option<PerceivedRules> {
    let lasts_ms = reader.milliseconds("perceived_value.lasts", 1..=CENTURY_MS);
    let mut weights = |side: &str| {
        let weights = named_integers(reader, &format!("perceived_value.{side}"), &(0..=1000))?;
        let weight = |(name, weight)| (name, u32::try_from(weight).unwrap_or(1));
        Some(weights.into_iter().map(weight).collect())
    };
    let (benefit_weights, cost_weights) = (weights("benefits"), weights("costs"));
    Some(PerceivedRules {
        lasts_ms: lasts_ms?,
        benefit_weights: benefit_weights?,
        cost_weights: cost_weights?,
    })
}

/// `qualification`.
pub(super) fn qualification(reader: &mut Reader<'_>) -> Option<QualificationRules> {
    let qualified = reader.integer("qualification.qualified", 1..=18);
    let needed = reader.integer("qualification.needed", 1..=3);
    let stale_ms = reader.milliseconds("qualification.stale", 1..=CENTURY_MS);
    Some(QualificationRules { qualified: qualified?, needed: needed?, stale_ms: stale_ms? })
}

/// `contacts`.
pub(super) fn contacts(reader: &mut Reader<'_>) -> Option<ContactsRules> {
    let silent_after_ms = reader.milliseconds("contacts.silent_after", 1..=CENTURY_MS);
    let window_ms = reader.milliseconds("contacts.window", 1..=CENTURY_MS);
    let champion_score = reader.integer("contacts.champion_score", 1..=3);
    let remember_ms = reader.milliseconds("contacts.remember", 1..=CENTURY_MS);
    let (silent_after_ms, remember_ms) = (silent_after_ms?, remember_ms?);
    if remember_ms <= silent_after_ms {
        let problem = "expected more than contacts.silent_after: a champion is missed only when \
                       it is silent";
        reader.problem("contacts.remember", problem);
        return None;
    }
    Some(ContactsRules {
        silent_after_ms,
        window_ms: window_ms?,
        champion_score: champion_score?,
        remember_ms,
    })
}

/// Whom events count for that name an account.
pub(super) fn accounts(reader: &mut Reader<'_>) -> Option<AccountRules> {
    let choices = [("person", Feeds::PERSON), ("account", Feeds::ACCOUNT), ("both", Feeds::BOTH)];
    let mut feeds = |kind: &str| reader.choice(&format!("accounts.{kind}"), &choices);
    let (purchases, interactions) = (feeds("purchases"), feeds("interactions"));
    let (surveys, costs) = (feeds("surveys"), feeds("costs"));
    let qualification = feeds("qualification");
    Some(AccountRules {
        purchases: purchases?,
        interactions: interactions?,
        surveys: surveys?,
        costs: costs?,
        qualification: qualification?,
    })
}

/// Dwell and cool-down of each dimension.
pub(super) fn anti_flap(reader: &mut Reader<'_>) -> Option<[AntiFlap; dimension::COUNT]> {
    let rules = Dimension::BUILT_IN.map(|dimension| {
        let key = |what: &str| format!("{what}.{}", dimension.built_in_name());
        let dwell_ms = reader.milliseconds(&key("dwell"), 0..=CENTURY_MS);
        let cool_down_ms = reader.milliseconds(&key("cool_down"), 0..=CENTURY_MS);
        Some(AntiFlap { dwell_ms: dwell_ms?, cool_down_ms: cool_down_ms? })
    });
    let rules: Option<Vec<AntiFlap>> = rules.into_iter().collect();
    rules?.try_into().ok()
}

/// Who is held out, and the percentage where nothing else is said.
pub(super) fn holdout(reader: &mut Reader<'_>) -> Option<(HoldoutRules, u8)> {
    let salt = reader.text("holdout.salt", salt);
    let percent = reader.integer::<u8>("holdout.percent", 0..=100);
    let mut held = percent.map(|percent| [percent; dimension::COUNT]);
    let mut sound = true;
    for (path, entry) in reader.table("holdout.dimensions") {
        let dimension = match path.as_slice() {
            [name] => Dimension::BUILT_IN.iter().position(|it| it.built_in_name() == name),
            _ => None,
        };
        let percent = match &entry.value {
            Value::Integer(percent) => u8::try_from(*percent).ok().filter(|it| *it <= 100),
            _ => text_of(&entry).ok().and_then(|text| text.parse().ok()).filter(|it| *it <= 100),
        };
        match (dimension, percent) {
            (Some(dimension), Some(percent)) => {
                held = held.map(|mut held| {
                    held[dimension] = percent;
                    held
                });
            }
            _ => {
                sound = false;
                let problem = "expected the name of a dimension with 0 to 100";
                let key = format!("holdout.dimensions.{}", path.join("."));
                reader.table_problem(key, &entry, problem.to_owned());
            }
        }
    }
    Some((HoldoutRules { salt: salt?, held: held.filter(|_| sound)? }, percent?))
}
