//! When each order is due, counted from the start: a pure schedule that knows nothing of what was sent.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// How orders are spread over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// At equal distances.
    Constant,
    /// Independently of each other, as customers come.
    Poisson,
}

/// The stream of the seed's randomness that belongs to arrivals; orders have another.
const ARRIVALS_STREAM: u64 = 1;

/// The due instants of the orders, in order.
#[derive(Debug)]
pub(crate) struct Arrivals {
    shape: Shape,
    per_second: f64,
    orders: u64,
    elapsed_seconds: f64,
    random: ChaCha8Rng,
}

impl Arrivals {
    pub(crate) fn new(shape: Shape, per_second: f64, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(ARRIVALS_STREAM);
        Self { shape, per_second, orders: 0, elapsed_seconds: 0.0, random }
    }

    /// When the next order is due.
    pub(crate) fn next_due(&mut self) -> Duration {
        match self.shape {
            Shape::Constant => {
                // Multiplied, not added up, so that rounding does not accumulate. Counts stay far below 2^53.
                #[expect(clippy::cast_precision_loss, reason = "exact below 2^53 orders")]
                let seconds = self.orders as f64 / self.per_second;
                self.elapsed_seconds = seconds;
            }
            Shape::Poisson => {
                // In [0, 1), so that the logarithm of what is left of 1 is finite.
                let uniform: f64 = self.random.random();
                self.elapsed_seconds += -(1.0 - uniform).ln() / self.per_second;
            }
        }
        self.orders += 1;
        Duration::from_secs_f64(self.elapsed_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_arrivals_lie_at_equal_distances() {
        let mut arrivals = Arrivals::new(Shape::Constant, 4.0, 0);
        let due: Vec<u128> = (0..5).map(|_| arrivals.next_due().as_millis()).collect();
        assert_eq!(due, [0, 250, 500, 750, 1000]);
    }

    #[test]
    fn poisson_arrivals_keep_the_rate_and_follow_the_seed() {
        let mut arrivals = Arrivals::new(Shape::Poisson, 1000.0, 7);
        let due: Vec<Duration> = (0..100_000).map(|_| arrivals.next_due()).collect();
        assert!(due.is_sorted());
        // 100 s expected, with a standard deviation of sqrt(100000)/1000 = 0.32 s.
        let last = due[99_999].as_secs_f64();
        assert!((98.5..101.5).contains(&last), "{last}");
        // The share of gaps above the mean is 1/e for a memoryless process; 0 or 1/2 would be another one.
        let long_gaps = due.windows(2).filter(|pair| pair[1] - pair[0] > Duration::from_millis(1)).count();
        assert!((35_800..37_800).contains(&long_gaps), "{long_gaps}");

        let mut again = Arrivals::new(Shape::Poisson, 1000.0, 7);
        assert_eq!(again.next_due(), due[0]);
        assert_ne!(Arrivals::new(Shape::Poisson, 1000.0, 8).next_due(), due[0]);
    }
}
