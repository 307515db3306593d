//! From an estimate and its interval to a verdict.

use serde::{Deserialize, Serialize};

/// What is said of a metric, or of the whole comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// Significantly less, and by more than the margin.
    Faster,
    /// The whole interval lies within the margin.
    Same,
    /// Significantly more, and by more than the margin.
    Slower,
    /// Anything else: what was measured fits "same" as well as a difference that matters.
    TooNoisy,
    /// The runs cannot be believed, or not be compared.
    Invalid,
}

impl Judgement {
    /// As reports write it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Faster => "FASTER",
            Self::Same => "SAME",
            Self::Slower => "SLOWER",
            Self::TooNoisy => "TOO NOISY",
            Self::Invalid => "INVALID",
        }
    }

    /// The exit code that stands for it: 0 faster or same, 1 slower, 3 noisy or invalid.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Faster | Self::Same => 0,
            Self::Slower => 1,
            Self::TooNoisy | Self::Invalid => 3,
        }
    }

    /// What several metrics come to: one that is slower decides; then one that nobody can judge; then one that is faster.
    #[must_use]
    pub fn of_all(judgements: impl IntoIterator<Item = Self>) -> Self {
        let rank = |judgement: Self| match judgement {
            Self::Same => 0,
            Self::Faster => 1,
            Self::TooNoisy => 2,
            Self::Slower => 3,
            Self::Invalid => 4,
        };
        // Nothing that was compared is nothing that is the same.
        judgements.into_iter().max_by_key(|judgement| rank(*judgement)).unwrap_or(Self::TooNoisy)
    }
}

/// A difference as it was found: logarithms of B / A throughout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// How much.
    pub change: f64,
    /// Between what it lies; `None` where there is too little to say so.
    pub interval: Option<(f64, f64)>,
    /// How likely it is when nothing is behind it, by itself.
    pub p: f64,
}

/// Judges one metric: `p_adjusted` is what its probability comes to among all metrics, `margin` a share (0.05 is 5 %).
#[must_use]
pub fn judge(estimate: &Estimate, p_adjusted: f64, alpha: f64, margin: f64) -> Judgement {
    // The same factor both ways: half as fast is as far from 1 as twice as fast.
    let bound = margin.ln_1p();
    if p_adjusted <= alpha && estimate.change.abs() > bound {
        return if estimate.change > 0.0 { Judgement::Slower } else { Judgement::Faster };
    }
    match estimate.interval {
        Some((low, high)) if low > -bound && high < bound => Judgement::Same,
        _ => Judgement::TooNoisy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(change: f64, interval: Option<(f64, f64)>, p: f64) -> Judgement {
        judge(&Estimate { change, interval, p }, p, 0.01, 0.10)
    }

    #[test]
    fn a_verdict_needs_certainty_and_size() {
        assert_eq!(judged(0.20, Some((0.15, 0.25)), 0.001), Judgement::Slower);
        assert_eq!(judged(-0.20, Some((-0.25, -0.15)), 0.001), Judgement::Faster);
        assert_eq!(judged(0.20, Some((-0.05, 0.45)), 0.02), Judgement::TooNoisy, "large, and uncertain");
        assert_eq!(judged(0.03, Some((0.02, 0.04)), 0.001), Judgement::Same, "certain, and nobody minds");
        assert_eq!(judged(0.08, Some((0.02, 0.14)), 0.001), Judgement::TooNoisy, "it may be more than the margin");
        assert_eq!(judged(0.0, Some((-0.2, 0.01)), 0.9), Judgement::TooNoisy);
        assert_eq!(judged(0.0, None, 1.0), Judgement::TooNoisy, "too few runs to say");
        // The margin is a factor: 1.1 one way, 1 / 1.1 the other.
        assert_eq!(judged(0.0954, Some((0.09, 0.097)), 0.001), Judgement::Slower);
        assert_eq!(judged(0.0952, Some((0.09, 0.0953)), 0.001), Judgement::Same);
    }

    #[test]
    fn the_worst_metric_speaks_for_all() {
        use Judgement::{Faster, Invalid, Same, Slower, TooNoisy};
        assert_eq!(Judgement::of_all([Same, Faster, Same]), Faster);
        assert_eq!(Judgement::of_all([Faster, TooNoisy]), TooNoisy);
        assert_eq!(Judgement::of_all([TooNoisy, Slower, Faster]), Slower);
        assert_eq!(Judgement::of_all([Slower, Invalid]), Invalid);
        assert_eq!(Judgement::of_all([]), TooNoisy);
        let codes = [Faster, Same, Slower, TooNoisy, Invalid].map(Judgement::exit_code);
        assert_eq!(codes, [0, 0, 1, 3, 3]);
    }
}
