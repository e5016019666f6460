//! The profile as text: where the customer stands in each dimension, since when and why, what
//! waits, and what time alone will do next.
//!
//! A pure function of the profile. Next: `words.rs`, its words.

use crate::domain::money::Currency;
use crate::domain::time::Timestamp;
use crate::why::profile::{Dimension, Next, Profile, Time};
use crate::why::words::{cause, clean, evidence, instant, money, span};

/// The text, with a line end.
pub(super) fn sheet(profile: &Profile, currency: Currency) -> String {
    let at = profile.as_of.0;
    let mut text = head(profile, currency);
    for (name, dimension) in &profile.dimensions.0 {
        let next = profile.next.iter().find(|next| next.dimension == *name);
        text += &section(name, dimension, next, at, currency);
    }
    text += &foot(profile);
    text
}

fn head(profile: &Profile, currency: Currency) -> String {
    let Profile { facts, .. } = profile;
    let changes = counted(profile.seq, "change");
    let id = clean(&profile.customer_id);
    let mut text = format!("customer {id}, {changes}, as of {}\n", instant(profile.as_of.0));
    if let Some(moved_from) = &profile.moved_from {
        text += &format!("asked for as {}, which is this customer now\n", clean(moved_from));
    }
    text += &match facts.last_order_at {
        Some(Time(last)) => {
            let (orders, net) = (counted(facts.orders, "order"), money(facts.net_minor, currency));
            format!("{orders}, {net} net, the last on {}\n", instant(last))
        }
        None => "no order that counts\n".to_owned(),
    };
    if let Some(Time(expected)) = facts.expected_date_of_next_order {
        text += &format!("next order expected by {}\n", instant(expected));
    }
    if facts.running_subscriptions > 0 {
        let running = counted(facts.running_subscriptions.into(), "subscription");
        text += &format!("{running} running\n");
    }
    if facts.financial_value_minor != facts.net_minor {
        let value = money(facts.financial_value_minor, currency);
        text += &format!("{value} financial value, after costs\n");
    }
    if let Some(scores) = &profile.scores {
        text += &format!("RFM scores {} {} {}, 5 is best\n", scores.r, scores.f, scores.m);
    }
    text
}

fn section(
    name: &str,
    dimension: &Dimension,
    next: Option<&Next>,
    at: Timestamp,
    currency: Currency,
) -> String {
    let mut text = format!("\n{}: {}\n", clean(name), clean(&dimension.value));
    let mut line = |label: &str, said: &str| text += &format!("  {label:8} {said}\n");
    match (dimension.since, &dimension.cause) {
        (Some(Time(since)), Some(kind)) => {
            let ago = span(at.since(since));
            line("since", &format!("{}, {ago} ago, {}", instant(since), clean(cause(kind))));
        }
        (Some(Time(since)), None) => {
            let ago = span(at.since(since));
            line("since", &format!("{}, {ago} ago, no change of it told", instant(since)));
        }
        (None, _) => {}
    }
    if dimension.raw != dimension.value {
        line("computed", &format!("{} at this instant", clean(&dimension.raw)));
    }
    let mut label = "because";
    for said in dimension.evidence.iter().filter_map(|it| evidence(it, currency)) {
        line(label, &said);
        label = "";
    }
    if let Some(pending) = &dimension.pending {
        let value = clean(&pending.value);
        match pending.until {
            Some(Time(until)) => {
                let left = span(until.since(at));
                line("waits", &format!("{value}, until {}, for {left} more", instant(until)));
            }
            None => {
                line("waits", &format!("{value}, for the customer's consent or the next round"))
            }
        }
    }
    if let Some(Next { at: Time(then), value, .. }) = next {
        let left = span(then.since(at));
        let value = clean(value);
        line("next", &format!("{value} on {}, in {left}, if nothing happens", instant(*then)));
    }
    text
}

fn foot(profile: &Profile) -> String {
    let listed = |pairs: Vec<String>| match pairs.len() {
        0 => "none".to_owned(),
        _ => pairs.join(", "),
    };
    let consent = profile.consent.0.iter().map(|(purpose, given)| {
        format!("{} {}", clean(purpose), if *given { "given" } else { "refused" })
    });
    let traits =
        profile.traits.0.iter().map(|(name, value)| format!("{} = {}", clean(name), clean(value)));
    let holdout = &profile.holdout;
    let treated = if holdout.treated { "treated" } else { "held out" };
    format!(
        "\nconsent: {}\ntraits: {}\nhold-out: bucket {}, {treated}\n",
        listed(consent.collect()),
        listed(traits.collect()),
        holdout.bucket
    )
}

/// `1 order`, `2 orders`.
fn counted(count: u64, of: &str) -> String {
    match count {
        0 => format!("no {of}"),
        1 => format!("1 {of}"),
        count => format!("{count} {of}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_is_told_by_dimension() {
        let profile: Profile = serde_json::from_str(include_str!("sheet_test.json")).unwrap();
        insta::assert_snapshot!(sheet(&profile, Currency::parse("EUR").unwrap()), @r"
        customer c-\u{1b}[1m1, 12 changes, as of 2026-06-01 00:00 UTC
        3 orders, 179.70 EUR net, the last on 2026-02-01 09:30 UTC
        next order expected by 2026-04-03 03:30 UTC
        1 subscription running
        154.70 EUR financial value, after costs
        RFM scores 3 3 3, 5 is best

        rfm: at_risk
          since    2026-05-02 09:30 UTC, 29 days ago, because time passed
          because  days since the last order that counts: 119.6, more than 90
          next     lost on 2026-06-16 09:30 UTC, in 15 days, if nothing happens

        value_mode: creating
          since    2026-05-20 12:00 UTC, 11 days ago, by an event
          computed expanding at this instant
          because  net spend of the present window: 179.70 EUR, more than 90.00 EUR
                   new category: bags
          waits    expanding, until 2026-06-19 12:00 UTC, for 18 days more

        satisfaction: unknown
          since    2026-01-03 18:00 UTC, 148 days ago, no change of it told
          because  days since the last NPS answer: not known

        audience:win-back: out
          since    2026-01-03 18:00 UTC, 148 days ago, no change of it told
          computed in at this instant
          because  rfm: at_risk
          waits    in, for the customer's consent or the next round

        consent: marketing:email given, profiling refused
        traits: region = EU, plan = basic
        hold-out: bucket 42, treated
        ");
    }
}
