//! Engagement events as the domain sees them: decoded, validated, borrowed from the record.
//!
//! An [`Event`] that exists is well formed; refusing bad input is the work of `codec`, and the
//! reasons for it are in `refusal.rs`. Next: `apply.rs`, what an event does to a customer.

use crate::domain::money::Money;
use crate::domain::time::Timestamp;
use std::borrow::Cow;

/// Text of an event, borrowed from the record where its encoding allows.
pub type Text<'a> = Cow<'a, str>;

/// One purchase or interaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Event<'a> {
    /// Unique id of the event, 1 to 256 bytes.
    pub event_id: Text<'a>,
    /// Whom it tells of; absent only when `anonymous_id` is there.
    pub customer_id: Option<Text<'a>>,
    /// The visitor, before or beside the customer id.
    pub anonymous_id: Option<Text<'a>>,
    /// The account (B2B) that the customer belongs to.
    pub account_id: Option<Text<'a>>,
    /// Event time, as the producer wrote it.
    pub occurred_at: Timestamp,
    /// Where the event was made.
    pub source: Option<Text<'a>>,
    /// What happened.
    pub body: Body<'a>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Body<'a> {
    /// A record of the `purchases` topic.
    Purchase(Purchase<'a>),
    /// A record of the `interactions` topic.
    Interaction(Interaction<'a>),
}

/// Kinds of the `purchases` topic.
#[derive(Clone, Debug, PartialEq)]
pub enum Purchase<'a> {
    /// An order was placed.
    OrderCompleted {
        /// Order id.
        order_id: Text<'a>,
        /// After discount, before tax and shipping.
        amount: Money,
        /// Sales channel.
        channel: Option<Text<'a>>,
        /// Coupon code.
        coupon: Option<Text<'a>>,
        /// Order lines.
        items: Vec<Item<'a>>,
    },
    /// Replaces the amount of an order.
    OrderUpdated {
        /// Order id.
        order_id: Text<'a>,
        /// The new amount.
        amount: Money,
    },
    /// The order never counted.
    OrderCancelled {
        /// Order id.
        order_id: Text<'a>,
    },
    /// Money back, in part or (without an amount) whole.
    OrderRefunded {
        /// Order id.
        order_id: Text<'a>,
        /// Refund id; the event id where the record has none.
        refund_id: Text<'a>,
        /// The refunded part; `None` = all of it.
        amount: Option<Money>,
    },
    /// Contact after the order; no money.
    OrderPaid {
        /// Order id.
        order_id: Text<'a>,
    },
    /// Contact after the order; no money.
    OrderFulfilled {
        /// Order id.
        order_id: Text<'a>,
    },
    /// The first term: an order.
    SubscriptionStarted(Term<'a>),
    /// A further term: an order.
    SubscriptionRenewed(Term<'a>),
    /// Plan and amount of later terms; no order. `order_id` is not used.
    SubscriptionChanged(Term<'a>),
    /// No renewal; runs to the end of the paid term.
    SubscriptionCancelled {
        /// Subscription id.
        subscription_id: Text<'a>,
    },
    /// Stops now.
    SubscriptionEnded {
        /// Subscription id.
        subscription_id: Text<'a>,
    },
}

/// A term of a subscription.
#[derive(Clone, Debug, PartialEq)]
pub struct Term<'a> {
    /// Subscription id.
    pub subscription_id: Text<'a>,
    /// Order id of the term; absent = `<subscription_id>@<UTC day>`.
    pub order_id: Option<Text<'a>>,
    /// Plan; a renewal without one keeps the plan.
    pub plan: Option<Text<'a>>,
    /// Price of a term; a renewal without one takes the latest price set before it.
    pub amount: Option<Money>,
    /// Length of a term in days; a renewal without one keeps the length.
    pub term_days: Option<u32>,
}

/// An order line.
#[derive(Clone, Debug, PartialEq)]
pub struct Item<'a> {
    /// Article.
    pub sku: Option<Text<'a>>,
    /// Category of the article.
    pub category: Option<Text<'a>>,
    /// Pieces.
    pub quantity: Option<i64>,
    /// Amount of the line in minor units of the order's currency.
    pub amount_minor: Option<i64>,
}

/// Kinds of the `interactions` topic.
#[derive(Clone, Debug, PartialEq)]
pub enum Interaction<'a> {
    /// Something the customer did on a page, in an app, with a product.
    Visit {
        /// Which.
        kind: VisitKind,
        /// Article.
        sku: Option<Text<'a>>,
        /// Category.
        category: Option<Text<'a>>,
        /// Channel.
        channel: Option<Text<'a>>,
    },
    /// A message to the customer, or their answer to it.
    Message {
        /// Which.
        kind: MessageKind,
        /// Campaign.
        campaign: Option<Text<'a>>,
        /// Channel, such as `email`.
        channel: Option<Text<'a>>,
    },
    /// The customer asked for help.
    SupportContacted {
        /// Minutes spent.
        minutes: Option<u32>,
        /// Channel.
        channel: Option<Text<'a>>,
    },
    /// A review with 1 to 5 stars.
    ProductReviewed {
        /// 1 to 5.
        score: u8,
        /// Article.
        sku: Option<Text<'a>>,
    },
    /// Recommended in public.
    Shared {
        /// 1 to 5, where given.
        score: Option<u8>,
        /// Article.
        sku: Option<Text<'a>>,
    },
    /// The customer invited somebody.
    ReferralSent {
        /// Who was invited.
        referred_customer_id: Option<Text<'a>>,
    },
    /// Somebody accepted the customer's invitation.
    ReferralAccepted {
        /// Who accepted.
        referred_customer_id: Option<Text<'a>>,
    },
    /// One answer.
    SurveyAnswered {
        /// Which question.
        survey: Survey<'a>,
        /// The score; absent only for `purchase_reason`.
        score: Option<u8>,
        /// In the customer's words.
        reason: Option<Text<'a>>,
    },
    /// Money spent on the customer.
    CostRecorded {
        /// What for.
        cost: CostKind,
        /// How much.
        amount: Money,
    },
    /// MEDDIC: a scored element, or the outcome.
    QualificationUpdated(Qualification<'a>),
    /// Traits of the customer.
    ProfileUpdated {
        /// Name to value, in the order of the record.
        traits: Vec<(Text<'a>, Text<'a>)>,
    },
    /// `from_customer_id` moves into the event's customer.
    CustomersMerged {
        /// Whose state moves.
        from_customer_id: Text<'a>,
    },
    /// Permissions given and taken back.
    ConsentChanged {
        /// Purpose to permission, in the order of the record.
        purposes: Vec<(Text<'a>, bool)>,
    },
    /// The customer is to be forgotten.
    EraseRequested,
    /// A kind that this version does not know: counted, weight 0.
    Unknown {
        /// The name in the record.
        kind: Text<'a>,
    },
}

/// What a customer does on a page, in an app, with a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the records")]
pub enum VisitKind {
    PageViewed,
    ProductViewed,
    ProductsSearched,
    ProductAdded,
    ProductRemoved,
    CartViewed,
    CheckoutStarted,
    ReviewRead,
    SignedUp,
    LoggedIn,
    UsageRecorded,
}

/// A message to the customer, or their answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the records")]
pub enum MessageKind {
    Sent,
    Delivered,
    Opened,
    Clicked,
    Unsubscribed,
}

/// A survey question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Survey<'a> {
    /// Net promoter score, 0 to 10.
    Nps,
    /// Satisfaction, 1 to 5.
    Csat,
    /// Effort, 1 to 7.
    Ces,
    /// Attention, 1 to 5.
    Attention,
    /// Brand, 1 to 5.
    Brand,
    /// A perceived benefit, 0 to 10.
    Benefit(Text<'a>),
    /// A perceived cost, 0 to 10.
    Cost(Text<'a>),
    /// Why they bought; no score needed.
    PurchaseReason,
}

/// What money was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the records")]
pub enum CostKind {
    Marketing,
    Service,
    Acquisition,
}

/// A MEDDIC update.
#[derive(Clone, Debug, PartialEq)]
pub enum Qualification<'a> {
    /// One element, scored 0 to 3.
    Element {
        /// Which of the six.
        element: MeddicElement,
        /// 0 to 3.
        score: u8,
        /// What the score rests on.
        evidence: Option<Text<'a>>,
    },
    /// How it ended.
    Outcome(Outcome),
}

/// The six elements of MEDDIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the method")]
pub enum MeddicElement {
    Metrics,
    EconomicBuyer,
    DecisionCriteria,
    DecisionProcess,
    IdentifyPain,
    Champion,
}

/// How a qualification ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the records")]
pub enum Outcome {
    Won,
    Lost,
    Disqualified,
}

impl Event<'_> {
    /// The id under which the subject's state is kept: the customer id, or `anon:<id>`.
    #[must_use]
    pub fn subject_id(&self) -> Cow<'_, str> {
        match (&self.customer_id, &self.anonymous_id) {
            (Some(customer_id), _) => Cow::Borrowed(customer_id),
            (None, Some(anonymous_id)) => {
                Cow::Owned(format!("{}{anonymous_id}", crate::domain::id::ANONYMOUS_PREFIX))
            }
            (None, None) => Cow::Borrowed(""),
        }
    }

    /// Whether it places an order: a term of a subscription is one too.
    #[must_use]
    pub const fn is_order(&self) -> bool {
        matches!(
            self.body,
            Body::Purchase(
                Purchase::OrderCompleted { .. }
                    | Purchase::SubscriptionStarted(_)
                    | Purchase::SubscriptionRenewed(_)
            )
        )
    }

    /// Whether it is about a subscription.
    #[must_use]
    pub const fn is_of_subscription(&self) -> bool {
        matches!(
            self.body,
            Body::Purchase(
                Purchase::SubscriptionStarted(_)
                    | Purchase::SubscriptionRenewed(_)
                    | Purchase::SubscriptionChanged(_)
                    | Purchase::SubscriptionCancelled { .. }
                    | Purchase::SubscriptionEnded { .. }
            )
        )
    }

    /// The kind as records name it; an unknown interaction is `unknown` (metrics need a bound).
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.body {
            Body::Purchase(purchase) => purchase.kind(),
            Body::Interaction(interaction) => interaction.kind(),
        }
    }
}

impl Purchase<'_> {
    /// The kind as records name it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::OrderCompleted { .. } => "order_completed",
            Self::OrderUpdated { .. } => "order_updated",
            Self::OrderCancelled { .. } => "order_cancelled",
            Self::OrderRefunded { .. } => "order_refunded",
            Self::OrderPaid { .. } => "order_paid",
            Self::OrderFulfilled { .. } => "order_fulfilled",
            Self::SubscriptionStarted(_) => "subscription_started",
            Self::SubscriptionRenewed(_) => "subscription_renewed",
            Self::SubscriptionChanged(_) => "subscription_changed",
            Self::SubscriptionCancelled { .. } => "subscription_cancelled",
            Self::SubscriptionEnded { .. } => "subscription_ended",
        }
    }
}

impl Interaction<'_> {
    /// The kind as records name it; `unknown` for one that this version does not know.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Visit { kind, .. } => match kind {
                VisitKind::PageViewed => "page_viewed",
                VisitKind::ProductViewed => "product_viewed",
                VisitKind::ProductsSearched => "products_searched",
                VisitKind::ProductAdded => "product_added",
                VisitKind::ProductRemoved => "product_removed",
                VisitKind::CartViewed => "cart_viewed",
                VisitKind::CheckoutStarted => "checkout_started",
                VisitKind::ReviewRead => "review_read",
                VisitKind::SignedUp => "signed_up",
                VisitKind::LoggedIn => "logged_in",
                VisitKind::UsageRecorded => "usage_recorded",
            },
            Self::Message { kind, .. } => match kind {
                MessageKind::Sent => "message_sent",
                MessageKind::Delivered => "message_delivered",
                MessageKind::Opened => "message_opened",
                MessageKind::Clicked => "message_clicked",
                MessageKind::Unsubscribed => "unsubscribed",
            },
            Self::SupportContacted { .. } => "support_contacted",
            Self::ProductReviewed { .. } => "product_reviewed",
            Self::Shared { .. } => "shared",
            Self::ReferralSent { .. } => "referral_sent",
            Self::ReferralAccepted { .. } => "referral_accepted",
            Self::SurveyAnswered { .. } => "survey_answered",
            Self::CostRecorded { .. } => "cost_recorded",
            Self::QualificationUpdated(_) => "qualification_updated",
            Self::ProfileUpdated { .. } => "profile_updated",
            Self::CustomersMerged { .. } => "customers_merged",
            Self::ConsentChanged { .. } => "consent_changed",
            Self::EraseRequested => "erase_requested",
            Self::Unknown { .. } => "unknown",
        }
    }
}
