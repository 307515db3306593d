//! How long payloads are: one size, or a distribution, as a text of one line.
//!
//! | text | meaning |
//! |---|---|
//! | `200` | 200 bytes each |
//! | `100..2000` | any size from 100 to 2,000 bytes, both included, all alike |
//! | `lognormal(300, 2000)` | half of them up to 300 bytes, 99 % up to 2,000, the logarithm of the size normal |
//! | `100:9, 10000:1` | nine of 100 bytes for each one of 10,000 |

use crate::chance;
use crate::identity_header;
use crate::portable_math::{exp, ln, ln_of, normal_quantile};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The shortest payload: its identity alone.
pub const BYTES_MIN: u32 = 43;
/// The longest payload: 16 MiB.
pub const BYTES_MAX: u32 = 16 << 20;
const _: () = assert!(BYTES_MIN as usize == identity_header::LENGTH, "an identity would not fit");
/// The most sizes of one table.
const TABLE_MAX: usize = 1_000;

/// How long payloads are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByteSizes {
    /// All alike.
    Fixed(u32),
    /// Any size within these bounds, both included.
    Uniform(u32, u32),
    /// A long tail. What it has outside of [`BYTES_MIN`] and [`BYTES_MAX`] lies on them.
    Lognormal {
        /// What half of them reach at most.
        median: u32,
        /// What 99 of 100 reach at most.
        p99: u32,
    },
    /// Sizes, each with its weight.
    Table(Vec<(u32, u32)>),
}

/// Sizes that payloads cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ByteSizesError {
    /// Not of one of the four forms.
    #[error(
        "{text:?} is no size of payloads: write bytes as \"200\", \"100..2000\", \"lognormal(MEDIAN, P99)\", or sizes with \
         weights as in \"100:9, 10000:1\""
    )]
    Text {
        /// What was received.
        text: String,
    },
    /// Too short to carry an identity, or too long.
    #[error("payloads of {received} bytes: allowed are {BYTES_MIN}, which their identity takes, to {BYTES_MAX}")]
    Size {
        /// The size received.
        received: u32,
    },
    /// The larger one comes first.
    #[error("payloads of {from} to {to} bytes: the second must be above the first")]
    Bounds {
        /// The first.
        from: u32,
        /// The second.
        to: u32,
    },
    /// Nothing weighs anything, or there are too many.
    #[error("a table of {received} sizes: allowed are 1 to {TABLE_MAX}, each with a weight above zero")]
    Table {
        /// How many sizes were received.
        received: usize,
    },
}

impl ByteSizes {
    /// Whether payloads can be that long.
    ///
    /// # Errors
    /// Names what they cannot be.
    pub fn validate(&self) -> Result<(), ByteSizesError> {
        let sizes = match self {
            Self::Fixed(size) => vec![*size],
            Self::Uniform(from, to) | Self::Lognormal { median: from, p99: to } => {
                if from >= to {
                    return Err(ByteSizesError::Bounds { from: *from, to: *to });
                }
                vec![*from, *to]
            }
            Self::Table(table) => {
                if !(1..=TABLE_MAX).contains(&table.len()) || table.iter().any(|(_, weight)| *weight == 0) {
                    return Err(ByteSizesError::Table { received: table.len() });
                }
                table.iter().map(|(size, _)| *size).collect()
            }
        };
        let wrong = sizes.into_iter().find(|size| !(BYTES_MIN..=BYTES_MAX).contains(size));
        wrong.map_or(Ok(()), |received| Err(ByteSizesError::Size { received }))
    }
}

impl FromStr for ByteSizes {
    type Err = ByteSizesError;

    fn from_str(text: &str) -> Result<Self, ByteSizesError> {
        let number = |text: &str| text.trim().parse::<u32>().ok();
        let two = |pair: Option<(&str, &str)>| pair.and_then(|(one, other)| Some((number(one)?, number(other)?)));
        let inner = text.trim().strip_prefix("lognormal(").and_then(|rest| rest.strip_suffix(')'));
        let sizes = if let Some(inner) = inner {
            two(inner.split_once(',')).map(|(median, p99)| Self::Lognormal { median, p99 })
        } else if text.contains(':') {
            text.split(',').map(|part| two(part.split_once(':'))).collect::<Option<_>>().map(Self::Table)
        } else if text.contains("..") {
            two(text.split_once("..")).map(|(from, to)| Self::Uniform(from, to))
        } else {
            number(text).map(Self::Fixed)
        };
        let sizes = sizes.ok_or_else(|| ByteSizesError::Text { text: text.to_owned() })?;
        sizes.validate()?;
        Ok(sizes)
    }
}

impl fmt::Display for ByteSizes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(formatter, "{size}"),
            Self::Uniform(from, to) => write!(formatter, "{from}..{to}"),
            Self::Lognormal { median, p99 } => write!(formatter, "lognormal({median}, {p99})"),
            Self::Table(table) => {
                for (place, (size, weight)) in table.iter().enumerate() {
                    write!(formatter, "{}{size}:{weight}", if place == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
        }
    }
}

impl Serialize for ByteSizes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSizes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Turns random words into sizes.
#[derive(Debug, Clone)]
pub(crate) enum SizeSampler {
    Fixed(usize),
    Uniform {
        from: u64,
        count: u64,
    },
    Lognormal {
        location: f64,
        scale: f64,
    },
    /// Sizes with the sum of all weights up to theirs.
    Table(Vec<(usize, u64)>),
}

impl SizeSampler {
    pub(crate) fn new(sizes: &ByteSizes) -> Self {
        match sizes {
            ByteSizes::Fixed(size) => Self::Fixed(*size as usize),
            ByteSizes::Uniform(from, to) => Self::Uniform { from: u64::from(*from), count: u64::from(to - from) + 1 },
            ByteSizes::Lognormal { median, p99 } => {
                let scale = ln_of(f64::from(*p99) / f64::from(*median)) / normal_quantile(0.99);
                Self::Lognormal { location: ln(*median), scale }
            }
            ByteSizes::Table(table) => {
                let sums = table.iter().scan(0, |sum, (size, weight)| {
                    *sum += u64::from(*weight);
                    Some((*size as usize, *sum))
                });
                Self::Table(sums.collect())
            }
        }
    }

    pub(crate) fn size(&self, random: u64) -> usize {
        match self {
            Self::Fixed(size) => *size,
            Self::Uniform { from, count } => usize_of(from + chance::below(random, *count)),
            Self::Lognormal { location, scale } => {
                // The middle of one of 2^52 equal parts, which 53 bits hold: never 0 or 1.
                let probability = ((random >> 12) as f64 + 0.5) / 4_503_599_627_370_496.0;
                let size = exp((location + scale * normal_quantile(probability)).clamp(0.0, 100.0)).round();
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 32 bits")]
                let size = size.clamp(f64::from(BYTES_MIN), f64::from(BYTES_MAX)) as usize;
                size
            }
            Self::Table(table) => {
                let drawn = chance::below(random, table.last().map_or(1, |(_, all)| *all));
                table[table.partition_point(|(_, sum)| *sum <= drawn)].0
            }
        }
    }
}

fn usize_of(size: u64) -> usize {
    usize::try_from(size).expect("a size of 16 MiB at most")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_both_ways() {
        for (text, sizes) in [
            ("200", ByteSizes::Fixed(200)),
            ("100..2000", ByteSizes::Uniform(100, 2_000)),
            ("lognormal(300, 2000)", ByteSizes::Lognormal { median: 300, p99: 2_000 }),
            ("100:9, 10000:1", ByteSizes::Table(vec![(100, 9), (10_000, 1)])),
        ] {
            assert_eq!(text.parse(), Ok(sizes.clone()), "{text}");
            assert_eq!(sizes.to_string(), text);
            let json = serde_json::to_string(&sizes).expect("serializable");
            assert_eq!(serde_json::from_str::<ByteSizes>(&json).expect("readable"), sizes);
        }
        assert_eq!(" 100 : 9 ,200:1".parse(), Ok(ByteSizes::Table(vec![(100, 9), (200, 1)])));
    }

    #[test]
    fn wrong_sizes_say_what_is_allowed() {
        for (text, expected) in [
            ("", "write bytes as \"200\""),
            ("-5", "write bytes as \"200\""),
            ("200B", "write bytes as \"200\""),
            ("100..", "write bytes as \"200\""),
            ("lognormal(300)", "write bytes as \"200\""),
            ("100:9;200:1", "write bytes as \"200\""),
            ("42", "payloads of 42 bytes: allowed are 43, which their identity takes, to 16777216"),
            ("16777217", "payloads of 16777217 bytes"),
            ("100..20000000", "payloads of 20000000 bytes"),
            ("200..100", "payloads of 200 to 100 bytes: the second must be above the first"),
            ("lognormal(300, 300)", "the second must be above the first"),
            ("100:0", "a table of 1 sizes: allowed are 1 to 1000, each with a weight above zero"),
        ] {
            let error = text.parse::<ByteSizes>().expect_err(text).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn every_word_has_a_size_within_bounds() {
        for (text, least, most) in [
            ("200", 200, 200),
            ("100..2000", 100, 2_000),
            ("lognormal(43, 16777216)", 43, 16_777_216),
            ("100:9, 10000:1", 100, 10_000),
        ] {
            let sampler = SizeSampler::new(&text.parse().expect(text));
            assert_eq!((sampler.size(0), sampler.size(u64::MAX)), (least, most), "{text}");
        }
    }
}
