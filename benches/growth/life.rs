//! What a customer does in whom all dimensions are in use; the same as in `tests/memory.rs`.
//!
//! Three orders with categories, channel and coupon, two surveys, two traits, a consent, a cost, a
//! message, six visits; one in ten is a company with two MEDDIC elements. Next: `memory.rs`.

use crate::fill::States;
use crate::support::{START, feed, task};
use ebbflow::config::Config;
use ebbflow::domain::event::{
    Body, CostKind, Event, Interaction, Item, MeddicElement, MessageKind, Purchase, Qualification,
    Survey, VisitKind,
};
use ebbflow::domain::money::{Currency, Money};
use ebbflow::domain::time::{DAY_MS, Timestamp};

/// Steps of a life; each customer does one thing in most of them.
pub(crate) const STEPS: u64 = 17;

fn eur(amount_minor: i64) -> Money {
    Money { amount_minor, currency: Currency::parse("EUR").expect("a code") }
}

fn order(n: u64, step: u64) -> Body<'static> {
    let category = Some(["shoes", "bags", "hats"][usize::try_from(step % 3).expect("few")].into());
    Body::Purchase(Purchase::OrderCompleted {
        order_id: format!("order-{n:06}-{step}").into(),
        amount: eur(4_000),
        channel: Some("web".into()),
        coupon: (step == 0).then(|| "SPRING".into()),
        items: vec![Item { sku: None, category, quantity: None, amount_minor: None }],
    })
}

fn said(n: u64, step: u64) -> Option<Interaction<'static>> {
    let element = |element| {
        let evidence = Some("met in person".into());
        let update = Qualification::Element { element, score: 3, evidence };
        // One customer in ten is a company.
        n.is_multiple_of(10).then_some(Interaction::QualificationUpdated(update))
    };
    let survey = |survey, score, reason: Option<&'static str>| {
        let (score, reason) = (Some(score), reason.map(Into::into));
        Some(Interaction::SurveyAnswered { survey, score, reason })
    };
    match step {
        3 => survey(Survey::Nps, 9, Some("quick and kind service")),
        4 => survey(Survey::Csat, 4, None),
        5 => {
            let traits = [("country", "AT"), ("plan", "gold")];
            let traits = traits.map(|(name, value)| (name.into(), value.into())).into();
            Some(Interaction::ProfileUpdated { traits })
        }
        6 => {
            let purposes = vec![("marketing:email".into(), true)];
            Some(Interaction::ConsentChanged { purposes })
        }
        7 => Some(Interaction::CostRecorded { cost: CostKind::Acquisition, amount: eur(250) }),
        8 => {
            let (campaign, channel) = (None, Some("email".into()));
            Some(Interaction::Message { kind: MessageKind::Sent, campaign, channel })
        }
        9 => element(MeddicElement::Champion),
        10 => element(MeddicElement::IdentifyPain),
        _ => {
            let kinds = [VisitKind::ProductViewed, VisitKind::PageViewed, VisitKind::ProductAdded];
            let kind = kinds[usize::try_from(step % 3).expect("few")];
            let (category, channel) = (Some("shoes".into()), Some("web".into()));
            Some(Interaction::Visit { kind, sku: None, category, channel })
        }
    }
}

/// What the `n`th customer does in a step, if anything.
pub(crate) fn body(n: u64, step: u64) -> Option<Body<'static>> {
    if step < 3 { Some(order(n, step)) } else { said(n, step).map(Body::Interaction) }
}

/// When a step is: the visits are of the last days.
pub(crate) fn time(step: u64) -> Timestamp {
    let step = i64::try_from(step).expect("few");
    let days = if step < 11 { step * 9 } else { 120 + (step - 11) / 2 };
    START.plus_ms(days * DAY_MS)
}

/// States of a thousand such customers.
pub(crate) fn states(config: &Config) -> States {
    let mut source = task(config);
    let mut offset = 0;
    for step in 0..STEPS {
        let at = time(step);
        States::settle(&mut source, at);
        for n in 0..1000 {
            let Some(body) = body(n, step) else { continue };
            let (event_id, customer_id) = (format!("{offset:016x}"), format!("c_{n:019}"));
            feed(&mut source, &event(&event_id, &customer_id, at, body), offset);
            offset += 1;
        }
        States::settle(&mut source, at);
    }
    States::all_of(&source)
}

/// An event of a customer.
pub(crate) fn event<'a>(
    event_id: &'a str,
    customer_id: &'a str,
    occurred_at: Timestamp,
    body: Body<'a>,
) -> Event<'a> {
    Event {
        event_id: event_id.into(),
        customer_id: Some(customer_id.into()),
        anonymous_id: None,
        account_id: None,
        occurred_at,
        source: None,
        body,
    }
}
