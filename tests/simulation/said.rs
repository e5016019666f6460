//! Interactions of every kind: what customers do, say and are, and what is spent on them.
//!
//! Few names and few scores, so that they meet. Next: `workload.rs`, which places them.

use crate::simulation::random::Random;
use crate::simulation::workload::text;
use ebbflow::domain::event::{
    CostKind, Interaction, MeddicElement, MessageKind, Outcome, Qualification, Survey, Text,
    VisitKind,
};
use ebbflow::domain::money::Money;

const VISITS: [VisitKind; 11] = [
    VisitKind::PageViewed,
    VisitKind::ProductViewed,
    VisitKind::ProductsSearched,
    VisitKind::ProductAdded,
    VisitKind::ProductRemoved,
    VisitKind::CartViewed,
    VisitKind::CheckoutStarted,
    VisitKind::ReviewRead,
    VisitKind::SignedUp,
    VisitKind::LoggedIn,
    VisitKind::UsageRecorded,
];

const MESSAGES: [MessageKind; 5] = [
    MessageKind::Sent,
    MessageKind::Delivered,
    MessageKind::Opened,
    MessageKind::Clicked,
    MessageKind::Unsubscribed,
];

const ELEMENTS: [MeddicElement; 6] = [
    MeddicElement::Metrics,
    MeddicElement::EconomicBuyer,
    MeddicElement::DecisionCriteria,
    MeddicElement::DecisionProcess,
    MeddicElement::IdentifyPain,
    MeddicElement::Champion,
];

const PURPOSES: [&str; 3] = ["profiling", "profiling", "marketing:email"];

fn named(random: &mut Random, names: &[&str]) -> Option<Text<'static>> {
    random.chance(600).then(|| text((*random.pick(names)).to_owned()))
}

pub(crate) fn category(random: &mut Random) -> Option<Text<'static>> {
    named(random, &["bags", "hats", "shoes"])
}

pub(crate) fn channel(random: &mut Random) -> Option<Text<'static>> {
    named(random, &["email", "letter", "web"])
}

fn score(random: &mut Random, least: usize, most: usize) -> u8 {
    u8::try_from(least + random.below(most - least + 1)).unwrap()
}

/// One of any kind but an erase.
pub(crate) fn interaction(random: &mut Random, amount: Money) -> Interaction<'static> {
    match random.below(24) {
        0..6 => Interaction::Visit {
            kind: *random.pick(&VISITS),
            sku: None,
            category: category(random),
            channel: channel(random),
        },
        6 | 7 => Interaction::Message {
            kind: *random.pick(&MESSAGES),
            campaign: named(random, &["spring"]),
            channel: channel(random),
        },
        8 => Interaction::SupportContacted {
            minutes: random.chance(700).then(|| u32::from(score(random, 0, 90))),
            channel: channel(random),
        },
        9 => Interaction::ProductReviewed { score: score(random, 1, 5), sku: None },
        10 => Interaction::Shared {
            score: random.chance(500).then(|| score(random, 1, 5)),
            sku: None,
        },
        11 => Interaction::ReferralSent { referred_customer_id: None },
        12 => Interaction::ReferralAccepted { referred_customer_id: None },
        13..16 => answer(random),
        16 => {
            let kinds = [CostKind::Marketing, CostKind::Service, CostKind::Acquisition];
            Interaction::CostRecorded { cost: *random.pick(&kinds), amount }
        }
        17 | 18 => Interaction::QualificationUpdated(qualification(random)),
        19 => Interaction::ProfileUpdated { traits: traits(random) },
        20 | 21 => {
            let purpose = text((*random.pick(&PURPOSES)).to_owned());
            Interaction::ConsentChanged { purposes: vec![(purpose, random.chance(700))] }
        }
        22 => Interaction::CustomersMerged { from_customer_id: text("c-0".to_owned()) },
        _ => Interaction::Unknown { kind: text("waved".to_owned()) },
    }
}

fn answer(random: &mut Random) -> Interaction<'static> {
    let part = || text("quality".to_owned());
    let price = || text("price".to_owned());
    let (survey, most) = match random.below(12) {
        0..4 => (Survey::Nps, 10),
        4 => (Survey::Csat, 5),
        5 => (Survey::Ces, 7),
        6 => (Survey::Attention, 5),
        7 => (Survey::Brand, 5),
        8 => (Survey::Benefit(part()), 10),
        9 => (Survey::Benefit(text("quality@alternative".to_owned())), 10),
        10 => (Survey::Cost(price()), 10),
        _ => (Survey::PurchaseReason, 0),
    };
    let score = (most > 0).then(|| score(random, 1, most));
    let reason = named(random, &["service", "taste"]);
    Interaction::SurveyAnswered { survey, score, reason }
}

fn qualification(random: &mut Random) -> Qualification<'static> {
    if random.chance(150) {
        let outcomes = [Outcome::Won, Outcome::Lost, Outcome::Disqualified];
        return Qualification::Outcome(*random.pick(&outcomes));
    }
    let element = *random.pick(&ELEMENTS);
    let (score, evidence) = (score(random, 0, 3), named(random, &["a call"]));
    Qualification::Element { element, score, evidence }
}

fn traits(random: &mut Random) -> Vec<(Text<'static>, Text<'static>)> {
    let (name, values) =
        *random.pick(&[("region", ["north", "south"]), ("contract", ["yearly", "monthly"])]);
    vec![(text(name.to_owned()), text((*random.pick(&values)).to_owned()))]
}
