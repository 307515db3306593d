//! Durations as people write them: `250us`, `20ms`, `10s`, `5m`, `2h`.
//!
//! Whole numbers only, so that every text has exactly one meaning and [`format()`] gives back what [`parse`] reads. Serde
//! fields use the module with `#[serde(with = "...")]`.

use serde::{Deserialize, Deserializer, Serializer};
use std::time::Duration;

/// Units from the largest to the smallest, each with its nanoseconds.
const UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a duration: write a whole number and one of ns, us, ms, s, m, h, as in \"250ms\"")]
pub struct DurationTextError {
    /// What was received.
    pub text: String,
}

/// Reads a duration.
///
/// # Errors
/// When the text is not a whole number followed by a unit, or does not fit 584 years.
pub fn parse(text: &str) -> Result<Duration, DurationTextError> {
    let error = || DurationTextError { text: text.to_owned() };
    let digits_end = text.find(|character: char| !character.is_ascii_digit()).ok_or_else(error)?;
    let (digits, unit) = text.split_at(digits_end);
    let count: u64 = digits.parse().map_err(|_| error())?;
    let (_, unit_ns) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(error)?;
    count.checked_mul(*unit_ns).map(Duration::from_nanos).ok_or_else(error)
}

/// Writes a duration in the largest unit that leaves a whole number.
#[must_use]
pub fn format(duration: Duration) -> String {
    let total = duration.as_nanos();
    if total == 0 {
        return "0s".to_owned();
    }
    let (name, unit_ns) = UNITS
        .iter()
        .find(|(_, unit_ns)| total.is_multiple_of(u128::from(*unit_ns)))
        .expect("every duration is a whole number of nanoseconds");
    format!("{}{name}", total / u128::from(*unit_ns))
}

/// For `#[serde(with)]`.
///
/// # Errors
/// Whatever the serializer answers.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// For `#[serde(with)]`.
///
/// # Errors
/// When the value is not a text that [`parse`] reads.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit_and_writes_it_back() {
        for (text, nanoseconds) in
            [("7ns", 7), ("250us", 250_000), ("20ms", 20_000_000), ("10s", 10_000_000_000), ("5m", 300_000_000_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanoseconds)), "{text}");
            assert_eq!(format(Duration::from_nanos(nanoseconds)), text);
        }
        assert_eq!(format(Duration::from_secs(7_200)), "2h");
        assert_eq!(format(Duration::from_millis(1_500)), "1500ms");
        assert_eq!(format(Duration::ZERO), "0s");
    }

    #[test]
    fn refuses_what_has_no_single_meaning() {
        for text in ["", "10", "s", "1.5s", "-1s", "10 s", "10sec", "1m30s", "99999999999999999999s", "600000000h"] {
            let error = parse(text).expect_err(text);
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }
}
