//! Customers whose ids share a key.

use super::*;
use crate::domain::money::Currency;
use crate::domain::pack::pack;

fn packed(id: &str, deadline: i64) -> Vec<u8> {
    let mut customer = Customer::new(id, Timestamp(0), 1);
    customer.deadline = Timestamp(deadline);
    let mut bytes = Vec::new();
    pack(&customer, Currency::parse("EUR").expect("a code"), &mut bytes);
    bytes
}

/// Where the search for an id ends.
fn found(store: &Store, id: &str) -> Option<u64> {
    let mut key = (store.home)(id);
    while let Some(present) = store.committed.get(&key) {
        if peek(&present).expect("a packed customer").1 == id {
            return Some(key);
        }
        key = key.wrapping_add(1);
    }
    None
}

/// The first letter of an id is its home, at the end of the keys where they wrap.
#[test]
fn removing_a_customer_leaves_those_with_shared_keys_within_reach() {
    let home = |id: &str| u64::from(id.as_bytes()[0] - b'a').wrapping_sub(2);
    let ids = ["a1", "a2", "b1", "a3", "d1", "c1", "b2", "a4", "h1"];
    for removed in 0..ids.len() {
        for second in 0..ids.len() {
            let mut store = Store { home, ..Store::default() };
            for (place, id) in (1..).zip(ids) {
                store.restore(id, Some(&packed(id, place))).expect("a packed customer");
            }
            for gone in [removed, second] {
                store.restore(ids[gone], None).expect("readable states");
            }
            let mut deadlines = Vec::new();
            for (place, id) in ids.iter().enumerate() {
                let key = found(&store, id);
                assert_eq!(key.is_none(), [removed, second].contains(&place), "{id}");
                let deadline = Timestamp(i64::try_from(place).expect("few") + 1);
                deadlines.extend(key.map(|key| (deadline, key)));
            }
            assert_eq!(store.len(), deadlines.len());
            for (deadline, key) in deadlines {
                let due = store.next_due(Timestamp::MAX, 1).expect("readable states");
                assert_eq!(due, (0, Some(key)));
                store.timers.remove(deadline, key);
            }
            assert_eq!(store.next_due(Timestamp::MAX, 1), Ok((0, None)));
            assert!(store.timers.is_empty());
            let bytes: usize = store.committed.iter().map(|entry| entry.value().len()).sum();
            assert_eq!(store.packed_bytes, bytes as u64);
        }
    }
}
