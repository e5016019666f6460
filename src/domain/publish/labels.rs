//! The words of a locale: phrases of summaries, and names of values for people.
//!
//! Built by `config`; ids stay what they are. Next: `summary.rs`, which speaks.

/// A phrase of a summary; what stands in braces in it is filled in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are those of `config/labels/en.toml`")]
pub enum Phrase {
    Sentence,
    Closed,
    Moved,
    FirstOrder,
    FirstCountingOrder,
    OneOrder,
    Orders,
    NoCountingOrder,
    OrderedAgain,
    LastOrder,
    NoOrder,
    NoOrderUsualGap,
    OrdersLeftWindow,
    OrdersInWindow,
    WorthInWindow,
    Promoter,
    Passive,
    Detractor,
    WithReason,
    AnswerExpired,
    Referral,
    Praise,
    Interest,
    NoInterest,
    SubscriptionRuns,
    NoSubscription,
    NoNewSign,
    NoLonger,
    SpentAfter,
    Spent,
    NewCategory,
    HigherPlan,
    FinancialValue,
    EngagementScore,
    MeddicSum,
    ElementStale,
    Outcome,
    ContactsCome,
    ChampionLost,
    Compared,
    Event,
    LateEvent,
    Merged,
    Refund,
    Consent,
    Baseline,
    Rules,
    Erased,
    NothingHappened,
}

impl Phrase {
    /// All, with the names that they have in files.
    pub const ALL: [(Self, &'static str); 49] = [
        (Self::Sentence, "sentence"),
        (Self::Closed, "closed"),
        (Self::Moved, "moved"),
        (Self::FirstOrder, "first_order"),
        (Self::FirstCountingOrder, "first_counting_order"),
        (Self::OneOrder, "one_order"),
        (Self::Orders, "orders"),
        (Self::NoCountingOrder, "no_counting_order"),
        (Self::OrderedAgain, "ordered_again"),
        (Self::LastOrder, "last_order"),
        (Self::NoOrder, "no_order"),
        (Self::NoOrderUsualGap, "no_order_usual_gap"),
        (Self::OrdersLeftWindow, "orders_left_window"),
        (Self::OrdersInWindow, "orders_in_window"),
        (Self::WorthInWindow, "worth_in_window"),
        (Self::Promoter, "promoter"),
        (Self::Passive, "passive"),
        (Self::Detractor, "detractor"),
        (Self::WithReason, "with_reason"),
        (Self::AnswerExpired, "answer_expired"),
        (Self::Referral, "referral"),
        (Self::Praise, "praise"),
        (Self::Interest, "interest"),
        (Self::NoInterest, "no_interest"),
        (Self::SubscriptionRuns, "subscription_runs"),
        (Self::NoSubscription, "no_subscription"),
        (Self::NoNewSign, "no_new_sign"),
        (Self::NoLonger, "no_longer"),
        (Self::SpentAfter, "spent_after"),
        (Self::Spent, "spent"),
        (Self::NewCategory, "new_category"),
        (Self::HigherPlan, "higher_plan"),
        (Self::FinancialValue, "financial_value"),
        (Self::EngagementScore, "engagement_score"),
        (Self::MeddicSum, "meddic_sum"),
        (Self::ElementStale, "element_stale"),
        (Self::Outcome, "outcome"),
        (Self::ContactsCome, "contacts_come"),
        (Self::ChampionLost, "champion_lost"),
        (Self::Compared, "compared"),
        (Self::Event, "event"),
        (Self::LateEvent, "late_event"),
        (Self::Merged, "merged"),
        (Self::Refund, "refund"),
        (Self::Consent, "consent"),
        (Self::Baseline, "baseline"),
        (Self::Rules, "rules"),
        (Self::Erased, "erased"),
        (Self::NothingHappened, "nothing_happened"),
    ];

    /// The phrase with a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(phrase, _)| *phrase)
    }
}

/// The words of a locale.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Labels {
    /// Between major and minor units of an amount.
    pub decimal: String,
    /// By the place in [`Phrase::ALL`].
    pub phrases: Vec<String>,
    /// Names of values for people, by `dimension.value` or `value`.
    pub values: Vec<(String, String)>,
}

impl Labels {
    /// A phrase with what stands in its braces filled in; what is not given stays.
    #[must_use]
    pub fn say(&self, phrase: Phrase, given: &[(&str, &str)]) -> String {
        let mut text = String::with_capacity(64);
        let mut rest = self.phrases.get(phrase as usize).map_or("", String::as_str);
        while let Some((before, behind)) = rest.split_once('{') {
            text.push_str(before);
            let Some((name, after)) = behind.split_once('}') else {
                text.push('{');
                rest = behind;
                continue;
            };
            match given.iter().find(|(known, _)| *known == name) {
                Some((_, value)) => text.push_str(value),
                None => text.extend(["{", name, "}"]),
            }
            rest = after;
        }
        text.push_str(rest);
        text
    }

    /// The name of a value for people.
    #[must_use]
    pub fn value(&self, dimension: &str, value: &str) -> String {
        let qualified = self.values.iter().find(|(name, _)| {
            name.split_once('.').is_some_and(|(of, name)| of == dimension && name == value)
        });
        let named = qualified.or_else(|| self.values.iter().find(|(name, _)| name == value));
        named.map_or_else(|| value.replace('_', " "), |(_, label)| label.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_stand_in_their_places_and_are_filled_in() {
        for (place, (phrase, _)) in Phrase::ALL.into_iter().enumerate() {
            assert_eq!(phrase as usize, place);
        }
        let phrases = vec!["{what}: now {value} {nobody} {".to_owned()];
        let values = vec![("rfm.lost".to_owned(), "gone".to_owned())];
        let labels = Labels { decimal: ".".to_owned(), phrases, values };
        let given = [("what", "no order"), ("value", "at risk")];
        assert_eq!(labels.say(Phrase::Sentence, &given), "no order: now at risk {nobody} {");
        assert_eq!(labels.value("rfm", "lost"), "gone");
        assert_eq!(labels.value("activity", "at_risk"), "at risk");
    }
}
