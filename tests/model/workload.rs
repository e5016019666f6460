//! Random histories: few customers, equal times, out of order, a millisecond around deadlines.
//!
//! Ids of events stay within eight bytes, so that ties are decided by the ids themselves.

use crate::fixture::{T0, cancelled, currency, event, refunded, renewed, started, term, updated};
use ebbflow::domain::event::{
    Body, CostKind, Event, Interaction, Item, MeddicElement, MessageKind, Outcome, Purchase,
    Qualification, Survey, Term, Text, VisitKind,
};
use ebbflow::domain::money::Money;
use ebbflow::domain::time::{DAY_MS, Timestamp};
use proptest::prelude::*;

/// Lengths of time that decide something, in days.
const LENGTHS: [i64; 14] = [0, 1, 7, 20, 30, 33, 60, 63, 90, 122, 150, 180, 365, 730];

fn money() -> impl Strategy<Value = Money> {
    let amount = prop_oneof![
        2 => Just(0),
        6 => 1_i64..200,
        6 => 200_i64..60_000,
        1 => Just(5_000),
        1 => Just(5_001),
    ];
    let code = prop_oneof![8 => Just("EUR"), 3 => Just("USD"), 1 => Just("JPY")];
    (amount, code).prop_map(|(amount_minor, code)| Money { amount_minor, currency: currency(code) })
}

fn category() -> impl Strategy<Value = Option<Text<'static>>> {
    prop_oneof![2 => Just(None), 1 => Just(Some("bags")), 1 => Just(Some("hats")),
        2 => Just(Some("shoes"))]
    .prop_map(|name| name.map(Into::into))
}

fn channel() -> impl Strategy<Value = Option<Text<'static>>> {
    prop_oneof![2 => Just(None), 2 => Just(Some("email")), 1 => Just(Some("letter")),
        1 => Just(Some("web"))]
    .prop_map(|name| name.map(Into::into))
}

fn order() -> impl Strategy<Value = Body<'static>> {
    let coupon = prop_oneof![3 => Just(None), 1 => Just(Some("SPRING")), 1 => Just(Some(""))];
    let items = proptest::collection::vec(category(), 0..3);
    (order_id(), money(), channel(), coupon, items).prop_map(
        |(order_id, amount, channel, coupon, categories)| {
            let item = |category| Item { sku: None, category, quantity: None, amount_minor: None };
            Body::Purchase(Purchase::OrderCompleted {
                order_id: order_id.into(),
                amount,
                channel,
                coupon: coupon.map(Into::into),
                items: categories.into_iter().map(item).collect(),
            })
        },
    )
}

fn visit() -> impl Strategy<Value = Interaction<'static>> {
    let kind = prop_oneof![
        4 => Just(VisitKind::ProductViewed),
        1 => Just(VisitKind::PageViewed),
        1 => Just(VisitKind::CartViewed),
        1 => Just(VisitKind::ProductAdded),
        1 => Just(VisitKind::ProductRemoved),
        1 => Just(VisitKind::CheckoutStarted),
        1 => Just(VisitKind::LoggedIn),
        1 => Just(VisitKind::UsageRecorded),
    ];
    (kind, category(), channel()).prop_map(|(kind, category, channel)| Interaction::Visit {
        kind,
        sku: None,
        category,
        channel,
    })
}

fn message() -> impl Strategy<Value = Interaction<'static>> {
    let kind = prop_oneof![
        3 => Just(MessageKind::Sent),
        1 => Just(MessageKind::Opened),
        2 => Just(MessageKind::Clicked),
        1 => Just(MessageKind::Unsubscribed),
    ];
    (kind, channel()).prop_map(|(kind, channel)| {
        let channel = match kind {
            MessageKind::Unsubscribed => Some(channel.unwrap_or("sms".into())),
            _ => channel,
        };
        Interaction::Message { kind, campaign: None, channel }
    })
}

fn answer() -> impl Strategy<Value = Interaction<'static>> {
    let part = |name: &'static str| Survey::Benefit(name.into());
    let survey = prop_oneof![
        4 => Just(Survey::Nps),
        1 => Just(Survey::Csat),
        1 => Just(Survey::Ces),
        1 => Just(Survey::Brand),
        2 => Just(Survey::PurchaseReason),
        1 => Just(part("quality")),
        1 => Just(part("comfort")),
        1 => Just(part("quality@alternative")),
        2 => Just(Survey::Cost("price".into())),
        1 => Just(Survey::Cost("price@alternative".into())),
    ];
    let reason = prop_oneof![2 => Just(None), 1 => Just(Some("service")), 1 => Just(Some("taste"))];
    let score = prop_oneof![Just(3_u8), Just(6), Just(7), Just(9), Just(10)];
    (survey, score, reason).prop_map(|(survey, score, reason)| {
        let score = match &survey {
            Survey::PurchaseReason => Some(score).filter(|_| reason.is_none()),
            Survey::Csat | Survey::Brand => Some(score.min(5)),
            Survey::Ces => Some(score.min(7)),
            _ => Some(score),
        };
        Interaction::SurveyAnswered { survey, score, reason: reason.map(Into::into) }
    })
}

fn qualified() -> impl Strategy<Value = Interaction<'static>> {
    let element = prop_oneof![
        Just(MeddicElement::Metrics),
        Just(MeddicElement::EconomicBuyer),
        Just(MeddicElement::DecisionCriteria),
        Just(MeddicElement::DecisionProcess),
        Just(MeddicElement::IdentifyPain),
        Just(MeddicElement::Champion),
    ];
    let score = prop_oneof![1 => 0..3_u8, 3 => Just(3)];
    let evidence = prop_oneof![1 => Just(None), 1 => Just(Some(" ")), 4 => Just(Some("a call"))];
    let scored = (element, score, evidence).prop_map(|(element, score, evidence)| {
        Qualification::Element { element, score, evidence: evidence.map(Into::into) }
    });
    let outcome = prop_oneof![Just(Outcome::Won), Just(Outcome::Lost), Just(Outcome::Disqualified)]
        .prop_map(Qualification::Outcome);
    prop_oneof![8 => scored, 1 => outcome].prop_map(Interaction::QualificationUpdated)
}

fn said_of() -> impl Strategy<Value = Interaction<'static>> {
    let name = || prop_oneof![Just("city"), Just("tier")];
    let value = || prop_oneof![Just("seoul"), Just("wien"), Just("")];
    let traits = (name(), value()).prop_map(|(name, value)| Interaction::ProfileUpdated {
        traits: vec![(name.into(), value.into())],
    });
    let purpose = prop_oneof![Just("marketing:email"), Just("profiling")];
    let consent = (purpose, any::<bool>()).prop_map(|(name, given)| Interaction::ConsentChanged {
        purposes: vec![(name.into(), given)],
    });
    let kind = prop_oneof![
        Just(CostKind::Marketing),
        Just(CostKind::Service),
        Just(CostKind::Acquisition)
    ];
    let cost =
        (kind, money()).prop_map(|(cost, amount)| Interaction::CostRecorded { cost, amount });
    let support = (proptest::option::of(0..90_u32), channel())
        .prop_map(|(minutes, channel)| Interaction::SupportContacted { minutes, channel });
    prop_oneof![traits, consent, cost, support]
}

fn order_id() -> impl Strategy<Value = String> {
    prop_oneof![6 => 0..3_u8, 3 => 3..8_u8].prop_map(|n| format!("o-{n}"))
}

fn subscription(days: u32) -> impl Strategy<Value = Body<'static>> {
    let id = prop_oneof![Just("s-1"), Just("s-2")];
    let order = prop_oneof![4 => Just(None), 1 => Just(Some("o-1")), 1 => Just(Some("o-9"))];
    let plan = prop_oneof![2 => Just(None), 1 => Just(Some("basic")), 1 => Just(Some("pro"))];
    (id, order, proptest::option::of(money()), plan, 0..7_u8).prop_map(
        move |(id, order, amount, plan, what)| {
            let term = |order: Option<&str>, days| Term {
                plan: plan.map(Into::into),
                ..term(id, order, amount, days)
            };
            match what {
                0 | 1 => started(term(order, Some(days))),
                2 | 3 => renewed(term(order, None)),
                4 => Body::Purchase(Purchase::SubscriptionChanged(term(None, None))),
                5 => Body::Purchase(Purchase::SubscriptionCancelled {
                    subscription_id: id.to_owned().into(),
                }),
                _ => Body::Purchase(Purchase::SubscriptionEnded {
                    subscription_id: id.to_owned().into(),
                }),
            }
        },
    )
}

fn body() -> impl Strategy<Value = Body<'static>> {
    let refund = (order_id(), 0..4_u8, proptest::option::of(money()))
        .prop_map(|(order, refund, part)| refunded(&order, &format!("r-{refund}"), part));
    let interaction = prop_oneof![
        8 => visit(),
        3 => message(),
        4 => answer(),
        5 => qualified(),
        4 => said_of(),
        2 => (1..=5_u8).prop_map(|score| Interaction::ProductReviewed { score, sku: None }),
        1 => Just(Interaction::Shared { score: None, sku: None }),
        1 => Just(Interaction::ReferralSent { referred_customer_id: None }),
        1 => Just(Interaction::ReferralAccepted { referred_customer_id: None }),
    ];
    prop_oneof![
        8 => order(),
        1 => order_id().prop_map(|order| {
            Body::Purchase(Purchase::OrderPaid { order_id: order.into() })
        }),
        2 => (order_id(), money()).prop_map(|(order, amount)| updated(&order, amount)),
        1 => order_id().prop_map(|order| cancelled(&order)),
        3 => refund,
        2 => subscription(30),
        1 => subscription(7),
        9 => interaction.prop_map(Body::Interaction),
    ]
}

/// A time that is some deciding length after the start or after the time before.
fn step() -> impl Strategy<Value = (i64, i64, bool)> {
    let days = prop_oneof![
        4 => (0..LENGTHS.len()).prop_map(|place| LENGTHS[place]),
        3 => 0..40_i64,
    ];
    let off = prop_oneof![4 => Just(0_i64), 2 => Just(1), 2 => Just(-1), 2 => 0..DAY_MS];
    (days, off, prop::bool::weighted(0.7))
}

/// Events of a few customers in the order of their log; `late` lets times go backwards.
pub(crate) fn history(
    customers: u8,
    length: std::ops::Range<usize>,
    late: bool,
) -> impl Strategy<Value = Vec<Event<'static>>> {
    let customer = prop_oneof![3 => Just(0_u8), 1 => 0..customers];
    proptest::collection::vec((body(), step(), customer, any::<u16>()), length).prop_map(
        move |drawn| {
            let mut at = T0;
            let mut events = Vec::with_capacity(drawn.len());
            for (place, (body, (days, off, forward), customer, shuffled)) in
                drawn.into_iter().enumerate()
            {
                let moved = days * DAY_MS + off;
                let time = if forward || !late { at + moved.max(0) } else { at - moved.max(0) };
                at = if late { at.max(time) } else { time };
                let id = format!("e{shuffled:04x}{place}");
                events.push(event(&id, &format!("c-{customer}"), Timestamp(time), body));
            }
            events
        },
    )
}

/// A history with some events repeated, in any order.
pub(crate) fn shuffled(
    length: std::ops::Range<usize>,
) -> impl Strategy<Value = (Vec<Event<'static>>, Vec<Event<'static>>)> {
    history(1, length, true).prop_flat_map(|events| {
        let count = events.len();
        let repeated = proptest::collection::vec(0..count, 0..=count / 2);
        repeated.prop_flat_map(move |repeated| {
            let mut all = events.clone();
            all.extend(repeated.into_iter().map(|place| events[place].clone()));
            (Just(events.clone()), Just(all).prop_shuffle())
        })
    })
}
