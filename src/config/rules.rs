//! Reads the part of the configuration that decides about customers, and names it by a hash.
//!
//! Next: `domain/rules.rs`, what comes out.

use crate::config::cel::Known;
use crate::config::map_file::{self, EdgeKind, Edges, MapFile};
use crate::config::problem::Source;
use crate::config::reader::{Reader, text_of};
use crate::config::values::{self, CENTURY_MS};
use crate::config::{audiences, currencies, dimension_rules, labels, when};
use crate::domain::dimension::{Dimension, Judged};
use crate::domain::dimensions::rfm_map::RfmMap;
use crate::domain::money::{Currency, DatedRate, ExchangeRates};
use crate::domain::name::Name;
use crate::domain::names::Names;
use crate::domain::predicate::Reads;
use crate::domain::rules::{
    AccountRules, Audience, GapRules, LifecycleRules, Monetary, OutputRules, ProfilesOn, RfmRules,
    Rules, RulesIdentity, Thresholds, When,
};
use crate::domain::subject::Subject;
use crate::domain::time::{DAY_MS, Day};
use jiff::civil::{Date, date};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use toml::Value;

type Rates = BTreeMap<Currency, Vec<DatedRate>>;

/// Reads the rules; adds what a careful user should know to `warnings`.
pub(crate) fn read(reader: &mut Reader<'_>, warnings: &mut Vec<String>) -> Option<Rules> {
    let base = reader.text("base_currency", currencies::parse);
    let set = reader.text("rules.set", values::id);
    let revision = reader.integer::<u32>("rules.revision", 1..=i64::from(u32::MAX));
    let thresholds = thresholds(reader, warnings);
    let seasons = audiences::seasons(reader);
    let when = when::when(reader, seasons.as_ref());
    let fold = dimension_rules::fold(reader);
    let accounts = dimension_rules::accounts(reader);
    let anti_flap = dimension_rules::anti_flap(reader);
    let (holdout, percent) = dimension_rules::holdout(reader).unzip();
    let map = thresholds.as_ref().map(|thresholds| &thresholds.rfm.map);
    let known = Known { map, seasons: seasons.as_ref() };
    let audiences = audiences::audiences(reader, known, percent.unwrap_or(0));
    let consent = audiences::consent(reader);
    let erase_keep_ms = reader.milliseconds("erase.keep", DAY_MS..=CENTURY_MS);
    let keep_visitors_ms = reader.milliseconds("identity.keep_visitors", DAY_MS..=CENTURY_MS);
    let keep_redirects_ms = reader.milliseconds("identity.keep_redirects", DAY_MS..=CENTURY_MS);
    let labels = labels::labels(reader);
    let roles = roles(reader);
    let rates = rates(reader, base);
    let output = output(reader);
    let (base, rates) = (base?, rates?);
    let mut rules = Rules {
        identity: RulesIdentity {
            set: set?.into(),
            revision: revision?,
            hash: "".into(),
            fold_hash: "".into(),
        },
        rates: ExchangeRates::new(base, rates.into_iter().collect()),
        fold: fold?,
        thresholds: thresholds?,
        when: when?,
        names: Names::default(),
        audiences: audiences?,
        seasons: seasons?,
        anti_flap: anti_flap?,
        labels: labels?,
        roles: roles?.map(Name::from),
        output: output?,
        judged: Judged::ALL,
        consent: consent?,
        holdout: holdout?,
        accounts: accounts?,
        erase_keep_ms: erase_keep_ms?,
        keep_visitors_ms: keep_visitors_ms?,
        keep_redirects_ms: keep_redirects_ms?,
    };
    if rules.output.only_written {
        let asked = rules.audiences.iter().fold(Reads::default(), |all, it| all | it.reads);
        rules.judged = Judged::those(|dimension| {
            rules.emits(dimension) || asked.meets(Reads::dimension(dimension))
        });
    }
    let fold = fold_text(&rules);
    rules.identity.hash = hash(&format!("{fold}\n{}", judged_text(&rules))).into();
    rules.identity.fold_hash = hash(&fold).into();
    match rules.with_names(Names::default()) {
        Ok(rules) => Some(rules),
        Err(error) => {
            reader.problem("rfm.map", error.to_string());
            None
        }
    }
}

/// Reads what the dimensions are judged by.
pub(super) fn thresholds(
    reader: &mut Reader<'_>,
    warnings: &mut Vec<String>,
) -> Option<Thresholds> {
    let rfm = rfm(reader, warnings);
    let gap = gap(reader);
    let lifecycle = lifecycle(reader);
    let activity = dimension_rules::activity(reader);
    let value_mode = dimension_rules::value_mode(reader);
    let value_tier_minor = dimension_rules::value_tier(reader);
    let engagement = dimension_rules::engagement(reader);
    let satisfaction_ms = reader.milliseconds("satisfaction.lasts", 1..=CENTURY_MS);
    let perceived = dimension_rules::perceived(reader);
    let qualification = dimension_rules::qualification(reader);
    let contacts = dimension_rules::contacts(reader);
    Some(Thresholds {
        rfm: rfm?,
        gap: gap?,
        lifecycle: lifecycle?,
        activity: activity?,
        value_mode: value_mode?,
        value_tier_minor: value_tier_minor?,
        engagement: engagement?,
        satisfaction_ms: satisfaction_ms?,
        perceived: perceived?,
        qualification: qualification?,
        contacts: contacts?,
    })
}

fn rfm(reader: &mut Reader<'_>, warnings: &mut Vec<String>) -> Option<RfmRules> {
    let map = reader.text("rfm.map", |text| Ok(text.to_owned())).and_then(|name| {
        let found = map(reader, &name);
        found
            .map_err(|problems| {
                for problem in problems {
                    reader.problem("rfm.map", problem);
                }
            })
            .ok()
    });
    let window_ms = reader.text("rfm.window", |text| match text {
        "lifetime" => Ok(None),
        text => match values::duration_ms(text) {
            Ok(ms) if (1..=CENTURY_MS).contains(&ms) => Ok(Some(ms)),
            _ => Err("expected a duration such as \"730d\", or \"lifetime\"".to_owned()),
        },
    });
    let choices = [("sum", Monetary::Sum), ("average", Monetary::Average)];
    let monetary = reader.choice("rfm.monetary", &choices);
    let mut edges = |kind: EdgeKind, own: fn(&Edges) -> &Vec<i64>| {
        let key = format!("rfm.{}", kind.key());
        // With a broken map only the edges' own order can be checked.
        let levels = |edges: &[i64]| match &map {
            Some(file) => file.map.levels(),
            None => u8::try_from(edges.len() + 1).unwrap_or(u8::MAX),
        };
        let set = reader.integers_or_absent(&key, |edges| kind.check(edges, levels(edges)))?;
        let file = map.as_ref()?;
        Some(set.unwrap_or_else(|| {
            let edges = own(&file.edges).clone();
            let value = edges.iter().copied().map(Value::Integer).collect();
            reader.effective(&key, Value::Array(value), Source::Map(file.map.name().to_owned()));
            edges
        }))
    };
    let recency_days = edges(EdgeKind::Recency, |edges| &edges.recency_days);
    let frequency = edges(EdgeKind::Frequency, |edges| &edges.frequency);
    let monetary_minor = edges(EdgeKind::Monetary, |edges| &edges.monetary_minor);
    let map = map?.map;
    let improved = map.silence_improves();
    if !improved.is_empty() {
        warnings.push(format!(
            "rfm.map = \"{}\" moves a customer who merely stops ordering to a better segment in {} \
             cells of R, F, M (rf-10 has none such): {}",
            map.name(),
            improved.len(),
            improved.join(", ")
        ));
    }
    Some(RfmRules {
        map,
        window_ms: window_ms?,
        monetary: monetary?,
        recency_days: recency_days?,
        frequency: frequency?,
        monetary_minor: monetary_minor?,
    })
}

fn map(reader: &mut Reader<'_>, name: &str) -> Result<MapFile, Vec<String>> {
    if let Some((_, text)) = map_file::SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
        return map_file::parse(text);
    }
    if !name.contains('/') && !name.to_ascii_lowercase().ends_with(".toml") {
        let names: Vec<_> = map_file::SHIPPED.iter().map(|(name, _)| *name).collect();
        return Err(vec![format!("expected one of {} or the path of a file", names.join(", "))]);
    }
    let path = reader.resolve("rfm.map", Path::new(name));
    let text = std::fs::read_to_string(&path)
        .map_err(|error| vec![format!("could not read the map: {error}")])?;
    map_file::parse(&text)
}

fn gap(reader: &mut Reader<'_>) -> Option<GapRules> {
    let prior_days = reader.text("gap.prior", |text| match values::duration_ms(text) {
        Ok(ms) if ms > 0 && ms <= CENTURY_MS && ms % DAY_MS == 0 => Ok(ms / DAY_MS),
        _ => Err("expected a duration of whole days such as \"90d\"".to_owned()),
    });
    let prior_weight = reader.integer("gap.prior_weight", 1..=1000);
    let subscription_grace_ms = reader.milliseconds("subscriptions.grace", 0..=CENTURY_MS);
    Some(GapRules {
        prior_days: prior_days?,
        prior_weight: prior_weight?,
        subscription_grace_ms: subscription_grace_ms?,
    })
}

fn lifecycle(reader: &mut Reader<'_>) -> Option<LifecycleRules> {
    let live_gaps = reader.integer("lifecycle.live_gaps", 1..=100);
    let retention_orders = reader.integer("lifecycle.retention_orders", 2..=1000);
    let consideration_ms = reader.milliseconds("lifecycle.consideration", 1..=CENTURY_MS);
    let referral_ms = reader.milliseconds("lifecycle.referral", 1..=CENTURY_MS);
    let promoter_ms = reader.milliseconds("lifecycle.promoter", 1..=CENTURY_MS);
    let review_ms = reader.milliseconds("lifecycle.review", 1..=CENTURY_MS);
    let review_orders = reader.integer("lifecycle.review_orders", 0..=1000);
    Some(LifecycleRules {
        live_gaps: live_gaps?,
        retention_orders: retention_orders?,
        consideration_ms: consideration_ms?,
        referral_ms: referral_ms?,
        promoter_ms: promoter_ms?,
        review_ms: review_ms?,
        review_orders: review_orders?,
    })
}

fn roles(reader: &mut Reader<'_>) -> Option<[String; 6]> {
    let stages = ["awareness", "consideration", "purchase", "retention", "advocacy", "lapsed"];
    let roles = stages.map(|stage| {
        reader.text(&format!("roles.{stage}"), |text| {
            if (1..=64).contains(&text.len()) && !text.chars().any(char::is_control) {
                Ok(text.to_owned())
            } else {
                Err("expected text of 1 to 64 bytes".to_owned())
            }
        })
    });
    let roles: Option<Vec<String>> = roles.into_iter().collect();
    roles?.try_into().ok()
}

fn rates(reader: &mut Reader<'_>, base: Option<Currency>) -> Option<Rates> {
    let mut rates = Rates::new();
    let mut sound = true;
    for (path, entry) in reader.table("rates") {
        let rate = match path.as_slice() {
            [code, day] => rate(code, day, text_of(&entry), base),
            _ => Err("expected [rates.CURRENCY] with \"YYYY-MM-DD\" = \"0.9123\"".to_owned()),
        };
        match rate {
            Ok((currency, rate)) => rates.entry(currency).or_default().push(rate),
            Err(problem) => {
                sound = false;
                reader.table_problem(format!("rates.{}", path.join(".")), &entry, problem);
            }
        }
    }
    sound.then_some(rates)
}

fn rate(
    code: &str,
    day: &str,
    text: Result<&str, String>,
    base: Option<Currency>,
) -> Result<(Currency, DatedRate), String> {
    let currency = currencies::parse(code)?;
    if Some(currency) == base {
        return Err("expected no rate for base_currency itself".to_owned());
    }
    let from = day
        .parse::<Date>()
        .ok()
        .filter(|_| day.len() == "2026-01-01".len())
        .ok_or("expected the day as \"YYYY-MM-DD\"")?;
    let days = date(1970, 1, 1).until(from).map_err(|error| error.to_string())?.get_days();
    let nano_base = values::decimal_nano(text.map_err(|_| "expected a decimal in quotes")?)?;
    Ok((currency, DatedRate { from: Day(i64::from(days)), nano_base }))
}

fn output(reader: &mut Reader<'_>) -> Option<OutputRules> {
    let names = Dimension::BUILT_IN.map(Dimension::built_in_name);
    let chosen = reader.choices("output.dimensions", &names);
    let act_within_ms = reader.milliseconds("output.act_within", 0..=CENTURY_MS);
    let subject_names = Subject::ALL.map(Subject::name);
    let subjects = reader.choices("output.subjects", &subject_names);
    let judged = reader.choice("output.judged", &[("all", false), ("written", true)]);
    let detail = reader.choice("output.detail", &[("full", false), ("compact", true)]);
    let profiles = [
        ("change", ProfilesOn::Change),
        ("touch", ProfilesOn::Touch),
        ("never", ProfilesOn::Never),
    ];
    let profiles = reader.choice("profiles.on", &profiles);
    let (chosen, subjects) = (chosen?, subjects?);
    let dimensions = names.map(|name| chosen.iter().any(|chosen| chosen == name));
    let subjects = subject_names.map(|name| subjects.iter().any(|chosen| chosen == name));
    Some(OutputRules {
        act_within_ms: act_within_ms?,
        dimensions,
        subjects,
        only_written: judged?,
        compact: detail?,
        profiles: profiles?,
    })
}

/// What is used when an event comes in, as text: a change of it needs a rebuild.
fn fold_text(rules: &Rules) -> String {
    let base = rules.rates.base();
    let mut text = format!("ebbflow fold 2\nbase_currency {}\n{:?}", base.code(), rules.fold);
    if rules.accounts != AccountRules::FIRST {
        // Writing to a string cannot fail.
        write!(text, "\n{:?}", rules.accounts).ok();
    }
    text
}

/// Everything else that decides, as text: equal for equal rules however they were written. What
/// only addresses the output (roles, `act_within`) is not part of it. Nor are the rates, to which
/// others are added: `ExchangeRates::history` names those that have decided.
fn judged_text(rules: &Rules) -> String {
    let Rules { thresholds, when, anti_flap, audiences, seasons, consent, output, .. } = rules;
    let mut lines = vec!["ebbflow rules 2".to_owned(), format!("{anti_flap:?}")];
    // What is withheld has no deadline in a state: to permit it, everybody has to be judged.
    lines.push(format!("{consent:?}"));
    // What moved unseen is told when everybody is judged.
    lines.push(format!("written {:?} {:?}", output.dimensions, output.subjects));
    add_thresholds(thresholds, &mut lines);
    if output.only_written {
        lines.push("only what is written is judged".to_owned());
    }
    for When { condition, thresholds } in when {
        lines.push(format!("when {condition:?}"));
        add_thresholds(thresholds, &mut lines);
    }
    lines.push(format!("{seasons:?}"));
    for Audience { name, predicate, anti_flap, purpose, .. } in audiences {
        lines.push(format!("audience {name:?} {predicate:?} {anti_flap:?} {purpose:?}"));
    }
    lines.join("\n")
}

fn add_thresholds(thresholds: &Thresholds, lines: &mut Vec<String>) {
    let Thresholds { rfm, gap, lifecycle, activity, value_mode, .. } = thresholds;
    let Thresholds { value_tier_minor, engagement, satisfaction_ms, .. } = thresholds;
    let Thresholds { perceived, qualification, contacts, .. } = thresholds;
    let RfmRules { window_ms, monetary, recency_days, frequency, monetary_minor, .. } = rfm;
    lines.extend([
        format!("rfm {window_ms:?} {monetary:?}"),
        format!("rfm.edges {recency_days:?} {frequency:?} {monetary_minor:?}"),
        format!("rfm.map {:?} {}", rfm.map.name(), rfm.map.levels()),
        format!("{gap:?}"),
        format!("{lifecycle:?}"),
        format!("{activity:?}"),
        format!("{value_mode:?}"),
        format!("value_tier {value_tier_minor:?}"),
        format!("{engagement:?}"),
        format!("satisfaction {satisfaction_ms}"),
        format!("{perceived:?}"),
        format!("{qualification:?}"),
        format!("{contacts:?}"),
    ]);
    add_map(&rfm.map, lines);
}

/// Names what a map says: its file may say something else under the same name.
pub(super) fn map_hash(map: &RfmMap) -> String {
    let mut lines = vec![format!("rfm.map {:?} {}", map.name(), map.levels())];
    add_map(map, &mut lines);
    hash(&lines.join("\n"))
}

fn add_map(map: &RfmMap, lines: &mut Vec<String>) {
    for value in map.values() {
        lines.push(format!("rfm.value {:?} {}", value.name, value.rank));
    }
    let levels = map.levels();
    for (r, f) in (1..=levels).flat_map(|r| (1..=levels).map(move |f| (r, f))) {
        let names = (1..=levels).map(|m| map.look_up(r, f, m));
        let names: Vec<String> = names.map(|index| index.to_string()).collect();
        lines.push(format!("rfm.cells {r} {f} {}", names.join(" ")));
    }
}

/// First 16 hex digits of the SHA-256.
fn hash(text: &str) -> String {
    Sha256::digest(text).iter().take(8).fold(String::new(), |mut digits, byte| {
        // Writing to a string cannot fail.
        write!(digits, "{byte:02x}").ok();
        digits
    })
}
