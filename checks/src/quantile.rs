//! Percentiles by name, decided exactly: `p99 <= bound` is a question about how many samples are within the bound.
//!
//! A name is `max`, or `p` and a percentage above 0 and below 100: one or two digits, and where needed a point and up to
//! four digits more (`p50`, `p99.9`, `p99.9999`). [`Quantile::parse`] is the only reader of such names, so that what one
//! part of a program takes no other refuses.

/// The largest sample that `percent` of all samples do not exceed, as a fraction without rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantile {
    numerator: u64,
    denominator: u64,
}

/// What a percentile may be called, for messages.
pub const NAMES: &str = "p50, p99, p99.9 (any percentage above 0 and below 100, with up to four decimals) and max";
/// `p99.9999`: one sample in a million.
const DECIMALS_MAX: usize = 4;

impl Quantile {
    /// Reads `p50`, `p99.9`, `max`; `None` if the name is none.
    ///
    /// ```
    /// use shakedown_checks::Quantile;
    ///
    /// assert_eq!(Quantile::parse("p99.9").map(|quantile| quantile.needed(2_000)), Some(1_998));
    /// assert_eq!(Quantile::parse("p100"), None);
    /// ```
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if name == "max" {
            return Some(Self { numerator: 1, denominator: 1 });
        }
        let percent = name.strip_prefix('p')?;
        let (whole, fraction) = match percent.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (percent, None),
        };
        let numerals = |digits: &str, count_max| {
            (1..=count_max).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        // Two digits at most are also what keeps it below 100.
        if !numerals(whole, 2) || !fraction.is_none_or(|fraction| numerals(fraction, DECIMALS_MAX)) {
            return None;
        }
        let fraction = fraction.unwrap_or_default();
        let quantile = Self {
            numerator: format!("{whole}{fraction}").parse().ok()?,
            denominator: 10_u64.pow(u32::try_from(fraction.len()).ok()?) * 100,
        };
        (quantile.numerator > 0).then_some(quantile)
    }

    /// How many of `total` samples must not exceed the bound: the nearest-rank definition, `ceil(q * n)`.
    #[must_use]
    pub fn needed(self, total: u64) -> u64 {
        let product = u128::from(total) * u128::from(self.numerator);
        u64::try_from(product.div_ceil(u128::from(self.denominator))).unwrap_or(u64::MAX)
    }

    /// Between 0 and 1, for display.
    #[expect(clippy::cast_precision_loss, reason = "a percentile is displayed, not decided, by this figure")]
    pub(crate) fn fraction(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_percentages_or_max() {
        let needed = |name: &str, total| Quantile::parse(name).map(|quantile| quantile.needed(total));
        assert_eq!(needed("p50", 10), Some(5));
        assert_eq!(needed("p50", 11), Some(6));
        assert_eq!(needed("p99", 1_000), Some(990));
        assert_eq!(needed("p99.9", 1_000), Some(999));
        assert_eq!(needed("p99.9", 1_001), Some(1_000));
        assert_eq!(needed("p99.9999", 1_000_000), Some(999_999));
        assert_eq!(needed("p0.0001", 1_000_000), Some(1));
        assert_eq!(needed("max", 1_001), Some(1_001));
        for name in [
            "",
            "p",
            "50",
            "p0",
            "p00",
            "p0.0000",
            "p100",
            "p100.0",
            "p099",
            "p-1",
            "p+5",
            "p99.",
            "p.9",
            "p.",
            "p1e1",
            "p9 9",
            "p9.9.9",
            "P50",
            "Max",
            "mean",
            "pinf",
            "p99.99999",
            "p99.99999999999",
            "p\u{664}",
        ] {
            assert_eq!(Quantile::parse(name), None, "{name:?}");
        }
    }
}
