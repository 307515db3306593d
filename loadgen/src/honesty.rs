//! Whether the generator and its machine were fit to measure: the one place in which that is decided.
//!
//! A generator that is late, or that has not enough of its processor, measures itself. What it then says of latency counts
//! for nothing, neither for nor against the system: such a run is invalid, which is not the same as failed. Four rules:
//!
//! 1. Lateness at p99, by the generator's own making, is at most 1 ms, and at most a tenth of the tightest bound on latency.
//! 2. No thread of the generator takes more than 85 % of its processor for more than a tenth of the time: above that, arrivals
//!    wait for the generator (a queue at 85 % utilisation is already several service times long).
//! 3. The hypervisor gives at most 2 % of the processors' time to others while this machine wants to run.
//! 4. Tasks do not wait for a processor for more than half of the time while strangers take more than a quarter of the
//!    processors. Pressure alone is no reason: a cluster on the same machine that is at its limit makes it by itself.
//!
//! Only runs that measure latency are judged by them. What was lost or counted twice is so on a busy machine, too.

use shakedown_reports::Validity;
use shakedown_reports::numbers::duration;
use shakedown_reports::resources::{Reading, Usage};

/// The latest that a generator may be at p99, however much the system may take.
pub const LATENESS_MAX_NS: u64 = 1_000_000;
/// How much of its processor a thread of the generator may take.
pub const THREAD_SHARE_MAX: f64 = 0.85;
/// For which part of the time it may take more.
pub const BUSY_TIME_MAX: f64 = 0.1;
/// How much of the processors' time may be stolen.
pub const STOLEN_SHARE_MAX: f64 = 0.02;
/// For how much of the time tasks may wait for a processor while strangers are at work.
pub const PRESSURE_SHARE_MAX: f64 = 0.5;
/// How much of the processors strangers may take while tasks wait.
pub const STRANGERS_SHARE_MAX: f64 = 0.25;

/// How a generator and its machine behaved.
#[derive(Debug, Clone, Copy)]
pub struct Conduct<'a> {
    /// The tightest bound on latency that anything is judged by, in nanoseconds, where there is one.
    pub bound_ns: Option<u64>,
    /// How late the generator was at p99 by its own making; `None` where somebody else offered the load.
    pub lateness_p99_ns: Option<u64>,
    /// What the load cost, while it lasted; none where nobody could look.
    pub readings: &'a [Reading],
    /// The processors of the machine.
    pub cores: u64,
}

/// How late the generator may be at p99 where latency is held against this bound.
#[must_use]
pub fn lateness_limit_ns(bound_ns: Option<u64>) -> u64 {
    bound_ns.map_or(LATENESS_MAX_NS, |bound_ns| (bound_ns / 10).min(LATENESS_MAX_NS))
}

impl Conduct<'_> {
    /// Every rule that was broken, with its figure and its limit.
    #[must_use]
    pub fn validity(&self) -> Validity {
        let usage = Usage::over(self.readings);
        let reasons = [
            self.late(),
            self.busy(),
            usage.and_then(|usage| self.stolen(&usage)),
            usage.and_then(|usage| self.crowded(&usage)),
        ];
        Validity::of(reasons.into_iter().flatten().collect())
    }

    fn late(&self) -> Option<String> {
        let limit_ns = lateness_limit_ns(self.bound_ns);
        let late_ns = self.lateness_p99_ns.filter(|late_ns| *late_ns > limit_ns)?;
        let (late, limit) = (duration(late_ns), duration(limit_ns));
        Some(format!("the load generator itself was {late} late at p99, and {limit} is allowed"))
    }

    fn busy(&self) -> Option<String> {
        // The share of the first reading is of the time before the load.
        let spans = self.readings.windows(2).filter_map(|pair| match pair {
            [before, reading] => Some((reading.at_ns.saturating_sub(before.at_ns), reading.busiest_generator_thread)),
            _ => None,
        });
        let all_ns: u64 = spans.clone().map(|(span_ns, _)| span_ns).sum();
        let busy = spans.clone().filter(|(_, share)| *share > THREAD_SHARE_MAX);
        let busy_ns: u64 = busy.map(|(span_ns, _)| span_ns).sum();
        if busy_ns as f64 <= all_ns as f64 * BUSY_TIME_MAX {
            return None;
        }
        let most = percent(spans.map(|(_, share)| share).fold(0.0, f64::max));
        let (limit, busy, all) = (percent(THREAD_SHARE_MAX), duration(busy_ns), duration(all_ns));
        Some(format!(
            "a thread of the load generator took up to {most} of its processor, and more than the allowed {limit} for {busy} of {all}"
        ))
    }

    fn stolen(&self, usage: &Usage) -> Option<String> {
        let share = self.share(usage.stolen_ns, usage);
        let (stolen, limit) = (percent(share), percent(STOLEN_SHARE_MAX));
        (share > STOLEN_SHARE_MAX).then(|| {
            format!("the hypervisor gave {stolen} of the processors' time to other machines, and {limit} is allowed")
        })
    }

    fn crowded(&self, usage: &Usage) -> Option<String> {
        let waiting = usage.pressure_cpu_ns as f64 / usage.span_ns.max(1) as f64;
        let strangers = self.share(usage.strangers_cpu_ns(), usage);
        (waiting > PRESSURE_SHARE_MAX && strangers > STRANGERS_SHARE_MAX).then(|| {
            format!(
                "tasks waited for a processor for {} of the time while other programs took {} of the processors; {} is allowed while those take more than {}",
                percent(waiting),
                percent(strangers),
                percent(PRESSURE_SHARE_MAX),
                percent(STRANGERS_SHARE_MAX),
            )
        })
    }

    /// The part of what all processors had to give.
    fn share(&self, cpu_ns: u64, usage: &Usage) -> f64 {
        cpu_ns as f64 / (usage.span_ns.max(1) as f64 * self.cores.max(1) as f64)
    }
}

fn percent(share: f64) -> String {
    if share < 0.1 { format!("{:.1} %", share * 100.0) } else { format!("{:.0} %", share * 100.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Ten seconds on two processors, a reading each, where everything is as it should be.
    fn quiet() -> Vec<Reading> {
        let reading = |second| Reading {
            at_ns: second * SECOND,
            generator_cpu_ns: second * SECOND / 5,
            brokers_cpu_ns: second * SECOND / 2,
            machine_cpu_ns: second * SECOND * 8 / 10,
            busiest_generator_thread: 0.2,
            ..Reading::default()
        };
        (0..=10).map(reading).collect()
    }

    fn reasons(bound_ns: Option<u64>, lateness_p99_ns: Option<u64>, readings: &[Reading]) -> Vec<String> {
        Conduct { bound_ns, lateness_p99_ns, readings, cores: 2 }.validity().reasons().to_vec()
    }

    #[test]
    fn a_generator_may_be_late_by_a_millisecond_or_a_tenth_of_the_tightest_bound() {
        for (bound_ms, late_us, is_valid) in [
            (None, 1_000, true),
            (None, 1_001, false),
            (Some(20), 1_000, true),
            (Some(20), 1_001, false),
            (Some(5), 500, true),
            (Some(5), 501, false),
        ] {
            let told = reasons(bound_ms.map(|ms| ms * 1_000_000), Some(late_us * 1_000), &quiet());
            assert_eq!(told.is_empty(), is_valid, "{late_us} us late of {bound_ms:?} ms: {told:?}");
        }
        let told = reasons(Some(5_000_000), Some(1_400_000), &[]);
        assert_eq!(told, ["the load generator itself was 1.4 ms late at p99, and 500 us is allowed"]);
        assert_eq!(reasons(Some(1), None, &quiet()), [""; 0], "somebody else offered the load");
    }

    #[test]
    fn a_thread_may_be_busy_for_one_second_of_ten() {
        let mut readings = quiet();
        readings[0].busiest_generator_thread = 1.0;
        readings[3].busiest_generator_thread = 0.99;
        readings[4].busiest_generator_thread = 0.85;
        assert_eq!(reasons(None, None, &readings), [""; 0]);
        readings[4].busiest_generator_thread = 0.86;
        let expected = "a thread of the load generator took up to 99 % of its processor, and more than the allowed 85 % for 2 s of 10 s";
        assert_eq!(reasons(None, None, &readings), [expected]);
    }

    #[test]
    fn stolen_time_counts_against_all_processors() {
        let mut readings = quiet();
        // 2 % of 20 s.
        readings[10].stolen_ns = 400_000_000;
        assert_eq!(reasons(None, None, &readings), [""; 0]);
        readings[10].stolen_ns = 620_000_000;
        let expected = "the hypervisor gave 3.1 % of the processors' time to other machines, and 2.0 % is allowed";
        assert_eq!(reasons(None, None, &readings), [expected]);
    }

    #[test]
    fn pressure_counts_where_strangers_make_it() {
        let mut readings = quiet();
        readings[10].pressure_cpu_ns = 9 * SECOND;
        assert_eq!(reasons(None, None, &readings), [""; 0], "the cluster's own");
        readings[10].machine_cpu_ns = 14 * SECOND;
        let told = reasons(None, None, &readings);
        let expected = "tasks waited for a processor for 90 % of the time while other programs took 35 % of the processors; 50 % is allowed while those take more than 25 %";
        assert_eq!(told, [expected]);
        readings[10].pressure_cpu_ns = 5 * SECOND;
        assert_eq!(reasons(None, None, &readings), [""; 0]);
    }

    #[test]
    fn every_broken_rule_is_told() {
        let mut readings = quiet();
        readings.iter_mut().for_each(|reading| reading.busiest_generator_thread = 0.9);
        readings[10].stolen_ns = 10 * SECOND;
        assert_eq!(reasons(None, Some(2_000_000), &readings).len(), 3);
    }
}
