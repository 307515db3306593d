//! A rate as an exact ratio: so many messages in so many nanoseconds.
//!
//! A floating-point rate drifts: 0.1 % of an hour at 100,000/s is 360,000 messages. Every computation with a rate is
//! therefore in integers.

use crate::duration_text;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Messages per duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    messages: u64,
    per_ns: u64,
}

/// A rate that nobody can offer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// Not of the form `N/unit`.
    #[error("{text:?} is not a rate: write messages per s, m, h or a duration, as in \"500/s\" or \"7/250ms\"")]
    Text {
        /// What was received.
        text: String,
    },
    /// A term of the ratio is zero, or too large.
    #[error("a rate of {messages} messages in {per:?}: both must be above zero, and the duration below 584 years")]
    Range {
        /// The messages received.
        messages: u64,
        /// The duration received.
        per: Duration,
    },
}

impl Rate {
    /// So many messages in so long.
    ///
    /// # Errors
    /// When either is zero, or the duration does not fit 64 bits of nanoseconds.
    pub fn new(messages: u64, per: Duration) -> Result<Self, RateError> {
        match u64::try_from(per.as_nanos()) {
            Ok(per_ns) if messages > 0 && per_ns > 0 => Ok(Self { messages, per_ns }),
            _ => Err(RateError::Range { messages, per }),
        }
    }

    /// So many messages each second.
    ///
    /// # Errors
    /// When the number is zero.
    pub fn per_second(messages: u64) -> Result<Self, RateError> {
        Self::new(messages, Duration::from_secs(1))
    }

    /// Messages in [`Self::per_ns`].
    #[must_use]
    pub const fn messages(self) -> u64 {
        self.messages
    }

    /// Nanoseconds in which [`Self::messages`] are due.
    #[must_use]
    pub const fn per_ns(self) -> u64 {
        self.per_ns
    }

    /// When the `n`-th message (from 0) of a steady stream is due, in nanoseconds from its start; `None` past 584 years.
    #[must_use]
    pub fn offset_ns(self, n: u64) -> Option<u64> {
        u64::try_from(u128::from(n) * u128::from(self.per_ns) / u128::from(self.messages)).ok()
    }

    /// How many messages of a steady stream are due within the first `span_ns` nanoseconds, the end excluded; `None`
    /// when that does not fit 64 bits.
    #[must_use]
    pub fn messages_within(self, span_ns: u64) -> Option<u64> {
        // offset(n) < span  <=>  n * per / messages < span (floor)  <=>  n * per < span * messages.
        u64::try_from((u128::from(span_ns) * u128::from(self.messages)).div_ceil(u128::from(self.per_ns))).ok()
    }

    /// So many times slower; exact, up to 584 years for its messages.
    pub(crate) fn slowed(self, times: u32) -> Self {
        Self { messages: self.messages, per_ns: self.per_ns.saturating_mul(u64::from(times)) }
    }

    /// For display and for statistics, never for scheduling.
    #[must_use]
    pub fn as_f64_per_second(self) -> f64 {
        self.messages as f64 * 1e9 / self.per_ns as f64
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let error = || RateError::Text { text: text.to_owned() };
        let (messages, per) = text.split_once('/').ok_or_else(error)?;
        if messages.is_empty() || !messages.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(error());
        }
        let messages = messages.parse().map_err(|_| error())?;
        let per = if per.starts_with(|character: char| character.is_ascii_digit()) {
            duration_text::parse(per)
        } else {
            duration_text::parse(&format!("1{per}"))
        };
        Self::new(messages, per.map_err(|_| error())?)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = duration_text::format(Duration::from_nanos(self.per_ns));
        let unit = per.strip_prefix('1').filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()));
        write!(formatter, "{}/{}", self.messages, unit.unwrap_or(&per))
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_both_ways() {
        for (text, messages, per_ns) in [
            ("500/s", 500, 1_000_000_000),
            ("30/m", 30, 60_000_000_000),
            ("1/h", 1, 3_600_000_000_000),
            ("7/250ms", 7, 250_000_000),
            ("3/10s", 3, 10_000_000_000),
        ] {
            let rate: Rate = text.parse().expect(text);
            assert_eq!((rate.messages(), rate.per_ns()), (messages, per_ns), "{text}");
            assert_eq!(rate.to_string(), text);
            assert_eq!(serde_json::to_string(&rate).expect("serializable"), format!("{text:?}"));
            assert_eq!(serde_json::from_str::<Rate>(&format!("{text:?}")).expect("readable"), rate);
        }
    }

    #[test]
    fn refuses_what_nobody_can_offer() {
        for text in ["", "500", "/s", "500/", "0/s", "5/0s", "-5/s", "+5/s", "1.5/s", "500/second", "500 /s"] {
            assert!(text.parse::<Rate>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_third_of_a_second_never_drifts() {
        let rate = Rate::per_second(3).expect("valid");
        let offsets: Vec<_> = (0..7).map(|n| rate.offset_ns(n).expect("fits")).collect();
        assert_eq!(offsets, [0, 333_333_333, 666_666_666, 1_000_000_000, 1_333_333_333, 1_666_666_666, 2_000_000_000]);
        assert_eq!(rate.offset_ns(3 * 86_400 * 365), Some(86_400 * 365 * 1_000_000_000));
    }

    #[test]
    fn parts_of_a_rate_add_up_to_it() {
        let rate = Rate::per_second(1_000).expect("valid");
        assert_eq!(rate.slowed(1), rate);
        assert_eq!(rate.slowed(3).messages_within(3_000_000_000), Some(1_000), "a third of it in each second");
        assert_eq!(rate.slowed(u32::MAX).slowed(u32::MAX).per_ns(), u64::MAX);
    }

    #[test]
    fn the_end_of_a_span_is_excluded() {
        let rate = Rate::per_second(500).expect("valid");
        for (span_ns, messages) in
            [(0, 0), (1, 1), (2_000_000, 1), (2_000_001, 2), (10_000_000_000, 5_000), (10_000_000_001, 5_001)]
        {
            assert_eq!(rate.messages_within(span_ns), Some(messages), "{span_ns} ns");
        }
        assert_eq!(Rate::new(u64::MAX, Duration::from_nanos(1)).expect("valid").messages_within(2), None);
    }
}
