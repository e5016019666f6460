//! Random rules in CEL: as a user writes them, and as standard CEL has to be told the same.
//!
//! Standard CEL has no answer where a name is unknown. Here a comparison of an unknown number is
//! false, a trait that is not there, or is empty, is the empty text, and a purpose of which nothing
//! was said is not permitted; [`Rule::guarded`] says that in standard CEL.
//! Next: `predicates.rs`, which asks both.

use ebbflow::domain::dimension::Dimension;
use ebbflow::domain::predicate::quantity::Quantity;
use ebbflow::domain::rules::Rules;
use ebbflow::domain::subject::Subject;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// A rule.
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    Constant(bool),
    Dimension(&'static str, Vec<String>, Form),
    Text(String, Vec<&'static str>, Form),
    /// Name, operator, constant; the constant first or last.
    Number(String, &'static str, &'static str, bool),
    NumberIn(String, Vec<&'static str>),
    /// Whether a text is known, or a number.
    HasText(String),
    HasNumber(String),
    /// Purpose, and how it is asked for.
    Consent(&'static str, &'static str),
    Not(Box<Rule>),
    And(Box<Rule>, Box<Rule>),
    Or(Box<Rule>, Box<Rule>),
    Conditional(Box<[Rule; 3]>),
}

/// How a text is tested.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Equal,
    Flipped,
    NotEqual,
    In,
    Method(&'static str),
}

impl Rule {
    /// As a user writes it.
    pub(crate) fn plain(&self) -> String {
        self.written(false)
    }

    /// In standard CEL, with an answer whatever is known.
    pub(crate) fn guarded(&self) -> String {
        self.written(true)
    }

    fn written(&self, guarded: bool) -> String {
        match self {
            Self::Constant(holds) => holds.to_string(),
            Self::Dimension(name, values, form) => tested(name, values, *form),
            Self::Text(name, values, form) if guarded && name.starts_with("traits") => {
                let member = name.replace("[\"", ".").replace("\"]", "");
                let name = format!("(has({member}) ? {name} : \"\")");
                tested(&name, values, *form)
            }
            Self::Text(name, values, form) => tested(name, values, *form),
            Self::Number(name, operator, constant, flipped) => {
                let (operator, negated) = match *operator {
                    "!=" if guarded => ("==", true),
                    operator => (operator, false),
                };
                let compared = if *flipped {
                    format!("{constant} {operator} {name}")
                } else {
                    format!("{name} {operator} {constant}")
                };
                match (guarded, negated) {
                    (false, _) => compared,
                    (true, false) => format!("(has({name}) && {compared})"),
                    (true, true) => format!("!(has({name}) && {compared})"),
                }
            }
            Self::NumberIn(name, constants) => {
                let found = format!("{name} in [{}]", constants.join(", "));
                if guarded { format!("(has({name}) && {found})") } else { found }
            }
            Self::HasText(name) | Self::HasNumber(name) => format!("has({name})"),
            Self::Consent(purpose, form) => {
                let name = format!("consent[\"{purpose}\"]");
                let known = format!("(\"{purpose}\" in consent && {name})");
                form.replace('#', if guarded { &known } else { &name })
            }
            Self::Not(part) => format!("!({})", part.written(guarded)),
            Self::And(one, other) => {
                format!("({}) && ({})", one.written(guarded), other.written(guarded))
            }
            Self::Or(one, other) => {
                format!("({}) || ({})", one.written(guarded), other.written(guarded))
            }
            Self::Conditional(parts) => {
                let [condition, then, other] = &**parts;
                let parts = [condition, then, other].map(|part| part.written(guarded));
                format!("({}) ? ({}) : ({})", parts[0], parts[1], parts[2])
            }
        }
    }
}

fn tested(name: &str, values: &[impl AsRef<str>], form: Form) -> String {
    let first = values[0].as_ref();
    match form {
        Form::Equal => format!("{name} == \"{first}\""),
        Form::Flipped => format!("\"{first}\" == {name}"),
        Form::NotEqual => format!("{name} != \"{first}\""),
        Form::In => {
            let values: Vec<_> = values.iter().map(|it| format!("\"{}\"", it.as_ref())).collect();
            format!("{name} in [{}]", values.join(", "))
        }
        Form::Method(method) => format!("{name}.{method}(\"{first}\")"),
    }
}

fn form() -> impl Strategy<Value = Form> {
    select(vec![Form::Equal, Form::Flipped, Form::NotEqual, Form::In])
}

fn dimension(rules: &Rules) -> impl Strategy<Value = Rule> + use<> {
    let map = rules.thresholds.rfm.map.clone();
    select(Dimension::all_of(Subject::Customer).collect::<Vec<_>>()).prop_flat_map(
        move |dimension| {
            let names: Vec<String> =
                dimension.value_names(&map).iter().map(ToString::to_string).collect();
            (vec(select(names), 1..4), form()).prop_map(move |(names, form)| {
                Rule::Dimension(dimension.built_in_name(), names, form)
            })
        },
    )
}

const TRAITS: [&str; 3] = ["traits.city", "traits[\"tier\"]", "traits.never"];

fn text() -> impl Strategy<Value = Rule> {
    let any = |names: &'static [&'static str], values: &'static [&'static str]| {
        let form = prop_oneof![
            2 => form(),
            1 => select(&["startsWith", "endsWith", "contains"][..]).prop_map(Form::Method),
        ];
        (select(names), vec(select(values), 1..4), form)
            .prop_map(|(name, values, form)| Rule::Text(name.to_owned(), values, form))
    };
    prop_oneof![
        any(&TRAITS, &["seoul", "wien", "", "se", "en", "ie"]),
        any(&["season"], &["summer", "winter", "", "er", "sum"]).prop_map(known_seasons),
        any(&["preferred_category"], &["bags", "hats", "shoes", "", "s", "ha"]),
        any(&["preferred_channel"], &["email", "letter", "web", "", "e", "te"]),
    ]
}

/// A season is compared with those that there are; of parts those are looked for that one has.
fn known_seasons(rule: Rule) -> Rule {
    match rule {
        // "summer" and "winter" end with it.
        Rule::Text(name, values, form @ Form::Method("startsWith")) if values[0] == "er" => {
            Rule::Text(name, vec!["sum"], form)
        }
        Rule::Text(name, values, form @ Form::Method("endsWith")) if values[0] == "sum" => {
            Rule::Text(name, vec!["er"], form)
        }
        Rule::Text(name, mut values, form) if !matches!(form, Form::Method(_)) => {
            values.retain(|value| !["er", "sum"].contains(value));
            if values.is_empty() {
                values.push("winter");
            }
            Rule::Text(name, values, form)
        }
        rule => rule,
    }
}

/// Constants near which the numbers of random customers lie.
fn constant(name: &str) -> Vec<&'static str> {
    let kind = |suffix: &str| name.ends_with(suffix);
    if kind("_minor") {
        vec!["0", "1", "5000", "5001", "200", "2500.5", "-1", "60000", "100000"]
    } else if kind("_days") {
        vec!["0", "0.001", "0.5", "1", "7", "20", "30", "33.333", "60", "90", "90.5", "180", "365"]
    } else if name == "net_revenue_retention" || name == "discount_dependence" {
        vec!["0", "0.25", "0.5", "0.333", "0.667", "0.9", "1", "1.5", "-0.5"]
    } else if name == "engagement_score" {
        vec!["0", "0.001", "0.5", "1", "2.5", "3", "5", "14", "20", "20.125", "-3"]
    } else {
        vec!["0", "1", "2", "2.5", "3", "6", "7", "9", "10", "12", "-1", "18"]
    }
}

fn numbers() -> Vec<String> {
    let facts = Quantity::FACTS.iter().map(|(name, _)| format!("facts.{name}"));
    let surveys =
        ["nps", "csat", "ces", "attention", "brand"].map(|name| format!("surveys.{name}"));
    facts.chain(surveys).collect()
}

fn number() -> impl Strategy<Value = Rule> {
    let operators = &["<", "<=", "==", "!=", ">=", ">"][..];
    select(numbers()).prop_flat_map(move |name| {
        let constants = constant(name.split_once('.').expect("a member").1);
        let list = (Just(name.clone()), vec(select(constants.clone()), 1..4))
            .prop_map(|(name, constants)| Rule::NumberIn(name, constants));
        let compared = (Just(name), select(operators), select(constants), any::<bool>())
            .prop_map(|(name, op, constant, flipped)| Rule::Number(name, op, constant, flipped));
        prop_oneof![6 => compared, 1 => list]
    })
}

fn consent() -> impl Strategy<Value = Rule> {
    let purposes = &["marketing:email", "marketing:sms", "profiling", "never"][..];
    let forms = &["#", "# == true", "# == false", "# != true", "false != #", "!#"][..];
    (select(purposes), select(forms)).prop_map(|(purpose, form)| Rule::Consent(purpose, form))
}

/// Rules over everything that a rule may name.
pub(crate) fn rule(rules: &Rules) -> impl Strategy<Value = Rule> + use<> {
    let has = prop_oneof![
        2 => select(numbers()).prop_map(Rule::HasNumber),
        1 => select(&["traits.city", "traits.tier", "traits.never"][..])
            .prop_map(|name| Rule::HasText(name.to_owned())),
    ];
    let leaf = prop_oneof![
        6 => number(),
        3 => dimension(rules),
        3 => text(),
        1 => consent(),
        1 => has,
        1 => any::<bool>().prop_map(Rule::Constant),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let part = || inner.clone().prop_map(Box::new);
        prop_oneof![
            2 => part().prop_map(Rule::Not),
            3 => (part(), part()).prop_map(|(one, other)| Rule::And(one, other)),
            3 => (part(), part()).prop_map(|(one, other)| Rule::Or(one, other)),
            1 => [inner.clone(), inner.clone(), inner.clone()]
                .prop_map(|parts| Rule::Conditional(Box::new(parts))),
        ]
    })
}
