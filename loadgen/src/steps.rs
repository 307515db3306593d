//! Rates one after another, each for a while: exact, in integers, with random access.
//!
//! The part of a message that one step leaves over is carried into the next: ten steps of 0.1 s at 1/s make one message.

use crate::fraction;
use crate::intensity::Intensity;
use crate::rate::Rate;

/// Steps over a span.
#[derive(Debug, Clone)]
pub(crate) struct Steps {
    steps: Vec<Step>,
    unit_ns: u128,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    start_ns: u64,
    /// The area before it.
    before: u128,
    /// Messages in `unit_ns`; above zero.
    rate: u128,
}

impl Steps {
    /// Of at least one rate, each with its nanoseconds, which are above zero. `None` where its numbers leave 128 bits, or
    /// the time 64.
    pub(crate) fn new(steps: &[(Rate, u64)]) -> Option<Self> {
        let rates: Vec<Rate> = steps.iter().map(|(rate, _)| *rate).collect();
        let (rates, unit_ns) = fraction::common(&rates)?;
        let (mut start_ns, mut before) = (0_u64, 0_u128);
        let mut placed = Vec::with_capacity(steps.len());
        for ((_, duration_ns), rate) in steps.iter().zip(rates) {
            placed.push(Step { start_ns, before, rate });
            start_ns = start_ns.checked_add(*duration_ns)?;
            before = rate.checked_mul(u128::from(*duration_ns))?.checked_add(before)?;
        }
        before.checked_add(unit_ns)?;
        Some(Self { steps: placed, unit_ns })
    }

    /// The last step of which this holds; it holds of the first, and of none behind one of which it does not.
    fn last(&self, holds: impl Fn(&Step) -> bool) -> &Step {
        &self.steps[self.steps.partition_point(holds).saturating_sub(1)]
    }
}

impl Intensity for Steps {
    fn area(&self, at_ns: u64) -> u128 {
        let step = self.last(|step| step.start_ns <= at_ns);
        step.before + step.rate * u128::from(at_ns - step.start_ns)
    }

    fn denominator(&self) -> u128 {
        self.unit_ns
    }

    fn last_at(&self, area: u128) -> u64 {
        let step = self.last(|step| step.before <= area);
        step.start_ns + u64::try_from((area - step.before) / step.rate).expect("before the end of the step")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn steps(steps: &[(&str, u64)]) -> Steps {
        let steps: Vec<_> = steps.iter().map(|(rate, ns)| (rate.parse().expect("a rate"), *ns)).collect();
        Steps::new(&steps).expect("it can be computed")
    }

    #[test]
    fn each_rate_holds_for_its_while() {
        let steps = steps(&[("100/s", 2 * SECOND), ("500/s", SECOND), ("1/s", 3 * SECOND)]);
        assert_eq!(steps.messages_within(6 * SECOND), Some(200 + 500 + 3));
        for (n, offset_ns) in [
            (0, 0),
            (199, 1_990_000_000),
            (200, 2 * SECOND),
            (201, 2_002_000_000),
            (700, 3 * SECOND),
            (702, 5 * SECOND),
        ] {
            assert_eq!(steps.offset_ns(n), offset_ns, "message {n}");
        }
    }

    #[test]
    fn what_a_step_leaves_over_is_carried_on() {
        let tenths = [("1/s", SECOND / 10); 30];
        assert_eq!(steps(&tenths).messages_within(3 * SECOND), Some(3));
        // 2.5 messages, then at twice the rate: the fourth is due half a message into the second step.
        let steps = steps(&[("1/s", 5 * SECOND / 2), ("2/s", SECOND)]);
        assert_eq!(steps.offset_ns(3), 2_750_000_000);
    }

    #[test]
    fn what_leaves_its_bits_is_refused() {
        let odd = |messages, per_ns| Rate::new(messages, std::time::Duration::from_nanos(per_ns)).expect("a rate");
        assert!(Steps::new(&[(odd(u64::MAX, 1), u64::MAX), (odd(u64::MAX, 1), 1)]).is_none());
        assert!(Steps::new(&[(odd(1, u64::MAX), SECOND), (odd(u64::MAX, u64::MAX - 1), SECOND)]).is_none());
        assert!(Steps::new(&[(odd(1, 1), u64::MAX), (odd(1, 1), 1)]).is_none());
    }
}
