//! The one sentence of a change: a pure function of it and of the words of a locale.
//!
//! Says what happened and what it means, never more than the change itself knows.
//! Next: `labels.rs`, the words.

use crate::domain::change::{CauseKind, Change, Direction, Evidence, Number};
use crate::domain::money::Currency;
use crate::domain::publish::labels::{Labels, Phrase};
use crate::domain::rules::Rules;

/// The sentence, such as `no order for 180 days, usual gap 61: now at risk`.
#[must_use]
pub fn summary(change: &Change, rules: &Rules) -> String {
    let (labels, currency) = (&rules.labels, rules.rates.base());
    // Whoever was there before, or has gaps between orders, had an order before the latest.
    let ordered_before = change.entry > 1 || change.facts.average_gap_days.is_some();
    let speaker = Speaker { change, ordered_before, labels, currency };
    let labels = speaker.labels;
    let what = match change.cause.kind {
        CauseKind::Timer | CauseKind::Dwell => speaker.silence(),
        CauseKind::Refund => labels.say(Phrase::Refund, &[]),
        CauseKind::LateEvent => labels.say(Phrase::LateEvent, &[("what", &speaker.occasion())]),
        CauseKind::Merge => labels.say(Phrase::Merged, &[("what", &speaker.occasion())]),
        CauseKind::Baseline => labels.say(Phrase::Baseline, &[]),
        CauseKind::Rules => labels.say(Phrase::Rules, &[]),
        CauseKind::Consent => labels.say(Phrase::Consent, &[]),
        CauseKind::Erase => labels.say(Phrase::Erased, &[]),
        _ => speaker.occasion(),
    };
    match &change.current {
        Some(current) => {
            let value = labels.value(&change.dimension, current);
            labels.say(Phrase::Sentence, &[("what", &what), ("value", &value)])
        }
        None if change.cause.kind == CauseKind::Merge => labels.say(Phrase::Moved, &[]),
        None => labels.say(Phrase::Closed, &[("what", &what)]),
    }
}

struct Speaker<'a> {
    change: &'a Change,
    ordered_before: bool,
    labels: &'a Labels,
    currency: Currency,
}

impl Speaker<'_> {
    fn say(&self, phrase: Phrase, given: &[(&str, &str)]) -> String {
        self.labels.say(phrase, given)
    }

    /// What the passing of time brought: silence, or what an event had brought before.
    fn silence(&self) -> String {
        let Some(sign) = self.change.evidence.first() else {
            return self.say(Phrase::NothingHappened, &[]);
        };
        let by_time = self.change.cause.kind == CauseKind::Timer;
        match (sign.name, sign.op) {
            ("days_since_consideration", ">") => self.days(Phrase::NoInterest),
            ("days_since_nps", ">") => self.days(Phrase::AnswerExpired),
            ("days_since_needed_element", ">") => self.days(Phrase::ElementStale),
            ("running_subscriptions", "<") => self.say(Phrase::NoSubscription, &[]),
            ("recency_days" | "days_since_order", _) if self.is_silence(sign) => {
                self.no_order(&sign.after)
            }
            ("frequency" | "monetary_minor", _) if by_time => {
                self.say(Phrase::OrdersLeftWindow, &[])
            }
            ("nps" | "review", _) => self.occasion(),
            // The signs of advocacy are no more; what is left was there before.
            _ if self.leaves_advocacy() => {
                let previous = self.change.previous.as_deref().unwrap_or_default();
                let previous = self.labels.value(&self.change.dimension, previous);
                let phrase = if by_time { Phrase::NoNewSign } else { Phrase::NoLonger };
                self.say(phrase, &[("previous", &previous)])
            }
            _ => self.occasion(),
        }
    }

    /// Whether it is for want of orders that a number of days has come to what it is.
    fn is_silence(&self, sign: &Evidence) -> bool {
        let by_time = self.change.cause.kind == CauseKind::Timer;
        let worse = sign.op == ">" && self.change.direction != Direction::Up;
        sign.after != Number::None && (worse || by_time && sign.op != "<=")
    }

    /// Whether what differs came with another subject: it is no news of the moment.
    fn is_merge(&self) -> bool {
        self.change.cause.kind == CauseKind::Merge
    }

    /// Whether the value before says that the second order was still to come.
    fn is_beginning(&self) -> bool {
        matches!(self.change.previous.as_deref(), Some("prospect" | "creating"))
    }

    /// Whether a customer who is still live is an advocate no longer.
    fn leaves_advocacy(&self) -> bool {
        self.change.dimension == *"lifecycle"
            && self.change.previous.as_deref() == Some("advocacy")
            && matches!(self.change.current.as_deref(), Some("purchase" | "retention"))
    }

    /// A phrase about the days that the first number has come to.
    fn days(&self, phrase: Phrase) -> String {
        let days = self.change.evidence.first().map_or(String::new(), |it| whole(&it.threshold));
        self.say(phrase, &[("days", &days)])
    }

    fn no_order(&self, days: &Number) -> String {
        let days = whole(days);
        match self.change.facts.expected_gap_days {
            Some(gap) => {
                let given = [("days", days.as_str()), ("gap", &format!("{gap:.0}"))];
                self.say(Phrase::NoOrderUsualGap, &given)
            }
            None => self.say(Phrase::NoOrder, &[("days", &days)]),
        }
    }

    /// What an event brought.
    fn occasion(&self) -> String {
        let evidence = &self.change.evidence;
        let Some(sign) = evidence.first() else { return self.say(Phrase::Event, &[]) };
        let named = |name: &str| evidence.iter().find(|it| it.name == name);
        let after = whole(&sign.after);
        let about = |phrase: Phrase| self.say(phrase, &[("after", &after)]);
        match sign.name {
            // The order is of this moment, so that what was measured before it is the gap to it.
            "recency_days" | "days_since_order"
                if !self.is_merge()
                    && sign.op == "<="
                    && sign.after == Number::Integer(0)
                    && !matches!(sign.before, Number::None | Number::Integer(0)) =>
            {
                self.say(Phrase::OrderedAgain, &[("days", &whole(&sign.before))])
            }
            "recency_days" if sign.after == Number::None => self.say(Phrase::NoCountingOrder, &[]),
            "days_since_order"
                if !self.is_merge()
                    && sign.before == Number::None
                    && (!self.ordered_before || self.change.facts.orders > 0) =>
            {
                self.first_order()
            }
            "recency_days" | "days_since_order" => self.say(Phrase::LastOrder, &[("days", &after)]),
            "frequency" => about(Phrase::OrdersInWindow),
            "monetary_minor" => self.amounts(Phrase::WorthInWindow, &[("after", sign)]),
            "order_days" => self.say(Phrase::NoCountingOrder, &[]),
            "orders" => match (&sign.before, &sign.after) {
                (_, Number::Integer(0)) => self.say(Phrase::NoCountingOrder, &[]),
                (Number::Integer(0), Number::Integer(1)) if !self.is_merge() => self.first_order(),
                (_, Number::Integer(1)) => self.say(Phrase::OneOrder, &[]),
                (before, after) => match named("window_net_minor") {
                    // No order came: what the window holds decided.
                    Some(spent) if before == after && !self.is_beginning() => {
                        self.amounts(Phrase::Spent, &[("after", spent)])
                    }
                    _ => about(Phrase::Orders),
                },
            },
            "nps" => {
                let phrase = match sign.after {
                    Number::Integer(9..) => Phrase::Promoter,
                    Number::Integer(7..) => Phrase::Passive,
                    _ => Phrase::Detractor,
                };
                self.with_reason(about(phrase), named("nps_reason"))
            }
            "days_since_referral" => self.say(Phrase::Referral, &[]),
            "days_since_praise" => self.say(Phrase::Praise, &[]),
            "days_since_consideration" => self.say(Phrase::Interest, &[]),
            "running_subscriptions" if sign.op == "<" => self.say(Phrase::NoSubscription, &[]),
            "running_subscriptions" => self.say(Phrase::SubscriptionRuns, &[]),
            "window_net_minor" => self.spent(sign, named("window_before_net_minor"), &named),
            "financial_value_minor" => self.amounts(Phrase::FinancialValue, &[("after", sign)]),
            "engagement_score" => about(Phrase::EngagementScore),
            "meddic_sum" => about(Phrase::MeddicSum),
            "days_since_needed_element" => self.days(Phrase::ElementStale),
            "contacts_come" => {
                let lost = whole(&sign.threshold);
                self.say(Phrase::ContactsCome, &[("after", &after), ("lost", &lost)])
            }
            "champions" => self.say(Phrase::ChampionLost, &[]),
            "outcome" => self.say(Phrase::Outcome, &[("text", &whole(&sign.after))]),
            _ => {
                let name = sign.name.replace('_', " ");
                let after = if after.is_empty() { "-" } else { after.as_str() };
                self.say(Phrase::Compared, &[("name", &name), ("after", after)])
            }
        }
    }

    /// The first order that counts: those before were cancelled or refunded.
    fn first_order(&self) -> String {
        let phrase =
            if self.ordered_before { Phrase::FirstCountingOrder } else { Phrase::FirstOrder };
        self.say(phrase, &[])
    }

    fn spent<'e>(
        &self,
        now: &Evidence,
        before: Option<&Evidence>,
        named: &impl Fn(&str) -> Option<&'e Evidence>,
    ) -> String {
        let wider = |name: &str| named(name).filter(|_| !self.is_merge());
        if let Some(category) = wider("new_category") {
            return self.say(Phrase::NewCategory, &[("text", &whole(&category.after))]);
        }
        if let Some(plan) = wider("higher_plan") {
            return self.say(Phrase::HigherPlan, &[("text", &whole(&plan.after))]);
        }
        match before.filter(|before| before.after != Number::Integer(0)) {
            Some(before) => self.amounts(Phrase::SpentAfter, &[("after", now), ("before", before)]),
            None => self.amounts(Phrase::Spent, &[("after", now)]),
        }
    }

    fn with_reason(&self, what: String, reason: Option<&Evidence>) -> String {
        match reason.map(|reason| whole(&reason.after)) {
            Some(reason) => self.say(Phrase::WithReason, &[("what", &what), ("reason", &reason)]),
            None => what,
        }
    }

    /// A phrase with amounts of the base currency.
    fn amounts(&self, phrase: Phrase, given: &[(&str, &Evidence)]) -> String {
        let amounts: Vec<(&str, String)> =
            given.iter().map(|(name, sign)| (*name, self.amount(&sign.after))).collect();
        let given: Vec<(&str, &str)> =
            amounts.iter().map(|(name, amount)| (*name, amount.as_str())).collect();
        self.say(phrase, &given)
    }

    fn amount(&self, minor: &Number) -> String {
        let Number::Integer(minor) = minor else { return whole(minor) };
        let parts = 10_i64.pow(self.currency.exponent());
        let (sign, minor) = (if *minor < 0 { "-" } else { "" }, minor.unsigned_abs());
        let (major, rest) = (minor / parts.unsigned_abs(), minor % parts.unsigned_abs());
        let (decimal, code) = (&self.labels.decimal, self.currency.code());
        match self.currency.exponent() {
            0 => format!("{sign}{major} {code}"),
            places => {
                let width = usize::try_from(places).unwrap_or(2);
                format!("{sign}{major}{decimal}{rest:0width$} {code}")
            }
        }
    }
}

/// A number rounded down, so that none seems to have reached what it has not, or a text.
fn whole(number: &Number) -> String {
    match number {
        Number::Integer(number) => number.to_string(),
        Number::Decimal(number) => format!("{:.0}", number.floor()),
        Number::Text(text) => text.to_string(),
        Number::None => "?".to_owned(),
    }
}
