//! Hashes of ids: where a subject lives, how an id is remembered in eight or sixteen bytes.
//!
//! Every function is fixed for ever: its results are stored in Kafka. Never use a seeded or
//! versioned hasher here. Next: `recent.rs` and `order.rs`, which remember hashes.

use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// Longest id that is accepted, in bytes.
pub const MAX_ID_BYTES: usize = 256;
/// Ids of subjects that are accounts start so; a customer id must not.
pub const ACCOUNT_PREFIX: &str = "account:";
/// Ids of subjects that are anonymous visitors start so; a customer id must not.
pub const ANONYMOUS_PREFIX: &str = "anon:";

/// 64-bit hash of an id (SipHash-1-3, zero key).
#[must_use]
pub fn hash64(id: &str) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(id.as_bytes());
    hasher.finish()
}

/// What is kept of an erased subject: the first 16 bytes of the SHA-256 of salt and id, each with
/// its length before it.
#[must_use]
pub fn salted_id(salt: &str, subject_id: &str) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for text in [salt, subject_id] {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    }
    let digest = hasher.finalize();
    let (half, _) = digest.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
    *half
}

/// The partition of a subject: Kafka's default partitioner (murmur2 of the key, sign bit off).
///
/// Source: `org.apache.kafka.common.utils.Utils.murmur2`.
///
/// # Panics
/// When `partitions` is zero.
#[must_use]
pub fn partition_of(subject_id: &str, partitions: u32) -> u32 {
    assert!(partitions > 0, "a topic has at least one partition");
    (murmur2(subject_id.as_bytes()) & 0x7fff_ffff) % partitions
}

fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    #[expect(clippy::cast_possible_truncation, reason = "Kafka keys are far below 4 GiB")]
    let mut h = SEED ^ bytes.len() as u32;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        k = k.wrapping_mul(M);
        k ^= k >> R;
        k = k.wrapping_mul(M);
        h = h.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

/// Bytes kept of the hash of the id of an order, a refund or a subscription.
pub const ID_HASH_BYTES: usize = 6;

/// What is kept of the id of an order, a refund or a subscription: the high bytes of its
/// [`hash64`].
///
/// Two of the 576 orders that a customer may have share it with a chance of 6 in 10^10.
#[must_use]
pub fn id_hash(id: &str) -> u64 {
    hash64(id) >> (64 - 8 * ID_HASH_BYTES)
}

/// Bytes kept of the hash of an event's id where it is remembered as seen.
pub const EVENT_HASH_BYTES: usize = 5;

/// What is remembered of an event that was seen, of the [`hash64`] of its id.
///
/// Of the 32 that a customer remembers, one is taken for another event's with a chance of
/// 32 / 2^40 per event: once in 34 thousand million events.
#[must_use]
pub const fn event_hash(hash: u64) -> u64 {
    hash & ((1 << (8 * EVENT_HASH_BYTES)) - 1)
}

/// Decides between events of equal time: a hash of the event's id.
///
/// The same way whatever the arrival order, in few bytes: every order of a customer has one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct EventKey(pub u32);

impl EventKey {
    /// The key of an event whose id has this [`hash64`].
    #[must_use]
    pub const fn of(hash: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "the low half is wanted")]
        Self(hash as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn murmur2_is_kafkas() {
        let cases: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (key, expected) in cases {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), expected, "{key}");
        }
    }
}
