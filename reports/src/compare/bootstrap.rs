//! How far apart two lots of runs are that nobody paired: runs are drawn again, and intervals within runs.
//!
//! Two levels, because there are two ways for a run to be different by chance: the machine on that day, and the seconds that
//! were caught. A resampled side draws runs with replacement, and takes of each a resampled figure. The spread of the
//! difference over many such draws is its standard error (B. Efron and R. Tibshirani, "An Introduction to the Bootstrap",
//! 1993, chapters 6 and 8; A. C. Davison and D. V. Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8,
//! for the levels).
//!
//! A bootstrap of five runs is too sure of itself: it knows the spread of five, not that of all. So each side's variance is
//! stretched by n / (n - 1), and the interval is Student's, with Welch's degrees of freedom (T. Hesterberg, "What Teachers
//! Should Know About the Bootstrap", The American Statistician 69 (2015), section 4.3).

use rand::{Rng, RngExt as _};
use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// How often a side is drawn. The standard error is then known to 3 % or so, which is far less than what the runs leave open.
const DRAWS: usize = 500;

/// One run: its own figure, and figures of it with its intervals drawn again, all as logarithms.
#[derive(Debug, Clone)]
pub struct Run {
    /// As it was measured.
    pub figure: f64,
    /// As it could have been.
    pub resampled: Vec<f64>,
}

/// The difference of two lots of runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// The mean of the second less the mean of the first.
    pub estimate: f64,
    /// How far off that may be.
    pub standard_error: f64,
    /// How well the standard error itself is known.
    pub degrees_of_freedom: f64,
}

impl Difference {
    /// Between two lots; `None` unless both have two runs.
    #[must_use]
    pub fn between(a: &[Run], b: &[Run], random: &mut impl Rng) -> Option<Self> {
        let (spread_a, spread_b) = (variance_of_mean(a, random)?, variance_of_mean(b, random)?);
        let (variance, within) =
            (spread_a + spread_b, |spread: f64, runs: &[Run]| spread * spread / (runs.len() - 1) as f64);
        let denominator = within(spread_a, a) + within(spread_b, b);
        Some(Self {
            estimate: mean(b.iter().map(|run| run.figure)) - mean(a.iter().map(|run| run.figure)),
            standard_error: variance.sqrt(),
            degrees_of_freedom: if denominator > 0.0 { variance * variance / denominator } else { 1.0 },
        })
    }

    /// How likely so much of a difference is, one way or the other, when nothing is behind it.
    #[must_use]
    pub fn p_two_sided(&self) -> f64 {
        if self.standard_error <= 0.0 {
            return if self.estimate == 0.0 { 1.0 } else { 0.0 };
        }
        let student = StudentsT::new(0.0, 1.0, self.degrees_of_freedom).expect("degrees of freedom are positive");
        2.0 * student.sf(self.estimate.abs() / self.standard_error)
    }

    /// Where it lies, but for a probability of `alpha`.
    #[must_use]
    pub fn interval(&self, alpha: f64) -> (f64, f64) {
        let student = StudentsT::new(0.0, 1.0, self.degrees_of_freedom).expect("degrees of freedom are positive");
        let reach = student.inverse_cdf(1.0 - alpha / 2.0) * self.standard_error;
        (self.estimate - reach, self.estimate + reach)
    }
}

/// The variance of the mean of so many runs, from drawing them again.
fn variance_of_mean(runs: &[Run], random: &mut impl Rng) -> Option<f64> {
    if runs.len() < 2 {
        return None;
    }
    let mut pick = || {
        let run = &runs[random.random_range(0..runs.len())];
        match run.resampled.len() {
            0 => run.figure,
            number => run.resampled[random.random_range(0..number)],
        }
    };
    let mut draw = || (0..runs.len()).map(|_| pick()).sum::<f64>() / runs.len() as f64;
    let means: Vec<f64> = (0..DRAWS).map(|_| draw()).collect();
    let middle = mean(means.iter().copied());
    let variance = means.iter().map(|value| (value - middle).powi(2)).sum::<f64>() / (DRAWS - 1) as f64;
    let number = runs.len() as f64;
    Some(variance * number / (number - 1.0))
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let number = values.len() as f64;
    values.sum::<f64>() / number
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    fn runs(figures: &[f64]) -> Vec<Run> {
        figures.iter().map(|figure| Run { figure: *figure, resampled: vec![*figure] }).collect()
    }

    #[test]
    fn without_a_second_level_it_is_welch_of_the_runs() {
        let (a, b) = ([27.5, 21.0, 19.0, 23.6, 17.0, 17.9], [27.1, 22.0, 20.8, 23.4, 23.4, 23.5]);
        let found = Difference::between(&runs(&a), &runs(&b), &mut ChaCha8Rng::seed_from_u64(1)).expect("enough runs");
        // scipy 1.17: ttest_ind(b, a, equal_var=False).
        assert!((found.estimate - 2.366_666_667).abs() < 1e-9, "{found:?}");
        assert!((found.standard_error / 1.835_150_614 - 1.0).abs() < 0.08, "{found:?}");
        assert!((found.degrees_of_freedom - 7.636_562).abs() < 0.8, "{found:?}");
        assert!((found.p_two_sided() - 0.234_862).abs() < 0.03, "{found:?}: {}", found.p_two_sided());
        let (low, high) = found.interval(0.01);
        assert!((low + 3.877_095).abs() < 0.8 && (high - 8.610_429).abs() < 0.8, "{low} to {high}");
    }

    #[test]
    fn what_varies_within_runs_counts_too() {
        let steady = runs(&[1.0, 1.1, 0.9, 1.05, 0.95]);
        let wild: Vec<Run> = steady
            .iter()
            .map(|run| Run { figure: run.figure, resampled: vec![run.figure - 0.5, run.figure + 0.5] })
            .collect();
        let error = |a: &[Run], b: &[Run]| {
            Difference::between(a, b, &mut ChaCha8Rng::seed_from_u64(3)).expect("enough runs").standard_error
        };
        assert!(error(&steady, &wild) > 3.0 * error(&steady, &steady));
    }

    #[test]
    fn equal_runs_are_no_difference_and_one_run_is_no_lot() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let flat = runs(&[2.0, 2.0, 2.0]);
        let found = Difference::between(&flat, &flat, &mut random).expect("enough runs");
        assert!((found.p_two_sided() - 1.0).abs() < 1e-12, "{found:?}");
        assert_eq!(found.interval(0.01), (0.0, 0.0));
        assert_eq!(Difference::between(&runs(&[1.0]), &flat, &mut random), None);
    }
}
