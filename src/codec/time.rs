//! Times as text: RFC 3339 in UTC with exactly three decimals and `Z`.
//!
//! Never reads a clock. Next: `raw.rs`, where times come in; `change.rs`, where they go out.

use crate::domain::time::{DAY_MS, Timestamp};

/// 0001-01-01T00:00:00.000Z, the first instant that is written or accepted.
pub const FIRST_WRITABLE: Timestamp = Timestamp(-62_135_596_800_000);

/// 9999-12-30T22:00:00.999Z, the last instant that is read from text. Source: `jiff::Timestamp`,
/// which keeps room for every offset from UTC.
pub const LAST_READABLE: Timestamp = Timestamp(253_402_207_200_999);

/// Length of a written time in bytes.
pub const TEXT_BYTES: usize = 24;

/// Reads an RFC 3339 time; what is finer than a millisecond is cut off, towards the past.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    let parsed: jiff::Timestamp = text.parse().ok()?;
    let floor = parsed.as_nanosecond().div_euclid(1_000_000);
    i64::try_from(floor).ok().map(Timestamp)
}

/// Whether an instant lies within the years 1 to 9999, which RFC 3339 can write.
#[must_use]
pub fn writable(at: Timestamp) -> bool {
    (FIRST_WRITABLE..=Timestamp::LAST_WRITABLE).contains(&at)
}

/// Writes an instant as ASCII, held at the ends of the years 1 to 9999.
#[must_use]
pub fn format(at: Timestamp) -> [u8; TEXT_BYTES] {
    let held = at.clamp(FIRST_WRITABLE, Timestamp::LAST_WRITABLE);
    let (year, month, day) = held.day().civil();
    let ms_of_day = held.0.rem_euclid(DAY_MS);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    digits(&mut text[0..4], year);
    digits(&mut text[5..7], month);
    digits(&mut text[8..10], day);
    digits(&mut text[11..13], ms_of_day / 3_600_000);
    digits(&mut text[14..16], ms_of_day / 60_000 % 60);
    digits(&mut text[17..19], ms_of_day / 1_000 % 60);
    digits(&mut text[20..23], ms_of_day % 1_000);
    text
}

/// Fills `text` with the last decimal digits of `value`, which is not negative.
fn digits(text: &mut [u8], value: i64) {
    let mut rest = value;
    for digit in text.iter_mut().rev() {
        *digit = b"0123456789"[usize::try_from(rest % 10).unwrap_or(0)];
        rest /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(at: i64) -> String {
        String::from_utf8(format(Timestamp(at)).to_vec()).unwrap()
    }

    #[test]
    fn known_instants_are_written_exactly() {
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(text(1_772_357_400_001), "2026-03-01T09:30:00.001Z");
        assert_eq!(text(1_709_164_800_000), "2024-02-29T00:00:00.000Z");
    }

    #[test]
    fn instants_outside_of_the_years_1_to_9999_are_held_at_the_ends() {
        assert_eq!(text(i64::MIN), "0001-01-01T00:00:00.000Z");
        assert_eq!(text(FIRST_WRITABLE.0), "0001-01-01T00:00:00.000Z");
        assert_eq!(text(i64::MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn times_with_offsets_and_fine_fractions_are_read() {
        assert_eq!(parse("2026-03-01T09:30:00Z"), Some(Timestamp(1_772_357_400_000)));
        assert_eq!(parse("2026-03-01T10:30:00.0019+01:00"), Some(Timestamp(1_772_357_400_001)));
        assert_eq!(parse("1969-12-31T23:59:59.9995Z"), Some(Timestamp(-1)));
        assert_eq!(parse("9999-12-30T22:00:00.999Z"), Some(LAST_READABLE));
        assert_eq!(LAST_READABLE.0, jiff::Timestamp::MAX.as_millisecond());
        assert_eq!(parse("yesterday"), None);
        assert_eq!(parse("2026-02-30T00:00:00Z"), None);
        assert_eq!(parse("2026-03-01T09:30:00"), None);
    }

    proptest! {
        #[test]
        fn writing_agrees_with_jiff(at in FIRST_WRITABLE.0..=LAST_READABLE.0) {
            let written = text(at);
            prop_assert_eq!(parse(&written), Some(Timestamp(at)));
            let oracle = jiff::Timestamp::from_millisecond(at).unwrap();
            prop_assert_eq!(written, format!("{oracle:.3}"));
        }
    }
}
