//! The kinds of events that `engagement` may weigh.
//!
//! Weights are in the rules. Next: `interactions.rs`, which scores them.

use crate::domain::event::{Interaction, MessageKind, VisitKind};

/// A kind of event that may be scored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[expect(missing_docs, reason = "the names are those of the records")]
pub enum ScoredKind {
    PageViewed = 0,
    ProductViewed = 1,
    ProductsSearched = 2,
    UsageRecorded = 3,
    LoggedIn = 4,
    ProductAdded = 5,
    CartViewed = 6,
    CheckoutStarted = 7,
    ProductRemoved = 8,
    ReviewRead = 9,
    SignedUp = 10,
    MessageSent = 11,
    MessageDelivered = 12,
    MessageOpened = 13,
    MessageClicked = 14,
    SupportContacted = 15,
    ProductReviewed = 16,
    Shared = 17,
    ReferralSent = 18,
    ReferralAccepted = 19,
    SurveyAnswered = 20,
    OrderCompleted = 21,
}

impl ScoredKind {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All, by the number that is stored.
    pub const ALL: [Self; 22] = [
        Self::PageViewed,
        Self::ProductViewed,
        Self::ProductsSearched,
        Self::UsageRecorded,
        Self::LoggedIn,
        Self::ProductAdded,
        Self::CartViewed,
        Self::CheckoutStarted,
        Self::ProductRemoved,
        Self::ReviewRead,
        Self::SignedUp,
        Self::MessageSent,
        Self::MessageDelivered,
        Self::MessageOpened,
        Self::MessageClicked,
        Self::SupportContacted,
        Self::ProductReviewed,
        Self::Shared,
        Self::ReferralSent,
        Self::ReferralAccepted,
        Self::SurveyAnswered,
        Self::OrderCompleted,
    ];

    /// Place in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The kind as records name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PageViewed => "page_viewed",
            Self::ProductViewed => "product_viewed",
            Self::ProductsSearched => "products_searched",
            Self::UsageRecorded => "usage_recorded",
            Self::LoggedIn => "logged_in",
            Self::ProductAdded => "product_added",
            Self::CartViewed => "cart_viewed",
            Self::CheckoutStarted => "checkout_started",
            Self::ProductRemoved => "product_removed",
            Self::ReviewRead => "review_read",
            Self::SignedUp => "signed_up",
            Self::MessageSent => "message_sent",
            Self::MessageDelivered => "message_delivered",
            Self::MessageOpened => "message_opened",
            Self::MessageClicked => "message_clicked",
            Self::SupportContacted => "support_contacted",
            Self::ProductReviewed => "product_reviewed",
            Self::Shared => "shared",
            Self::ReferralSent => "referral_sent",
            Self::ReferralAccepted => "referral_accepted",
            Self::SurveyAnswered => "survey_answered",
            Self::OrderCompleted => "order_completed",
        }
    }

    /// The kind of an interaction; `None` for those that say nothing of engagement.
    #[must_use]
    pub const fn of(interaction: &Interaction<'_>) -> Option<Self> {
        Some(match interaction {
            Interaction::Visit { kind, .. } => match kind {
                VisitKind::PageViewed => Self::PageViewed,
                VisitKind::ProductViewed => Self::ProductViewed,
                VisitKind::ProductsSearched => Self::ProductsSearched,
                VisitKind::ProductAdded => Self::ProductAdded,
                VisitKind::ProductRemoved => Self::ProductRemoved,
                VisitKind::CartViewed => Self::CartViewed,
                VisitKind::CheckoutStarted => Self::CheckoutStarted,
                VisitKind::ReviewRead => Self::ReviewRead,
                VisitKind::SignedUp => Self::SignedUp,
                VisitKind::LoggedIn => Self::LoggedIn,
                VisitKind::UsageRecorded => Self::UsageRecorded,
            },
            Interaction::Message { kind, .. } => match kind {
                MessageKind::Sent => Self::MessageSent,
                MessageKind::Delivered => Self::MessageDelivered,
                MessageKind::Opened => Self::MessageOpened,
                MessageKind::Clicked => Self::MessageClicked,
                MessageKind::Unsubscribed => return None,
            },
            Interaction::SupportContacted { .. } => Self::SupportContacted,
            Interaction::ProductReviewed { .. } => Self::ProductReviewed,
            Interaction::Shared { .. } => Self::Shared,
            Interaction::ReferralSent { .. } => Self::ReferralSent,
            Interaction::ReferralAccepted { .. } => Self::ReferralAccepted,
            Interaction::SurveyAnswered { .. } => Self::SurveyAnswered,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_in_its_place() {
        for (place, kind) in ScoredKind::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), place, "{}", kind.name());
        }
    }
}
