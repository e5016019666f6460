//! Rules of the user's own that are refused at load, with the place marked.
//!
//! `INSTA_UPDATE=always` writes the snapshots; review what it wrote.
//! Next: `src/config/cel.rs`, which refuses.

use super::{loaded, problems, try_load};
use insta::assert_snapshot;
use std::fmt::Write;

/// Every rule, and what is said of it as an audience.
fn refusals(rules: &[&str]) -> String {
    let mut all = String::new();
    for rule in rules {
        let text = format!("[audience.mine]\nrule = '''{rule}'''\n");
        let told = problems(&text);
        let told = told.split_once('\n').map_or(told.as_str(), |(_, told)| told);
        writeln!(all, "{told}\n").expect("write");
    }
    all
}

fn told(name: &str, text: &str) {
    insta::with_settings!({ snapshot_path => ".", prepend_module_to_snapshot => false }, {
        assert_snapshot!(name, text);
    });
}

#[test]
fn names_that_nobody_knows() {
    told(
        "unknown_names",
        &refusals(&[
            "lifecycel == \"lapsed\"",
            "facts.order >= 2",
            "surveys.mps >= 9",
            "surveys.purchase_reason == 1",
            "trait.region == \"EU\"",
            "lifecycle == \"laps\"",
            "rfm in [\"champions\", \"champion\"]",
            "audience == \"in\"",
            "traits.a.b == \"c\"",
            "facts.orders >= 2 &&\n  facts.nett_minor > 5",
        ]),
    );
}

#[test]
fn types_that_do_not_fit() {
    told(
        "wrong_types",
        &refusals(&[
            "facts.orders == \"two\"",
            "traits.age > 18",
            "traits.age > \"18\"",
            "lifecycle > \"purchase\"",
            "consent[\"marketing:email\"] == \"yes\"",
            "consent",
            "facts",
            "facts.orders",
            "traits.region",
            "season && true",
            "facts.orders in [\"a\"]",
            "facts.orders in [1, \"a\"]",
            "lifecycle in \"lapsed\"",
            "traits.region.startsWith(5)",
            "facts.orders.contains(\"1\")",
            "has(lifecycle)",
            "has(consent.email)",
            "1 == 1",
            "\"a\" == \"a\"",
        ]),
    );
}

#[test]
fn what_cannot_be_known_beforehand() {
    told(
        "not_exact",
        &refusals(&[
            "facts.recency_days > facts.expected_gap_days",
            "facts.recency_days > facts.expected_gap_days * 2",
            "facts.orders + 1 > 2",
            "facts.average_gap_days > 0.0001",
            "facts.orders > 9223372036854775807",
            "traits.region == traits.country",
            "size(traits.region) > 2",
            "traits.region.matches(\"E.*\")",
            "[1, 2].exists(x, x > facts.orders)",
            "traits.map(t, t == \"a\")",
            "now() > 5",
            "-traits.age == 1",
        ]),
    );
}

#[test]
fn what_is_no_rule() {
    told("no_rule", &refusals(&["", "   ", "lifecycle ==", "(true", "true)", "a b", "'", "§"]));
}

#[test]
fn what_would_take_too_long() {
    let deep = format!("{}true{}", "(".repeat(60), ")".repeat(60));
    let refused = refusals(&[&deep, &"!".repeat(99), &"true?".repeat(50)]);
    told("too_deep", &refused);
    let long = vec!["facts.orders > 10000"; 190].join(" || ");
    assert!(long.len() > 4096);
    let refused = refusals(&[&long]);
    told("too_long", refused.rsplit(')').next().unwrap_or_default().trim());
    // Conditions stand twice in what is compiled.
    let doubled =
        (0..4).fold("facts.orders > 1".to_owned(), |rule, _| format!("({rule} ? {rule} : {rule})"));
    assert!(try_load(&format!("[audience.mine]\nrule = '{doubled}'"), &[], &[]).is_err());
}

/// The parser recurses where a rule has no brackets, too.
#[test]
fn chains_are_refused_and_not_followed_to_the_end_of_the_stack() {
    for (first, link) in [
        ("1", "+1"),
        ("1", "*1"),
        ("1", "<1"),
        ("a", ".a"),
        ("a", "[1]"),
        ("a", ".f()"),
        ("a", " in a"),
        ("true", "==true"),
    ] {
        let rule = format!("{first}{}", link.repeat((4096 - first.len()) / link.len()));
        problems(&format!("[audience.mine]\nrule = '{rule}'\n"));
    }
    let joined = format!("true{}", "&&true".repeat(682));
    let text = format!("[audience.mine]\nrule = '{joined}'\n");
    assert!(problems(&text).contains("at most 200 comparisons"));
}

#[test]
fn the_largest_rule_that_is_taken_is_taken() {
    let rule = vec!["traits.a==\"b\""; 200].join("||");
    let text = format!("[audience.mine]\nrule = '{rule}'\n");
    assert_eq!(loaded(&text).config.rules.audiences[0].predicate.comparisons(), 200);
}

#[test]
fn a_part_of_a_name_that_no_season_has() {
    let season = "[season]\nby = \"city\"\n[season.months.wien]\nsummer = \"6-8\"\n";
    let with = |rule: &str| format!("[audience.mine]\nrule = 'season.{rule}'\n{season}");
    for rule in ["startsWith(\"su\")", "endsWith(\"er\")", "contains(\"mm\")", "contains(\"\")"] {
        loaded(&with(rule));
    }
    for rule in ["startsWith(\"wi\")", "endsWith(\"su\")", "contains(\"x\")"] {
        let told = problems(&with(rule));
        assert!(told.contains("no season is so; there are summer"), "{told}");
    }
}

#[test]
fn entries_that_nobody_reaches() {
    let mut all = String::new();
    for entries in [
        // The same again.
        &["traits.a == \"b\"", "traits.a == \"b\""][..],
        // All of them have gone before.
        &["traits.a in [\"b\", \"c\"]", "traits.x == \"y\" && traits.a == \"c\""],
        &["traits.a == \"b\"", "traits.a != \"b\"", "traits.x == \"y\""],
        &["true", "season == \"summer\""],
        // Nobody is like this.
        &["false"],
        &["traits.a == \"b\" && traits.a == \"c\""],
        &["season == \"summer\" && season == \"winter\""],
        &["season == \"sumer\""],
        // What could not be looked for at an instant without knowing more.
        &["facts.orders > 2"],
        &["lifecycle == \"lapsed\""],
        &["traits.a.startsWith(\"b\")"],
        &["consent[\"marketing:email\"]"],
        // No rule at all.
        &[""],
        &["traits.a ="],
    ] {
        let mut text: String = entries
            .iter()
            .map(|rule| format!("[[rules.when]]\nif = '{rule}'\ngap.prior = \"30d\"\n"))
            .collect();
        text.push_str("[season]\nby = \"city\"\n[season.months.wien]\n");
        text.push_str("summer = \"6-8\"\nwinter = \"12-2\"\n");
        let told = problems(&text);
        let told = told.split_once('\n').map_or(told.as_str(), |(_, told)| told);
        writeln!(all, "{}\n{told}\n", entries.join("\n")).expect("write");
    }
    told("unreachable", &all);
}

#[test]
fn entries_that_name_what_cannot_differ() {
    let mut all = String::new();
    for key in [
        "rfm.map = \"classic-11\"",
        "engagement.daily_cap = 3",
        "engagement.weights.shared = 3",
        "erase.keep = \"30d\"",
        "gap.priors = \"30d\"",
        "gap.prior = \"soon\"",
        "rfm.recency_days = [5, 4, 3, 2]",
        "rfm.recency_days = [5]",
    ] {
        let text = format!("[[rules.when]]\nif = 'traits.a == \"b\"'\n{key}\n");
        let told = problems(&text);
        let told = told.split_once('\n').map_or(told.as_str(), |(_, told)| told);
        writeln!(all, "{told}\n").expect("write");
    }
    told("cannot_differ", &all);
}
