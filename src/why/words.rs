//! Words for what records hold as names and numbers: times, amounts, causes, evidence.
//!
//! Never lets a control character through: ids, traits and reasons are what somebody sent.
//! Next: `sheet.rs`, which makes a text of them.

use crate::codec::time;
use crate::domain::money::Currency;
use crate::domain::time::{DAY_MS, Timestamp};
use crate::why::profile::Evidence;
use serde_json::Value;

const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

/// A text without control characters, which a terminal would obey.
pub(super) fn clean(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut cleaned, character| {
        if character.is_control() {
            cleaned.extend(character.escape_default());
        } else {
            cleaned.push(character);
        }
        cleaned
    })
}

/// To the minute: `2026-03-01 09:30 UTC`.
pub(super) fn instant(at: Timestamp) -> String {
    let text = exactly(at);
    format!("{} {} UTC", &text[..10], &text[11..16])
}

/// To the millisecond: `2026-03-01T09:30:00.000Z`.
pub(super) fn exactly(at: Timestamp) -> String {
    String::from_utf8_lossy(&time::format(at)).into_owned()
}

/// How long that is, in its largest unit.
pub(super) fn span(ms: i64) -> String {
    let ms = ms.max(0);
    let of = |count: i64, unit: &str| match count {
        1 => format!("1 {unit}"),
        count => format!("{count} {unit}s"),
    };
    match ms {
        DAY_MS.. => of(ms / DAY_MS, "day"),
        HOUR_MS.. => of(ms / HOUR_MS, "hour"),
        MINUTE_MS.. => of(ms / MINUTE_MS, "minute"),
        _ => "less than a minute".to_owned(),
    }
}

/// Minor units as people write them: `179.70 EUR`.
pub(super) fn money(minor: i64, currency: Currency) -> String {
    let digits = currency.exponent() as usize;
    let sign = if minor < 0 { "-" } else { "" };
    let code = currency.code();
    let text = format!("{:0>width$}", minor.unsigned_abs(), width = digits + 1);
    let (major, rest) = text.split_at(text.len() - digits);
    if rest.is_empty() {
        format!("{sign}{major} {code}")
    } else {
        format!("{sign}{major}.{rest} {code}")
    }
}

/// What brought a change, by the word that is written.
pub(super) fn cause(kind: &str) -> &str {
    match kind {
        "event" => "by an event",
        "timer" => "because time passed",
        "late_event" => "by an event that came late",
        "refund" => "by a refund or cancellation",
        "merge" => "by a merge of customers",
        "consent" => "because consent was given or withdrawn",
        "dwell" => "when a minimum stay or cool-down had passed",
        "thresholds" => "by new cut points",
        "model" => "by a new model",
        "rules" => "by new rules",
        "baseline" => "as the first judgement",
        "erase" => "by an erase",
        other => other,
    }
}

/// What a number measures.
enum Unit {
    Money,
    Days,
    Percent,
    Plain,
}

/// One piece of evidence as a sentence; `None` when nothing is known of it.
pub(super) fn evidence(evidence: &Evidence, currency: Currency) -> Option<String> {
    let Evidence { name, op, threshold, after } = evidence;
    if after.is_null() && threshold.is_null() {
        return None;
    }
    let (what, unit) = measured(name);
    let show = |value: &Value| number(value, &unit, currency);
    if after.is_null() {
        return Some(format!("{what}: not known"));
    }
    let value = show(after);
    if threshold.is_null() || (op == "=" && after == threshold) {
        return Some(format!("{what}: {value}"));
    }
    let limit = show(threshold);
    Some(match op.as_str() {
        ">" => format!("{what}: {value}, more than {limit}"),
        ">=" => format!("{what}: {value}, at least {limit}"),
        "<" => format!("{what}: {value}, less than {limit}"),
        "<=" => format!("{what}: {value}, at most {limit}"),
        "=" => format!("{what}: {value}, compared with {limit}"),
        "in" => format!("{what}: {value}, among {limit}"),
        other => format!("{what}: {value}, {} {limit}", clean(other)),
    })
}

/// Words for the name of a measure, and its unit.
fn measured(name: &str) -> (String, Unit) {
    let known = match name {
        "days_since_order" => "days since the last order",
        "recency_days" => "days since the last order that counts",
        "gap_before_order_days" => "days between the last two orders",
        "order_days" => "days with an order",
        "orders" => "orders that count",
        "running_subscriptions" => "subscriptions that run",
        "frequency" => "orders in the window",
        "monetary_minor" => "spend in the window",
        "window_net_minor" => "net spend of the present window",
        "window_before_net_minor" => "net spend of the window before",
        "net_revenue_retention" => "present window as part of the one before",
        "days_since_nps" => "days since the last NPS answer",
        "nps" => "last NPS answer",
        "nps_reason" => "reason given",
        "net_365d_minor" => "net revenue of the last 365 days",
        "meddic_sum" => "sum of the MEDDIC scores",
        "meddic_least_needed" => "least of economic buyer, pain and champion",
        "contacts" => "active contacts",
        "contacts_come" => "contacts that came, against those lost",
        "champions" => "active champions",
        "days_since_champion" => "days since the last champion was heard of",
        "days_since_needed_element" => {
            "days since one of economic buyer, pain, champion was scored"
        }
        "days_since_referral" => "days since an accepted referral",
        "days_since_praise" => "days since a good review or a share",
        "days_since_consideration" => "days since a sign of consideration",
        _ => "",
    };
    let unit = match name {
        "net_revenue_retention" => Unit::Percent,
        _ if name.ends_with("_minor") => Unit::Money,
        _ if name.ends_with("_days") || name.starts_with("days_since_") => Unit::Days,
        _ => Unit::Plain,
    };
    if known.is_empty() {
        let plain = name.strip_suffix("_minor").unwrap_or(name).replace('_', " ");
        return (clean(&plain), unit);
    }
    (known.to_owned(), unit)
}

fn number(value: &Value, unit: &Unit, currency: Currency) -> String {
    let decimal = value.as_f64();
    match (unit, value, decimal) {
        (_, Value::String(text), _) => clean(text),
        (Unit::Money, value, _) if value.is_i64() => {
            money(value.as_i64().unwrap_or_default(), currency)
        }
        (Unit::Percent, _, Some(ratio)) => format!("{} %", rounded(ratio * 100.0)),
        (Unit::Money, _, Some(minor)) => format!("{} minor units", rounded(minor)),
        (_, _, Some(decimal)) => rounded(decimal),
        (_, other, None) => clean(&other.to_string()),
    }
}

/// At most one decimal.
fn rounded(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).unwrap()
    }

    #[test]
    fn amounts_have_the_decimals_of_their_currency() {
        assert_eq!(money(17_970, currency("EUR")), "179.70 EUR");
        assert_eq!(money(-5, currency("EUR")), "-0.05 EUR");
        assert_eq!(money(5_000, currency("JPY")), "5000 JPY");
        assert_eq!(money(1_234, currency("KWD")), "1.234 KWD");
        assert_eq!(money(i64::MIN, currency("EUR")), "-92233720368547758.08 EUR");
    }

    #[test]
    fn times_are_short_and_spans_in_their_largest_unit() {
        let at = Timestamp(1_767_225_661_001);
        assert_eq!(
            (instant(at), exactly(at)),
            ("2026-01-01 00:01 UTC".to_owned(), "2026-01-01T00:01:01.001Z".to_owned())
        );
        let spans = [-5, 59_999, 60_000, 7_200_000, DAY_MS, 45 * DAY_MS + 1].map(span);
        let expected =
            ["less than a minute", "less than a minute", "1 minute", "2 hours", "1 day", "45 days"];
        assert_eq!(spans, expected);
    }

    fn said(name: &str, op: &str, threshold: Value, after: Value) -> Option<String> {
        let given = Evidence { name: name.to_owned(), op: op.to_owned(), threshold, after };
        evidence(&given, currency("EUR"))
    }

    #[test]
    fn evidence_is_a_sentence_with_units() {
        let said = |name, op, threshold, after| said(name, op, threshold, after).unwrap();
        insta::assert_snapshot!([
            said("days_since_order", ">", json!(121.090_909_086), json!(599.625)),
            said("window_net_minor", ">=", json!(0), json!(-1_250)),
            said("net_revenue_retention", "=", Value::Null, json!(0.917_56)),
            said("net_revenue_retention", ">", json!(1.0), json!(1.25)),
            said("recency_days", "<=", json!(30), json!(0)),
            said("nps", ">=", json!(9), json!(10)),
            said("nps_reason", "=", Value::Null, json!("fast \u{1b}[31mdelivery")),
            said("days_since_nps", ">", json!(365), Value::Null),
            said("trait", "in", json!("EU, US"), json!("EU")),
            said("lifecycle", "=", json!("lapsed"), json!("lapsed")),
            said("season", "=", json!("summer"), json!("winter")),
            said("net_365d_minor", ">=", json!(50_000), json!(51_000)),
        ].join("\n"), @r"
        days since the last order: 599.6, more than 121.1
        net spend of the present window: -12.50 EUR, at least 0.00 EUR
        present window as part of the one before: 91.8 %
        present window as part of the one before: 125 %, more than 100 %
        days since the last order that counts: 0, at most 30
        last NPS answer: 10, at least 9
        reason given: fast \u{1b}[31mdelivery
        days since the last NPS answer: not known
        trait: EU, among EU, US
        lifecycle: lapsed
        season: winter, compared with summer
        net revenue of the last 365 days: 510.00 EUR, at least 500.00 EUR
        ");
        let unknown = super::tests::said("outcome", "=", Value::Null, Value::Null);
        assert_eq!(unknown, None);
    }
}
