//! Dead letters: the refused record as it was, with the reason in headers, cut to a size.
//!
//! Raw bytes, never decoded or re-encoded. Next: `domain/refusal.rs`, the reasons.

use crate::domain::refusal::Refusal;

/// Longest `detail` header, in bytes.
const MAX_DETAIL_BYTES: usize = 1024;

/// Where a refused record came from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Topic name.
    pub topic: &'a str,
    /// Partition.
    pub partition: u32,
    /// Offset of the record.
    pub offset: i64,
}

/// A record of the `dead-letters` topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetter<'a> {
    /// The original key, or its beginning.
    pub key: Option<&'a [u8]>,
    /// The original value, or its beginning.
    pub value: Option<&'a [u8]>,
    /// `reason`, `detail`, `source_topic`, `source_partition`, `source_offset`; and
    /// `truncated_key`, `truncated` with the original length in bytes where key or value are cut.
    pub headers: Vec<(&'static str, Vec<u8>)>,
}

/// The dead letter of a refused record; key and value together have at most `max_bytes` bytes.
#[must_use]
pub fn dead_letter<'a>(
    source: Source<'_>,
    refusal: &Refusal,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    max_bytes: usize,
) -> DeadLetter<'a> {
    let mut headers = vec![
        ("reason", refusal.reason.code().as_bytes().to_vec()),
        ("detail", prefix(&refusal.detail).as_bytes().to_vec()),
        ("source_topic", source.topic.as_bytes().to_vec()),
        ("source_partition", source.partition.to_string().into_bytes()),
        ("source_offset", source.offset.to_string().into_bytes()),
    ];
    let mut cut = |name, bytes: Option<&'a [u8]>, room: usize| {
        bytes.map(|bytes| {
            if bytes.len() > room {
                headers.push((name, bytes.len().to_string().into_bytes()));
            }
            &bytes[..bytes.len().min(room)]
        })
    };
    let key = cut("truncated_key", key, max_bytes);
    let value = cut("truncated", value, max_bytes - key.map_or(0, <[u8]>::len));
    DeadLetter { key, value, headers }
}

fn prefix(detail: &str) -> &str {
    &detail[..detail.floor_char_boundary(MAX_DETAIL_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::refusal::Reason;

    const SOURCE: Source<'static> = Source { topic: "purchases", partition: 3, offset: 42 };

    fn header<'a>(letter: &'a DeadLetter<'_>, name: &str) -> Option<&'a str> {
        let header = letter.headers.iter().find(|(known, _)| *known == name);
        header.map(|(_, value)| std::str::from_utf8(value).unwrap())
    }

    #[test]
    fn a_dead_letter_keeps_key_and_value_and_says_why_and_whence() {
        let refusal = Refusal::new(Reason::NegativeAmount, "\"amount_minor\" = -5 is negative");
        let letter = dead_letter(SOURCE, &refusal, Some(b"c-1"), Some(&[0xff, 0]), 1000);
        assert_eq!((letter.key, letter.value), (Some(&b"c-1"[..]), Some(&[0xff, 0][..])));
        assert_eq!(header(&letter, "reason"), Some("negative_amount"));
        assert_eq!(header(&letter, "detail"), Some("\"amount_minor\" = -5 is negative"));
        assert_eq!(header(&letter, "source_topic"), Some("purchases"));
        assert_eq!(header(&letter, "source_partition"), Some("3"));
        assert_eq!(header(&letter, "source_offset"), Some("42"));
        assert_eq!(header(&letter, "truncated"), None);
    }

    #[test]
    fn what_is_too_large_is_cut_and_says_so() {
        let refusal = Refusal::new(Reason::Undecodable, "ä".repeat(2000));
        let value = vec![7; 1_000_000];
        let letter = dead_letter(SOURCE, &refusal, Some(b"c-1"), Some(&value), 1000);
        assert_eq!(letter.value.map(<[u8]>::len), Some(997));
        assert_eq!(header(&letter, "truncated"), Some("1000000"));
        assert_eq!(header(&letter, "truncated_key"), None);
        assert_eq!(header(&letter, "detail").map(str::len), Some(1024));

        let letter = dead_letter(SOURCE, &refusal, Some(&value), Some(b"x"), 1000);
        assert_eq!(letter.key.map(<[u8]>::len), Some(1000));
        assert_eq!(letter.value, Some(&[][..]));
        assert_eq!(header(&letter, "truncated_key"), Some("1000000"));
        assert_eq!(header(&letter, "truncated"), Some("1"));
    }

    #[test]
    fn a_tombstone_stays_one() {
        let refusal = Refusal::new(Reason::Tombstone, "a record without a value");
        let letter = dead_letter(SOURCE, &refusal, None, None, 10);
        assert_eq!((letter.key, letter.value), (None, None));
    }
}
