//! A rate that grows, or falls, evenly from one to another: exact, in integers, with random access.
//!
//! With rates p/q and r/q (messages in nanoseconds, over one denominator) at the two ends of a span T, the rate at t is
//! (p(T - t) + rt) / qT, and its integral, the messages that are due before t, is N(t) = t(p(2T - t) + rt) / 2qT. The n-th
//! message is due when N(t) = n, rounded down to a nanosecond. That instant is searched for by halving, and not computed by a
//! root: nothing is rounded on the way, so counting and offsets agree to the last message.

use crate::fraction;
use crate::intensity::Intensity;
use crate::rate::Rate;

/// A ramp over a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ramp {
    /// Messages in `unit_ns` at the beginning and at the end; above zero.
    first: u128,
    last: u128,
    unit_ns: u128,
    duration_ns: u64,
}

impl Ramp {
    /// `None` where its numbers leave 128 bits: rates whose units have next to nothing in common.
    pub(crate) fn new(from: Rate, to: Rate, duration_ns: u64) -> Option<Self> {
        let (rates, unit_ns) = fraction::common(&[from, to])?;
        let ramp = Self { first: rates[0], last: rates[1], unit_ns, duration_ns };
        // No product below is larger than one of these two.
        let (total, all) = (ramp.checked_area(duration_ns)?, ramp.checked_denominator()?);
        total.checked_add(all)?;
        Some(ramp)
    }

    fn checked_area(&self, at_ns: u64) -> Option<u128> {
        let (at, all) = (u128::from(at_ns), u128::from(self.duration_ns));
        // The first factor is greatest at the beginning, whatever the second is.
        let sides = self.first.checked_mul(2 * all)?.checked_add(self.last.checked_mul(all)?)?;
        sides.checked_mul(at)
    }

    fn checked_denominator(&self) -> Option<u128> {
        self.unit_ns.checked_mul(2)?.checked_mul(u128::from(self.duration_ns))
    }
}

impl Intensity for Ramp {
    fn area(&self, at_ns: u64) -> u128 {
        let (at, all) = (u128::from(at_ns), u128::from(self.duration_ns));
        at * (self.first * (2 * all - at) + self.last * at)
    }

    fn denominator(&self) -> u128 {
        2 * self.unit_ns * u128::from(self.duration_ns)
    }

    fn last_at(&self, area: u128) -> u64 {
        let (mut low, mut high) = (0, self.duration_ns);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.area(middle) <= area {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rate(text: &str) -> Rate {
        text.parse().expect("a rate")
    }

    fn ramp(from: &str, to: &str, duration_ns: u64) -> Ramp {
        Ramp::new(rate(from), rate(to), duration_ns).expect("it can be computed")
    }

    #[test]
    fn messages_are_the_area_beneath_it() {
        for (from, to, seconds, total) in [
            ("100/s", "300/s", 10, 2_000),
            ("300/s", "100/s", 10, 2_000),
            ("1/s", "2/s", 1, 2),
            ("60/m", "1/s", 30, 30),
            ("1/s", "1000000/s", 3_600, 1_800_001_800),
        ] {
            let within = ramp(from, to, seconds * SECOND).messages_within(seconds * SECOND);
            assert_eq!(within, Some(total), "{from} to {to} for {seconds} s");
        }
        // Half of the way up is a quarter of what comes on top.
        assert_eq!(ramp("100/s", "300/s", 10 * SECOND).messages_within(5 * SECOND), Some(500 + 250));
    }

    #[test]
    fn a_ramp_between_the_same_rates_is_steady() {
        for text in ["500/s", "3/s", "7/250ms"] {
            let ramp = ramp(text, text, 4 * SECOND);
            let total = ramp.messages_within(4 * SECOND).expect("fits");
            for n in 0..total {
                assert_eq!(Some(ramp.offset_ns(n)), rate(text).offset_ns(n), "message {n} at {text}");
            }
        }
    }

    /// 4t + t² = n, so t = √(4 + n) - 2: whole for n = 5 and 12.
    #[test]
    fn offsets_are_those_of_the_quadratic_equation() {
        let ramp = ramp("4/s", "24/s", 10 * SECOND);
        let offsets: Vec<u64> = [0, 1, 5, 6, 12].into_iter().map(|n| ramp.offset_ns(n)).collect();
        assert_eq!(offsets, [0, 236_067_977, SECOND, 1_162_277_660, 2 * SECOND]);
    }

    #[test]
    fn counting_and_offsets_agree() {
        for (from, to, duration_ns) in
            [("1/s", "5000/s", SECOND), ("5000/s", "1/s", SECOND), ("3/s", "7/250ms", 2 * SECOND), ("1/ns", "5/ns", 3)]
        {
            let ramp = ramp(from, to, duration_ns);
            let total = ramp.messages_within(duration_ns).expect("fits");
            let offsets: Vec<u64> = (0..total).map(|n| ramp.offset_ns(n)).collect();
            assert!(offsets.is_sorted() && offsets[offsets.len() - 1] < duration_ns, "{from} to {to}");
            for offset in &offsets {
                let due = offsets.partition_point(|other| other <= offset) as u64;
                assert_eq!(ramp.messages_within(offset + 1), Some(due), "{from} to {to}: at {offset} ns");
            }
        }
    }

    #[test]
    fn what_leaves_128_bits_is_refused() {
        let odd = |messages, per_ns| Rate::new(messages, std::time::Duration::from_nanos(per_ns)).expect("a rate");
        assert_eq!(Ramp::new(odd(1, u64::MAX), odd(1, u64::MAX - 1), SECOND), None);
        assert_eq!(Ramp::new(odd(u64::MAX, 1), odd(1, 1), u64::MAX - 1), None);
    }
}
