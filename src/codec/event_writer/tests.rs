//! Any event that is written, in any format, reads back as the same event.

use super::*;
use crate::codec::decoder::{Decoder, Format, Framing, SchemaId, decode_json_line};
use crate::codec::schema::{INTERACTIONS, PURCHASES};
use crate::domain::event::{Item, MessageKind, VisitKind};
use crate::domain::money::{Currency, ExchangeRates, MAX_AMOUNT_MINOR};
use crate::domain::time::Timestamp;
use apache_avro::reader::datum::GenericDatumReader;
use proptest::option;
use proptest::prelude::*;
use std::sync::LazyLock;

fn euro() -> Currency {
    Currency::parse("EUR").unwrap()
}

fn text() -> impl Strategy<Value = Text<'static>> {
    "\\PC{0,20}".prop_map(Cow::Owned)
}

fn id() -> impl Strategy<Value = Text<'static>> {
    prop_oneof!["[a-z0-9-]{1,12}", "\\PC{1,20}"]
        .prop_filter("reserved", |id| !id.starts_with("anon:") && !id.starts_with("account:"))
        .prop_map(Cow::Owned)
}

fn money() -> impl Strategy<Value = Money> {
    (0..=MAX_AMOUNT_MINOR).prop_map(|amount_minor| Money { amount_minor, currency: euro() })
}

fn item() -> impl Strategy<Value = Item<'static>> {
    (
        option::of(text()),
        option::of(text()),
        option::of(any::<i64>()),
        option::of(0..MAX_AMOUNT_MINOR),
    )
        .prop_map(|(sku, category, quantity, amount_minor)| Item {
            sku,
            category,
            quantity,
            amount_minor,
        })
}

fn whole_term() -> impl Strategy<Value = Term<'static>> {
    (id(), option::of(id()), text(), money(), 1..=36_525_u32).prop_map(
        |(subscription_id, order_id, plan, amount, term_days)| Term {
            subscription_id,
            order_id,
            plan: Some(plan),
            amount: Some(amount),
            term_days: Some(term_days),
        },
    )
}

fn later_term() -> impl Strategy<Value = Term<'static>> {
    (whole_term(), any::<[bool; 3]>()).prop_map(|(term, keep)| Term {
        plan: term.plan.filter(|_| keep[0]),
        amount: term.amount.filter(|_| keep[1]),
        term_days: term.term_days.filter(|_| keep[2]),
        ..term
    })
}

fn purchase() -> impl Strategy<Value = Purchase<'static>> {
    let items = prop::collection::vec(item(), 0..3);
    prop_oneof![
        (id(), money(), option::of(text()), option::of(text()), items).prop_map(
            |(order_id, amount, channel, coupon, items)| Purchase::OrderCompleted {
                order_id,
                amount,
                channel,
                coupon,
                items
            }
        ),
        (id(), money()).prop_map(|(order_id, amount)| Purchase::OrderUpdated { order_id, amount }),
        id().prop_map(|order_id| Purchase::OrderCancelled { order_id }),
        (id(), id(), option::of(money())).prop_map(|(order_id, refund_id, amount)| {
            Purchase::OrderRefunded { order_id, refund_id, amount }
        }),
        id().prop_map(|order_id| Purchase::OrderPaid { order_id }),
        id().prop_map(|order_id| Purchase::OrderFulfilled { order_id }),
        whole_term().prop_map(Purchase::SubscriptionStarted),
        later_term().prop_map(Purchase::SubscriptionRenewed),
        later_term().prop_map(Purchase::SubscriptionChanged),
        id().prop_map(|subscription_id| Purchase::SubscriptionCancelled { subscription_id }),
        id().prop_map(|subscription_id| Purchase::SubscriptionEnded { subscription_id }),
    ]
}

fn survey() -> impl Strategy<Value = (Survey<'static>, Option<u8>)> {
    let about = || "\\PC{1,9}".prop_map(Cow::Owned);
    prop_oneof![
        (Just(Survey::Nps), (0..=10_u8).prop_map(Some)),
        (Just(Survey::Csat), (1..=5_u8).prop_map(Some)),
        (Just(Survey::Ces), (1..=7_u8).prop_map(Some)),
        (Just(Survey::Attention), (1..=5_u8).prop_map(Some)),
        (Just(Survey::Brand), (1..=5_u8).prop_map(Some)),
        (about().prop_map(Survey::Benefit), (0..=10_u8).prop_map(Some)),
        (about().prop_map(Survey::Cost), (0..=10_u8).prop_map(Some)),
        (Just(Survey::PurchaseReason), Just(None)),
    ]
}

fn qualification() -> impl Strategy<Value = Qualification<'static>> {
    let element = prop_oneof![
        Just(MeddicElement::Metrics),
        Just(MeddicElement::EconomicBuyer),
        Just(MeddicElement::DecisionCriteria),
        Just(MeddicElement::DecisionProcess),
        Just(MeddicElement::IdentifyPain),
        Just(MeddicElement::Champion),
    ];
    let outcome = prop_oneof![Just(Outcome::Won), Just(Outcome::Lost), Just(Outcome::Disqualified)];
    prop_oneof![
        (element, 0..=3_u8, option::of(text())).prop_map(|(element, score, evidence)| {
            Qualification::Element { element, score, evidence }
        }),
        outcome.prop_map(Qualification::Outcome),
    ]
}

fn visit_kind() -> impl Strategy<Value = VisitKind> {
    prop_oneof![
        Just(VisitKind::PageViewed),
        Just(VisitKind::ProductViewed),
        Just(VisitKind::ProductsSearched),
        Just(VisitKind::ProductAdded),
        Just(VisitKind::ProductRemoved),
        Just(VisitKind::CartViewed),
        Just(VisitKind::CheckoutStarted),
        Just(VisitKind::ReviewRead),
        Just(VisitKind::SignedUp),
        Just(VisitKind::LoggedIn),
        Just(VisitKind::UsageRecorded),
    ]
}

fn message_kind() -> impl Strategy<Value = MessageKind> {
    prop_oneof![
        Just(MessageKind::Sent),
        Just(MessageKind::Delivered),
        Just(MessageKind::Opened),
        Just(MessageKind::Clicked),
        Just(MessageKind::Unsubscribed),
    ]
}

fn interaction() -> impl Strategy<Value = Interaction<'static>> {
    let optional = || option::of(text());
    let cost = prop_oneof![
        Just(CostKind::Marketing),
        Just(CostKind::Service),
        Just(CostKind::Acquisition)
    ];
    let minutes = option::of(0..=i32::MAX.cast_unsigned());
    prop_oneof![
        (visit_kind(), optional(), optional(), optional()).prop_map(
            |(kind, sku, category, channel)| Interaction::Visit { kind, sku, category, channel }
        ),
        (message_kind(), optional(), optional()).prop_map(|(kind, campaign, channel)| {
            Interaction::Message { kind, campaign, channel }
        }),
        (minutes, optional())
            .prop_map(|(minutes, channel)| Interaction::SupportContacted { minutes, channel }),
        (1..=5_u8, optional()).prop_map(|(score, sku)| Interaction::ProductReviewed { score, sku }),
        (option::of(1..=5_u8), optional())
            .prop_map(|(score, sku)| Interaction::Shared { score, sku }),
        option::of(id())
            .prop_map(|referred_customer_id| Interaction::ReferralSent { referred_customer_id }),
        option::of(id()).prop_map(|referred_customer_id| Interaction::ReferralAccepted {
            referred_customer_id
        }),
        (survey(), optional()).prop_map(|((survey, score), reason)| {
            Interaction::SurveyAnswered { survey, score, reason }
        }),
        (cost, money()).prop_map(|(cost, amount)| Interaction::CostRecorded { cost, amount }),
        qualification().prop_map(Interaction::QualificationUpdated),
        prop::collection::vec((text(), text()), 0..4)
            .prop_map(|traits| Interaction::ProfileUpdated { traits }),
        id().prop_map(|id| Interaction::CustomersMerged {
            from_customer_id: Cow::Owned(format!("from {id}").chars().take(40).collect())
        }),
        prop::collection::vec((text(), any::<bool>()), 0..4)
            .prop_map(|purposes| Interaction::ConsentChanged { purposes }),
        Just(Interaction::EraseRequested),
        "[a-z]{1,9}_unheard_of".prop_map(|kind| Interaction::Unknown { kind: Cow::Owned(kind) }),
    ]
}

fn event() -> impl Strategy<Value = Event<'static>> {
    let body =
        prop_oneof![purchase().prop_map(Body::Purchase), interaction().prop_map(Body::Interaction)];
    let at = time::FIRST_WRITABLE.0..=time::LAST_READABLE.0;
    (id(), id(), option::of(id()), option::of(id()), at, option::of(text()), body).prop_map(
        |(event_id, customer_id, anonymous_id, account_id, at, source, body)| Event {
            event_id,
            customer_id: Some(customer_id),
            anonymous_id,
            account_id,
            occurred_at: Timestamp(at),
            source,
            body,
        },
    )
}

/// Reads one format of one topic: the decoder under test and apache-avro beside it.
struct Reader {
    format: OutputFormat,
    decoders: [Decoder; 2],
    oracles: [apache_avro::Schema; 2],
    header_bytes: usize,
}

static READERS: LazyLock<[Reader; 3]> = LazyLock::new(|| {
    let registry = OutputFormat::AvroConfluent { schema_id: 77 };
    [
        reader(OutputFormat::Json, Format::Json, 0),
        reader(registry, Format::Avro(Framing::Confluent), 5),
        reader(OutputFormat::AvroSingleObject, Format::Avro(Framing::SingleObject), 10),
    ]
});

fn reader(format: OutputFormat, read_as: Format, header_bytes: usize) -> Reader {
    let mut decoders = [RecordType::Purchases, RecordType::Interactions]
        .map(|record_type| Decoder::new(record_type, read_as));
    let texts = [PURCHASES.text, INTERACTIONS.text];
    for (decoder, text) in decoders.iter_mut().zip(texts) {
        decoder.add_schema(SchemaId::Registry(77), text).unwrap();
    }
    let oracles = texts.map(|text| apache_avro::Schema::parse_str(text).unwrap());
    Reader { format, decoders, oracles, header_bytes }
}

proptest! {
    #[test]
    fn any_event_reads_back_as_it_was_in_every_format(event in event()) {
        let rates = ExchangeRates::new(euro(), Vec::new());
        for reader in &*READERS {
            let mut bytes = Vec::new();
            let mut encoder = EventEncoder::new(reader.format, reader.format);
            let index = match encoder.encode(&event, &mut bytes) {
                RecordType::Purchases => 0,
                RecordType::Interactions => 1,
            };
            let read = reader.decoders[index].decode(&bytes, &rates);
            prop_assert_eq!(read.as_ref(), Ok(&event));
            if reader.format == OutputFormat::Json {
                let line = decode_json_line(&bytes, &rates);
                prop_assert_eq!(line.as_ref(), Ok(&event));
                continue;
            }
            let oracle = GenericDatumReader::builder(&reader.oracles[index]).build().unwrap();
            let mut rest = &bytes[reader.header_bytes..];
            prop_assert!(oracle.read_value(&mut rest).is_ok());
            prop_assert!(rest.is_empty());
        }
    }
}
