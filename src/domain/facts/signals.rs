//! What interactions leave behind: signs of consideration and of advocacy.
//!
//! Every field is a maximum over a set of events, so arrival order does not matter.
//! Next: `lifecycle.rs`, which reads them.

use crate::domain::event::{Interaction, VisitKind};
use crate::domain::facts::order::Stamp;
use crate::domain::time::Timestamp;

/// Product views that together are a sign of consideration.
pub const VIEWS: usize = 3;

/// Signs of consideration and advocacy; [`Timestamp::MIN`] stands for never.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signals {
    /// The latest product views, latest first.
    pub product_views: [Timestamp; VIEWS],
    /// The latest `product_added`, `cart_viewed`, `checkout_started` or `review_read`.
    pub considered_at: Timestamp,
    /// The latest accepted referral.
    pub referral_at: Timestamp,
    /// The latest review.
    pub review: Option<Scored>,
    /// The latest review of 4 or 5.
    pub good_review_at: Timestamp,
    /// The latest share.
    pub shared_at: Timestamp,
}

/// The latest of some scored events.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Scored {
    /// When.
    pub stamp: Stamp,
    /// How.
    pub score: u8,
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            product_views: [Timestamp::MIN; VIEWS],
            considered_at: Timestamp::MIN,
            referral_at: Timestamp::MIN,
            review: None,
            good_review_at: Timestamp::MIN,
            shared_at: Timestamp::MIN,
        }
    }
}

impl Signals {
    /// Whether an interaction leaves a sign at all.
    #[must_use]
    pub const fn reads(interaction: &Interaction<'_>) -> bool {
        match interaction {
            Interaction::Visit { kind, .. } => matches!(
                kind,
                VisitKind::ProductViewed
                    | VisitKind::ProductAdded
                    | VisitKind::CartViewed
                    | VisitKind::CheckoutStarted
                    | VisitKind::ReviewRead
            ),
            Interaction::ProductReviewed { .. }
            | Interaction::Shared { .. }
            | Interaction::ReferralAccepted { .. } => true,
            _ => false,
        }
    }

    /// Takes an interaction in.
    pub fn apply(&mut self, interaction: &Interaction<'_>, stamp: Stamp) {
        let at = stamp.at;
        match interaction {
            Interaction::Visit { kind: VisitKind::ProductViewed, .. } => self.view(at),
            Interaction::Visit { .. } => self.considered_at = self.considered_at.max(at),
            Interaction::ProductReviewed { score, .. } => {
                self.review = self.review.max(Some(Scored { stamp, score: *score }));
                if *score >= 4 {
                    self.good_review_at = self.good_review_at.max(at);
                }
            }
            Interaction::Shared { .. } => self.shared_at = self.shared_at.max(at),
            Interaction::ReferralAccepted { .. } => self.referral_at = self.referral_at.max(at),
            _ => {}
        }
    }

    /// Takes over the signs that another customer gave.
    pub fn absorb(&mut self, source: &Self) {
        source.product_views.into_iter().for_each(|at| self.view(at));
        self.considered_at = self.considered_at.max(source.considered_at);
        self.referral_at = self.referral_at.max(source.referral_at);
        self.review = self.review.max(source.review);
        self.good_review_at = self.good_review_at.max(source.good_review_at);
        self.shared_at = self.shared_at.max(source.shared_at);
    }

    fn view(&mut self, at: Timestamp) {
        let place = self.product_views.partition_point(|seen| *seen >= at);
        if place < VIEWS {
            self.product_views[place..].rotate_right(1);
            self.product_views[place] = at;
        }
    }

    /// When the sign of consideration that lasts longest was given: the third latest product view
    /// or a single stronger sign.
    #[must_use]
    pub fn consideration_at(&self) -> Timestamp {
        self.considered_at.max(self.product_views[VIEWS - 1])
    }

    /// When the customer last praised us: a good review or a share.
    #[must_use]
    pub fn praised_at(&self) -> Timestamp {
        self.good_review_at.max(self.shared_at)
    }
}
