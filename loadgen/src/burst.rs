//! A steady rate with bursts at equal distances: exact, in integers, with random access however many bursts there are.
//!
//! The load begins at its steady rate. A burst begins after each period, at `every`, twice `every` and so on, and takes the
//! place of the steady rate while it lasts. One that the end of the load meets is cut short.

use crate::fraction;
use crate::intensity::Intensity;
use crate::rate::Rate;

/// Bursts over a steady rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Burst {
    /// Messages in `unit_ns` between bursts and within; above zero.
    steady: u128,
    burst: u128,
    unit_ns: u128,
    every_ns: u128,
    /// Shorter than the period.
    length_ns: u128,
}

impl Burst {
    /// `None` where its numbers leave 128 bits. Bursts are shorter than the period, and the period than the load.
    pub(crate) fn new(steady: Rate, burst: Rate, every_ns: u64, length_ns: u64, duration_ns: u64) -> Option<Self> {
        let (rates, unit_ns) = fraction::common(&[steady, burst])?;
        let (steady, burst) = (rates[0], rates[1]);
        // No area below is larger than that of the whole load at the higher rate.
        steady.max(burst).checked_mul(u128::from(duration_ns))?.checked_add(unit_ns)?;
        Some(Self { steady, burst, unit_ns, every_ns: u128::from(every_ns), length_ns: u128::from(length_ns) })
    }

    /// How much of the time before `at_ns` belongs to bursts.
    fn within_bursts(&self, at_ns: u128) -> u128 {
        match (at_ns / self.every_ns).checked_sub(1) {
            None => 0,
            Some(whole) => whole * self.length_ns + (at_ns % self.every_ns).min(self.length_ns),
        }
    }
}

impl Intensity for Burst {
    fn area(&self, at_ns: u64) -> u128 {
        let at = u128::from(at_ns);
        let within = self.within_bursts(at);
        self.steady * (at - within) + self.burst * within
    }

    fn denominator(&self) -> u128 {
        self.unit_ns
    }

    fn last_at(&self, area: u128) -> u64 {
        let at = match area.checked_sub(self.steady * self.every_ns) {
            None => area / self.steady,
            Some(area) => {
                let burst = self.burst * self.length_ns;
                let period = burst + self.steady * (self.every_ns - self.length_ns);
                let rest = area % period;
                let within = match rest.checked_sub(burst) {
                    None => rest / self.burst,
                    Some(rest) => self.length_ns + rest / self.steady,
                };
                (area / period + 1) * self.every_ns + within
            }
        };
        u64::try_from(at).expect("before the end of the load")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn burst(steady: &str, burst: &str, every_ns: u64, length_ns: u64, duration_ns: u64) -> Burst {
        let rate = |text: &str| text.parse().expect("a rate");
        Burst::new(rate(steady), rate(burst), every_ns, length_ns, duration_ns).expect("it can be computed")
    }

    #[test]
    fn bursts_come_at_the_end_of_each_period() {
        let bursts = burst("100/s", "1000/s", 5 * SECOND, SECOND / 2, 12 * SECOND);
        // 5 s, then a burst of 500, 4.5 s, a burst, and what is left.
        for (span_ns, messages) in [
            (5 * SECOND, 500),
            (5 * SECOND + SECOND / 2, 1_000),
            (10 * SECOND, 1_450),
            (10 * SECOND + SECOND / 4, 1_700),
            (12 * SECOND, 1_450 + 500 + 150),
        ] {
            assert_eq!(bursts.messages_within(span_ns), Some(messages), "before {span_ns} ns");
        }
        for (n, offset_ns) in [
            (499, 4_990_000_000),
            (500, 5 * SECOND),
            (501, 5_001_000_000),
            (1_000, 5_500_000_000),
            (1_001, 5_510_000_000),
            (1_451, 10_001_000_000),
        ] {
            assert_eq!(bursts.offset_ns(n), offset_ns, "message {n}");
        }
    }

    #[test]
    fn a_burst_may_be_a_lull() {
        let lulls = burst("100/s", "1/s", 2 * SECOND, SECOND, 5 * SECOND);
        assert_eq!(lulls.messages_within(5 * SECOND), Some(200 + 1 + 100 + 1));
        assert_eq!(lulls.offset_ns(201), 3 * SECOND);
    }

    #[test]
    fn what_leaves_128_bits_is_refused() {
        let odd = |messages, per_ns| Rate::new(messages, std::time::Duration::from_nanos(per_ns)).expect("a rate");
        assert_eq!(Burst::new(odd(1, u64::MAX), odd(u64::MAX, u64::MAX - 1), 2, 1, u64::MAX - 1), None);
    }
}
