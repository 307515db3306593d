//! Quantities with units: how long, how often, how skewed, which percentile.

use super::document::{Content, Node};
use super::names;
use super::problem::Problems;
use super::setting::{Setting, wrong_type};
use serde_json::{Value as Json, json};
use shakedown_checks::Quantile;
use shakedown_loadgen::Speed;
use std::time::Duration;

/// Units of time with their length in nanoseconds, shortest first.
const UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// The longest duration the language takes; no run lasts a month, and sums of two can never overflow.
const LONGEST_NS: u128 = 31 * 24 * 3_600_000_000_000;

fn unit(name: &str) -> Option<u64> {
    UNITS.iter().find(|(unit, _)| *unit == name).map(|(_, length)| *length)
}

fn unit_names() -> impl Iterator<Item = &'static str> {
    UNITS.iter().map(|(name, _)| *name)
}

/// A duration with its unit, exact to the nanosecond: `250ms`, `1.5s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl Setting for Span {
    fn schema() -> Json {
        json!({ "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?(ns|us|ms|s|m|h|d)$", "examples": ["250ms", "1.5s"] })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let Content::Text(text) = &node.content else {
            wrong_type(node, path, "a duration with its unit in quotes, such as \"250ms\" or \"1.5s\"", problems);
            return None;
        };
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
        let (number, unit_name) = (text[..split].trim(), text[split..].trim());
        if text.trim_start().strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
            let help = "negative durations are not allowed: write 0 or more with a unit, such as \"250ms\" or \"1.5s\"";
            problems.add(node.place, format!("`{path}` cannot be negative: \"{text}\""), "below zero", help);
            return None;
        }
        if number.is_empty() {
            let help = "a duration is a number with a unit, such as \"250ms\" or \"1.5s\"";
            problems.add(node.place, format!("`{path}` is not a duration: \"{text}\""), "no number", help);
            return None;
        }
        let Some(length) = unit(unit_name) else {
            let message = match unit_name {
                "" => format!("`{path}` has no unit: \"{text}\""),
                _ => format!("`{path}` has an unknown unit `{unit_name}`: \"{text}\""),
            };
            problems.add(node.place, message, "which unit?", names::advice(unit_name, unit_names()));
            return None;
        };
        match decimal(number, length) {
            Some(nanoseconds) => Some(Self(Duration::from_nanos(nanoseconds))),
            None => {
                let help = "a decimal number, to the nanosecond at most, and no longer than 31 days";
                problems.add(node.place, format!("`{path}` has a bad number: \"{text}\""), "not a number", help);
                None
            }
        }
    }
}

/// `number` units of `length` nanoseconds, where the result is a whole number of them.
fn decimal(number: &str, length: u64) -> Option<u64> {
    let clean = number.replace('_', "");
    let (whole, fraction) = clean.split_once('.').unwrap_or((&clean, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') || fraction.len() > 13 || whole.len() > 19 {
        return None;
    }
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let digits = whole.parse::<u128>().ok()? * scale + fraction.parse::<u128>().ok()?;
    let product = digits.checked_mul(u128::from(length))?;
    let nanoseconds = product / scale;
    (product % scale == 0 && nanoseconds <= LONGEST_NS).then(|| u64::try_from(nanoseconds).ok()).flatten()
}

/// So many messages in each unit of time: `500/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frequency {
    /// How many.
    pub messages: u64,
    /// In how long.
    pub per: Duration,
}

impl Setting for Frequency {
    fn schema() -> Json {
        json!({ "type": "string", "pattern": r"^[0-9][0-9_]*/(ns|us|ms|s|m|h|d)$", "examples": ["500/s", "20_000/s"] })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let Content::Text(text) = &node.content else {
            wrong_type(node, path, "a rate with its unit in quotes, such as \"500/s\"", problems);
            return None;
        };
        let Some((number, unit_name)) = text.split_once('/') else {
            let help = "a rate is a number of messages and a unit of time, such as \"500/s\"";
            problems.add(node.place, format!("`{path}` is not a rate: \"{text}\""), "per what?", help);
            return None;
        };
        let Some(length) = unit(unit_name.trim()) else {
            let message = format!("`{path}` has an unknown unit `{}`: \"{text}\"", unit_name.trim());
            problems.add(node.place, message, "per what?", names::advice(unit_name.trim(), unit_names()));
            return None;
        };
        match number.trim().replace('_', "").parse::<u64>() {
            Ok(messages @ 1..=1_000_000_000) => Some(Self { messages, per: Duration::from_nanos(length) }),
            _ => {
                let help =
                    "a whole number of messages from 1 to 1_000_000_000; for fewer than one a second take `m` or `h`";
                problems.add(node.place, format!("`{path}` has a bad number: \"{text}\""), "how many?", help);
                None
            }
        }
    }
}

/// How skewed a distribution is: 0 for none, around 1 for the famous long tail.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Skew(pub f64);

impl Setting for Skew {
    fn schema() -> Json {
        json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 4 })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let number = match node.content {
            Content::Float(number) => number,
            Content::Integer(number) => f64::from(i32::try_from(number).unwrap_or(i32::MAX)),
            _ => {
                wrong_type(node, path, "a number above 0 and up to 4, such as 0.9", problems);
                return None;
            }
        };
        if number > 0.0 && number <= 4.0 {
            return Some(Self(number));
        }
        problems.add(
            node.place,
            format!("`{path}` cannot be {number}"),
            "out of range",
            "allowed: above 0 and up to 4",
        );
        None
    }
}

/// How fast something goes: 2 is twice as fast, 0 stands still.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Factor(pub f64);

impl Setting for Factor {
    fn schema() -> Json {
        json!({ "type": "number", "minimum": 0, "maximum": 1000 })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let number = match node.content {
            Content::Float(number) => number,
            Content::Integer(number) => f64::from(i32::try_from(number).unwrap_or(i32::MAX)),
            _ => {
                wrong_type(node, path, "a number from 0 to 1000, such as 1.5", problems);
                return None;
            }
        };
        if (0.0..=1000.0).contains(&number) {
            return Some(Self(number));
        }
        problems.add(node.place, format!("`{path}` cannot be {number}"), "out of range", "allowed: 0 to 1000");
        None
    }
}

/// A part of something, neither nothing nor all of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proportion(pub f64);

impl Setting for Proportion {
    fn schema() -> Json {
        json!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let number = match node.content {
            Content::Float(number) => number,
            Content::Integer(number) => f64::from(i32::try_from(number).unwrap_or(i32::MAX)),
            _ => {
                wrong_type(node, path, "a number between 0 and 1, such as 0.8", problems);
                return None;
            }
        };
        if number > 0.0 && number < 1.0 {
            return Some(Self(number));
        }
        problems.add(
            node.place,
            format!("`{path}` cannot be {number}"),
            "out of range",
            "allowed: above 0 and below 1",
        );
        None
    }
}

/// How fast something is done again: 2 is twice as fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tempo(pub Speed);

impl Setting for Tempo {
    fn schema() -> Json {
        json!({ "type": "number", "minimum": 0.001, "maximum": 1000 })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let number = match node.content {
            Content::Float(number) => number.to_string(),
            Content::Integer(number) => number.to_string(),
            _ => {
                wrong_type(node, path, "a number from 0.001 to 1000, such as 2 or 0.5", problems);
                return None;
            }
        };
        match number.parse() {
            Ok(speed) => Some(Self(speed)),
            Err(_) => {
                let help = "allowed: 0.001 to 1000, with at most three decimals";
                problems.add(node.place, format!("`{path}` cannot be {number}"), "out of range", help);
                None
            }
        }
    }
}

/// Whether this is the name of a percentile, as the check of latency reads it: `p50`, `p99.9`, `max`.
#[must_use]
pub fn is_percentile(name: &str) -> bool {
    Quantile::parse(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::{decimal, is_percentile};

    #[test]
    fn durations_are_exact() {
        assert_eq!(decimal("1.5", 1_000_000_000), Some(1_500_000_000));
        assert_eq!(decimal("0.000000001", 1_000_000_000), Some(1));
        assert_eq!(decimal("0.5", 1), None, "half a nanosecond is not a duration");
        assert_eq!(decimal("1_000", 1_000), Some(1_000_000));
        for bad in [".", "1.", ".5", "1.2.3", "99999999999999999999"] {
            assert_eq!(decimal(bad, 1_000_000), None, "{bad}");
        }
    }

    #[test]
    fn percentiles_are_recognised() {
        for good in ["p50", "p99", "p99.9", "p0.1", "max"] {
            assert!(is_percentile(good), "{good}");
        }
        for bad in
            ["p", "p0", "p100", "p-1", "50", "min", "pinf", "p+5", "p99.", "p1e1", "p99.99999999999", "p.9", "P50"]
        {
            assert!(!is_percentile(bad), "{bad}");
        }
    }
}
