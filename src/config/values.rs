//! Values as they are written: durations, decimals, ids, addresses.
//!
//! Every function returns what is wrong as a sentence that starts with what was expected.
//! Next: `reader.rs`, which adds key, value and source.

use jiff::{Span, SpanRelativeTo};

/// Longest duration that any key accepts, in ms: 100 years.
pub(crate) const CENTURY_MS: i64 = 36_500 * 86_400_000;

/// Milliseconds of a duration such as `5ms`, `24h`, `30d`; a day has 24 hours.
pub(crate) fn duration_ms(text: &str) -> Result<i64, String> {
    let expected =
        || "expected a duration such as \"100ms\", \"6s\", \"15m\" or \"30d\"".to_owned();
    let span: Span = text.parse().map_err(|_| expected())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| expected())?;
    if duration.is_negative() {
        return Err("expected a duration that is not negative".to_owned());
    }
    if duration.subsec_nanos() % 1_000_000 != 0 {
        return Err("expected whole milliseconds".to_owned());
    }
    i64::try_from(duration.as_millis()).map_err(|_| expected())
}

/// The duration in the largest unit that divides it.
pub(crate) fn show_ms(ms: i64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
    match units.iter().find(|(unit, _)| ms != 0 && ms % unit == 0) {
        Some((unit, name)) => format!("{}{name}", ms / unit),
        None => format!("{ms}ms"),
    }
}

/// Billionths of a decimal such as `0.9123`, above zero, with at most nine places.
pub(crate) fn decimal_nano(text: &str) -> Result<i64, String> {
    let expected = "expected a decimal above 0 in quotes such as \"0.9123\", with at most 9 digits \
                    on each side of the point";
    let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| {
        (1..=9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !digits(whole) || !digits(places) {
        return Err(expected.to_owned());
    }
    let nano = format!("{whole}{places:0<9}").parse::<i64>().map_err(|_| expected.to_owned())?;
    if nano == 0 { Err(expected.to_owned()) } else { Ok(nano) }
}

/// Checks a name that becomes part of Kafka's own ids.
pub(crate) fn id(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=100).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("expected 1 to 100 of A-Z a-z 0-9 . _ -".to_owned())
    }
}

/// Checks a topic name. Source: `org.apache.kafka.common.internals.Topic`.
pub(crate) fn topic(name: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let fits = (1..=249).contains(&name.len()) && name != "." && name != "..";
    if fits && name.bytes().all(allowed) {
        Ok(())
    } else {
        Err(format!(
            "the topic would be \"{name}\"; expected 1 to 249 of A-Z a-z 0-9 . _ - with the prefix"
        ))
    }
}

/// Checks `host:port,...`.
pub(crate) fn servers(text: &str) -> Result<String, String> {
    let is_server = |server: &str| {
        server.trim().rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty()
                && !host.contains(char::is_whitespace)
                && !host.contains("//")
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        })
    };
    if text.split(',').all(is_server) {
        Ok(text.split(',').map(str::trim).collect::<Vec<_>>().join(","))
    } else {
        Err("expected host:port, several with commas, such as \"kafka-1:9092,kafka-2:9092\""
            .to_owned())
    }
}

/// Checks the base URL of a registry; credentials have keys of their own.
pub(crate) fn url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let Some(rest) = rest.filter(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
    else {
        return Err("expected a URL such as \"http://registry:8081\", or \"\" for none".to_owned());
    };
    if rest.split('/').next().is_some_and(|authority| authority.contains('@')) {
        return Err("expected no user or password in the URL; \
                    use registry.user and registry.password_file"
            .to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_whole_milliseconds() {
        for (text, ms) in [
            ("0ms", 0),
            ("5ms", 5),
            ("6s", 6000),
            ("15m", 900_000),
            ("1h 30m", 5_400_000),
            ("1.5h", 5_400_000),
            ("24h", 86_400_000),
            ("30d", 2_592_000_000),
            ("2w", 1_209_600_000),
        ] {
            assert_eq!(duration_ms(text), Ok(ms), "{text}");
        }
        for text in ["", "5", "ms", "5 lightyears", "1mo", "1y", "-5ms", "5ms ago", "1us", "0.5ms"]
        {
            assert!(duration_ms(text).is_err(), "{text}");
        }
        for (ms, text) in [(0, "0ms"), (1500, "1500ms"), (90_000, "90s"), (CENTURY_MS, "36500d")] {
            assert_eq!(show_ms(ms), text);
        }
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(decimal_nano("0.9123"), Ok(912_300_000));
        assert_eq!(decimal_nano("1"), Ok(1_000_000_000));
        assert_eq!(decimal_nano("0.000000001"), Ok(1));
        assert_eq!(decimal_nano("999999999.999999999"), Ok(999_999_999_999_999_999));
        for text in ["", "0", "0.0", "-1", "+1", "1.", ".5", "1e3", "0,9", "0.0000000001", " 1"] {
            assert!(decimal_nano(text).is_err(), "{text}");
        }
    }

    #[test]
    fn urls_carry_no_credentials() {
        assert_eq!(url("http://registry:8081/").as_deref(), Ok("http://registry:8081"));
        for text in ["", "registry:8081", "http://", "http://u:p@registry", "ftp://registry"] {
            assert!(url(text).is_err(), "{text}");
        }
        // Printed back, the password would be in a log.
        assert!(!url("http://u:p@registry").unwrap_err().contains("u:p"));
    }
}
