//! The kinds of events by name, and the one that a misspelled name may mean.
//!
//! Never decides what an event is; `validate` does. Next: `validate/mod.rs`.

/// Every kind of purchase.
pub const PURCHASES: [&str; 11] = [
    "order_completed",
    "order_updated",
    "order_cancelled",
    "order_refunded",
    "order_paid",
    "order_fulfilled",
    "subscription_started",
    "subscription_renewed",
    "subscription_changed",
    "subscription_cancelled",
    "subscription_ended",
];

/// Every kind of interaction.
pub const INTERACTIONS: [&str; 28] = [
    "page_viewed",
    "product_viewed",
    "products_searched",
    "product_added",
    "product_removed",
    "cart_viewed",
    "checkout_started",
    "review_read",
    "signed_up",
    "logged_in",
    "usage_recorded",
    "message_sent",
    "message_delivered",
    "message_opened",
    "message_clicked",
    "unsubscribed",
    "support_contacted",
    "product_reviewed",
    "shared",
    "referral_sent",
    "referral_accepted",
    "survey_answered",
    "cost_recorded",
    "qualification_updated",
    "profile_updated",
    "customers_merged",
    "consent_changed",
    "erase_requested",
];

/// The kind that was probably meant by a name that is none.
#[must_use]
pub fn did_you_mean(name: &str) -> Option<&'static str> {
    let plain: String = name.to_ascii_lowercase().replace(['-', ' ', '.'], "_");
    let limit = (name.len() / 3).clamp(1, 4);
    PURCHASES
        .iter()
        .chain(&INTERACTIONS)
        .map(|kind| (strsim::damerau_levenshtein(kind, &plain), *kind))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::validate::is_purchase_kind;

    /// The names that `Event::kind` may say.
    fn told() -> Vec<&'static str> {
        let source = include_str!("../domain/event.rs");
        let (_, kinds) = source.split_once("impl Purchase<'_>").expect("kinds of purchases");
        let arms = kinds.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next());
        arms.take_while(|name| *name != "unknown").collect()
    }

    #[test]
    fn every_kind_is_listed_once() {
        let listed = [PURCHASES.as_slice(), INTERACTIONS.as_slice()].concat();
        let (mut told, mut sorted) = (told(), listed);
        told.sort_unstable();
        sorted.sort_unstable();
        assert_eq!(sorted, told);
        assert!(PURCHASES.iter().all(|kind| is_purchase_kind(kind)));
        assert!(!INTERACTIONS.iter().any(|kind| is_purchase_kind(kind)));
    }

    #[test]
    fn a_misspelled_kind_is_recognised_and_another_one_is_not() {
        for (name, kind) in [
            ("order_compelted", Some("order_completed")),
            ("Order-Completed", Some("order_completed")),
            ("product_view", Some("product_viewed")),
            ("nps_answered", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(did_you_mean(name), kind, "{name}");
        }
    }
}
