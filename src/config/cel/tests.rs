//! What CEL is understood, and what is refused where.

use super::limits::{MAX_CHAIN, MAX_NESTING};
use super::*;
use crate::domain::dimensions::rfm_map::MapValue;

fn map() -> RfmMap {
    let all = MapValue { name: "gold".into(), rank: 0, cells: vec!["[12][12]".to_owned()] };
    RfmMap::new("test", 2, vec![all]).expect("a total map")
}

fn known(map: &RfmMap) -> Known<'_> {
    Known { map: Some(map), seasons: None }
}

fn compiled(source: &str) -> Predicate {
    compile(source, known(&map())).unwrap_or_else(|error| panic!("{source}: {error}"))
}

fn refused(source: &str) -> String {
    match compile(source, known(&map())) {
        Ok(predicate) => panic!("{source} is {predicate:?}"),
        Err(message) => message,
    }
}

#[test]
fn comparisons_of_every_kind_are_understood() {
    let lapsed = || Predicate::Dimension(Dimension::Lifecycle, vec!["lapsed".to_owned()]);
    assert_eq!(compiled("lifecycle == 'lapsed'"), lapsed());
    assert_eq!(compiled("'lapsed' == lifecycle"), lapsed());
    assert_eq!(compiled("lifecycle != \"lapsed\""), Predicate::Not(Box::new(lapsed())));
    let region = |test| Predicate::Text(Text::Trait("region".to_owned()), test);
    let europe = || region(TextTest::OneOf(vec!["EU".to_owned()]));
    assert_eq!(compiled("traits.region == 'EU'"), europe());
    assert_eq!(compiled("traits['region'] in ['EU']"), europe());
    assert_eq!(
        compiled("traits.region.startsWith('E')"),
        region(TextTest::StartsWith("E".to_owned()))
    );
    let orders = |comparison, milli| Predicate::Number(Quantity::Orders, comparison, milli);
    assert_eq!(compiled("facts.orders >= 2"), orders(Comparison::AtLeast, 2000));
    assert_eq!(
        compiled("facts.accepted_referrals >= 1 && facts.referred_revenue_minor < 500"),
        Predicate::All(vec![
            Predicate::Number(Quantity::AcceptedReferrals, Comparison::AtLeast, 1000),
            Predicate::Number(Quantity::ReferredRevenueMinor, Comparison::Less, 500_000),
        ])
    );
    assert_eq!(compiled("2.5 > facts.orders"), orders(Comparison::Less, 2500));
    assert_eq!(compiled("facts.orders == -1"), orders(Comparison::Equal, -1000));
    assert_eq!(
        compiled("surveys.nps < 7"),
        Predicate::Number(Quantity::Survey(Topic::Nps), Comparison::Less, 7000)
    );
    let email = || Predicate::Consent("marketing:email".to_owned());
    assert_eq!(compiled("consent['marketing:email']"), email());
    assert_eq!(compiled("consent['marketing:email'] == false"), Predicate::Not(Box::new(email())));
    assert_eq!(
        compiled("lifecycle == 'lapsed' && (facts.orders >= 2 || !(traits.region == 'EU'))"),
        Predicate::All(vec![
            lapsed(),
            Predicate::Any(vec![
                orders(Comparison::AtLeast, 2000),
                Predicate::Not(Box::new(europe())),
            ]),
        ])
    );
}

#[test]
fn what_is_refused_is_marked() {
    for (source, message, place) in [
        ("lifecycl == 'lapsed'", "did you mean lifecycle?", "^^^^^^^^"),
        ("lifecycle == 'laps'", "lifecycle is never \"laps\"", "^^"),
        ("facts.order > 1", "did you mean orders?", "^"),
        ("facts.orders > 'x'", "cannot be compared so", "^"),
        ("lifecycle > 'lapsed'", "cannot be compared so", "^"),
        ("facts.orders + 1 > 2", "cannot be evaluated exactly", "^"),
        ("facts.orders", "expected a condition, this is a number of the customer", "^"),
        ("facts.average_gap_days > 0.0001", "at most three decimals", "^"),
        ("traits.region", "expected a condition", "^"),
        ("[1].exists(x, x > 0)", "cannot be evaluated exactly", "^"),
        ("lifecycle == 'lapsed' &&", "expected CEL", "^"),
        ("facts.recency_days > facts.expected_gap_days", "cannot be compared so", "^"),
    ] {
        let refusal = refused(source);
        assert!(refusal.contains(message), "{source}: {refusal}");
        let mut lines = refusal.lines().skip(1);
        assert_eq!(lines.next().map(str::trim), Some(source), "{refusal}");
        assert!(lines.next().is_some_and(|line| line.contains(place)), "{refusal}");
    }
    assert!(refused("  ").contains("expected a condition"));
}

#[test]
fn what_is_too_long_or_too_deep_is_refused_quickly() {
    assert!(refused(&format!("{}true", "!".repeat(5000))).contains("at most 4096 bytes"));
    let nested = |depth: usize| format!("{}true{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(compiled(&nested(MAX_NESTING)), Predicate::Constant(true));
    for deep in [nested(200), format!("{}true", "!".repeat(200)), "true?".repeat(200)] {
        assert!(refused(&deep).contains("within each other"));
    }
    // What stands in quotes is neither deep nor long.
    let address = "https://shop.example/a-b-c-d-e-f-g-h-i-j-k-l.html?in=1&in=2&x=[(({{!!!!!!!";
    let address = format!("{address}{}", ".in=".repeat(40));
    compiled(&format!("traits.referrer == \"{address}\""));
    compiled(&format!("traits.referrer in ['{address}', '''{address}''']"));
    let chain = format!("traits.a{}", " == 'b'".repeat(MAX_CHAIN));
    assert!(refused(&chain).contains("signs (dots, brackets, operators)"));
    let many = vec!["facts.orders > 1"; 201].join("||");
    assert!(refused(&many).contains("at most 200 comparisons"), "{}", refused(&many));
}

#[test]
fn a_season_is_one_that_there_is() {
    let months = std::array::from_fn(|month| if month < 6 { "summer" } else { "" }.to_owned());
    let seasons = Seasons { by: "city".to_owned(), months: vec![("wien".to_owned(), months)] };
    let compile = |source: &str, seasons: &Seasons| {
        compile(source, Known { map: None, seasons: Some(seasons) })
    };
    for sound in ["season == 'summer'", "season in ['summer', '']", "season.contains('mer')"] {
        assert!(compile(sound, &seasons).is_ok(), "{sound}");
    }
    let none = Seasons::default();
    for (source, seasons, message) in [
        ("season == 'sumer'", &seasons, "season is never \"sumer\"; did you mean \"summer\"?"),
        ("season in ['summer', 'autumn']", &seasons, "never \"autumn\"; expected summer"),
        ("'summer' != season", &none, "there is no [season] with months"),
    ] {
        let refusal = compile(source, seasons).expect_err(source);
        assert!(refusal.contains(message) && refusal.contains('^'), "{refusal}");
    }
}
