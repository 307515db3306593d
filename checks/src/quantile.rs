//! Percentiles by name, decided exactly: `p99 <= bound` is a question about how many samples are within the bound.

/// The largest sample that `percent` of all samples do not exceed, as a fraction without rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quantile {
    numerator: u64,
    denominator: u64,
}

/// What a percentile may be called, for messages.
pub(crate) const NAMES: &str = "p50, p99, p99.9 (any percentage above 0 and below 100) and max";

impl Quantile {
    /// Reads `p50`, `p99.9`, `max`; `None` if the name is none.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        if name == "max" {
            return Some(Self { numerator: 1, denominator: 1 });
        }
        let percent = name.strip_prefix('p')?;
        let (whole, fraction) = percent.split_once('.').unwrap_or((percent, ""));
        let digits = format!("{whole}{fraction}");
        let plain = !whole.is_empty() && digits.len() <= 12 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !plain || percent.ends_with('.') {
            return None;
        }
        let quantile = Self {
            numerator: digits.parse().ok()?,
            denominator: 10_u64.pow(u32::try_from(fraction.len()).ok()?) * 100,
        };
        (quantile.numerator > 0 && quantile.numerator < quantile.denominator).then_some(quantile)
    }

    /// How many of `total` samples must not exceed the bound: the nearest-rank definition, `ceil(q * n)`.
    pub(crate) fn needed(self, total: u64) -> u64 {
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
        assert_eq!(needed("max", 1_001), Some(1_001));
        for name in ["", "p", "50", "p0", "p100", "p-1", "p99.", "p.9", "p1e1", "P50", "mean", "p99.99999999999"] {
            assert_eq!(Quantile::parse(name), None, "{name}");
        }
    }
}
