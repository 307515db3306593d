//! Whether a lag grows: the slope of Theil and Sen, with its upper limit at 95 %.
//!
//! The median of the slopes between all pairs of points: a few stalls in the middle of a trial do not move it. Its limit is
//! that of P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau" (1968): from the variance of
//! Kendall's tau follows which of the sorted slopes the true one does not pass.

use serde::{Deserialize, Serialize};

/// One side, 95 %.
const Z: f64 = 1.645;
/// The part of a series at its end that stands for the final lag.
const LAST: usize = 20;

/// How one lag went in a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// Whose lag: `acknowledgements`, or `group order-tracker on orders`.
    pub of: String,
    /// Messages a second by which it grew.
    pub slope: f64,
    /// What the slope does not pass, at 95 %.
    pub slope_upper: f64,
    /// Messages at the end: the median of the last twentieth.
    pub last: f64,
}

impl Trend {
    /// Of points in the order of time, each with seconds and messages. Two points at least make a slope; fewer are a lag that
    /// does not grow.
    #[must_use]
    pub fn of(name: &str, points: &[(f64, f64)]) -> Self {
        let (slope, slope_upper) = slope(points);
        let tail = &points[points.len() - (points.len() / LAST).max(1).min(points.len())..];
        let last = median(&mut tail.iter().map(|(_, lag)| *lag).collect::<Vec<_>>());
        Self { of: name.to_owned(), slope, slope_upper, last }
    }
}

/// The slope, and its upper limit.
fn slope(points: &[(f64, f64)]) -> (f64, f64) {
    let mut slopes = Vec::with_capacity(points.len() * points.len().saturating_sub(1) / 2);
    for (place, (at, lag)) in points.iter().enumerate() {
        let behind = points[place + 1..].iter().filter(|(later, _)| later > at);
        slopes.extend(behind.map(|(later, more)| (more - lag) / (later - at)));
    }
    if slopes.is_empty() {
        return (0.0, 0.0);
    }
    let median = median(&mut slopes);
    let (n, pairs) = (points.len() as f64, slopes.len() as f64);
    let reach = Z * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place among the slopes, cut to it")]
    let upper = ((pairs + reach) / 2.0).ceil().clamp(0.0, pairs - 1.0) as usize;
    (median, slopes[upper])
}

/// Sorts, and takes the one in the middle; 0 of nothing.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(lag: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        (0..100).map(|n| f64::from(n) / 10.0).map(|at| (at, lag(at))).collect()
    }

    /// Evenly spread over -1 to 1, and without order.
    fn noise(at: f64) -> f64 {
        (at * 10.0 * 0.618_033_988_75).fract() * 2.0 - 1.0
    }

    #[test]
    fn a_line_is_its_own_slope() {
        let trend = Trend::of("x", &points(|at| 5.0 + 3.0 * at));
        assert!((trend.slope - 3.0).abs() < 1e-9 && (trend.slope_upper - 3.0).abs() < 1e-9, "{trend:?}");
        assert!((trend.last - (5.0 + 3.0 * 9.7)).abs() < 1e-9, "{trend:?}");
    }

    #[test]
    fn a_stall_that_was_worked_off_is_no_trend() {
        let trend = Trend::of("x", &points(|at| if (4.0..6.0).contains(&at) { 10_000.0 } else { 7.0 }));
        assert!((trend.slope, trend.last) == (0.0, 7.0), "{trend:?}");
    }

    #[test]
    fn noise_widens_the_limit_and_not_the_slope() {
        let steady = Trend::of("x", &points(|at| 100.0 + 10.0 * noise(at)));
        assert!(steady.slope.abs() < 0.3 && steady.slope_upper > 0.0 && steady.slope_upper < 1.0, "{steady:?}");
        let growing = Trend::of("x", &points(|at| 5.0 * at + 10.0 * noise(at)));
        assert!((growing.slope - 5.0).abs() < 0.3 && growing.slope_upper > 5.0, "{growing:?}");
    }

    #[test]
    fn nothing_does_not_grow() {
        for points in [&[][..], &[(1.0, 4.0)], &[(1.0, 4.0), (1.0, 9.0)]] {
            assert!(Trend::of("x", points).slope == 0.0, "{points:?}");
        }
    }
}
