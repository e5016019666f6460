//! What is written reads back, Avro's own reader agrees, and damaged bytes are refused.

use super::*;
use crate::codec::schema::RELAY;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    "[a-z:é]{1,12}"
}

fn at() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp)
}

fn told() -> impl Strategy<Value = Told<'static>> {
    let bytes = || vec(any::<u8>(), 0..40).prop_map(Cow::Owned);
    prop_oneof![
        (0..2_usize, any::<bool>(), bytes()).prop_map(|(input, tied, value)| Told::Event {
            input,
            tied,
            value
        }),
        (text(), any::<bool>()).prop_map(|(into, known)| {
            Told::Move { into, why: if known { Why::Known } else { Why::Merged } }
        }),
        bytes().prop_map(Told::State),
        (text(), text()).prop_map(|(from, to)| Told::Follow { from, to }),
        text().prop_map(|of| Told::Erase { of }),
        text().prop_map(|id| Told::Forget { id }),
        text().prop_map(|by| Told::Referred { by }),
        (text(), any::<i64>()).prop_map(|(from, minor)| Told::Credit { from, minor }),
        (option::of(any::<u64>()), any::<u64>(), at(), at()).prop_map(
            |(was, now, first_at, last_at)| Told::Contact { was, now, first_at, last_at }
        ),
        (any::<u64>(), at()).prop_map(|(contact, at)| Told::Left { contact, at }),
    ]
}

prop_compose! {
    fn relayed()(
        to in text(),
        path in vec(text(), 0..4),
        at in at(),
        event_id in text(),
        times in (at(), at()),
        topic in text(),
        partition in 0..i32::MAX.cast_unsigned(),
        offset in any::<i64>(),
        told in told(),
    ) -> Relayed<'static> {
        let (occurred_at, effective_at) = times;
        let topic = Name::from(topic);
        let cause =
            EventOrigin { event_id, occurred_at, at: effective_at, topic, partition, offset };
        Relayed { to, path, at, cause, told }
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back_and_avros_own_reader_agrees(
        lineage in 1..1000_u32,
        relayed in relayed(),
    ) {
        let mut value = Vec::new();
        encode_relayed(lineage, &relayed, &mut value);
        prop_assert_eq!(decode_relayed(&value), Ok((lineage, relayed.clone())));
        let schema = apache_avro::Schema::parse_str(RELAY.text).expect("the schema is valid");
        let mut datum = &value[1..];
        let reader = GenericDatumReader::builder(&schema).build().expect("a reader");
        let read = reader.read_value(&mut datum).expect("a datum");
        prop_assert!(datum.is_empty());
        let Value::Record(fields) = read else { panic!("a record") };
        let told = fields.iter().find(|(name, _)| name == "told").expect("told").1.clone();
        let Value::Union(place, _) = told else { panic!("a union") };
        prop_assert_eq!(place as usize, relayed.told.reason());
    }

    #[test]
    fn damaged_records_are_refused_and_never_panic(
        relayed in relayed(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut value = Vec::new();
        encode_relayed(1, &relayed, &mut value);
        prop_assert!(decode_relayed(&value[..value.len() - 1]).is_err());
        let place = place.index(value.len());
        value[place] = byte;
        // Read as something or refused: both are fine.
        drop(decode_relayed(&value));
    }
}

#[test]
fn a_newer_version_is_named() {
    let newer = VERSION + 1;
    assert_eq!(decode_relayed(&[newer, 1, 2]), Err(StateError::Newer(newer)));
    assert!(matches!(decode_relayed(&[]), Err(StateError::Damaged(_))));
}
