//! One trial: what is to be offered, what was measured, and what that means.

use super::settings::{DELIVERED_MIN, LAG_SLOPE_MAX, NEAR, ServiceLevel};
use super::trend::Trend;
use crate::duration_text;
use serde::{Deserialize, Serialize};
use shakedown_reports::numbers::{duration, grouped};
use std::time::Duration;

/// The generator offers at least this part of what was due by its own doing, or it cannot do the rate.
const OFFERED_MIN: f64 = 0.995;

/// What a trial is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Up to the first failure, or down to the first rate that holds.
    Ramp,
    /// Between what holds and what does not.
    Bisect,
    /// Does the lower end hold for longer?
    ConfirmLower,
    /// Does the upper end really not?
    ConfirmUpper,
}

/// A trial that is to be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The replicate that asks for it, from 1.
    pub replicate: u32,
    /// What it is for.
    pub phase: Phase,
    /// Messages a second.
    pub rate: u64,
    /// What comes before the measured part.
    #[serde(with = "duration_text")]
    pub warm_up: Duration,
    /// The measured part.
    #[serde(with = "duration_text")]
    pub length: Duration,
}

/// What was measured, of messages that were due in the measured part.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Messages that were due.
    pub due: u64,
    /// Messages that the generator failed to offer in time by its own doing; what a full queue held back is not among them.
    pub not_offered: u64,
    /// Messages that were acknowledged before the measured part was over by more than the service level.
    pub delivered: u64,
    /// Messages that failed, or of which nobody knows.
    pub errors: u64,
    /// From intended to acknowledged, at p50.
    pub p50_ns: u64,
    /// From intended to acknowledged, at p99.
    pub p99_ns: u64,
    /// From the hand-over to the acknowledgement, at p99.
    pub service_p99_ns: u64,
    /// How late the generator was at p99, by its own doing.
    pub lateness_p99_ns: u64,
    /// How every lag went.
    pub lags: Vec<Trend>,
    /// What else went wrong: a service died, the drain did not finish.
    pub broken: Vec<String>,
    /// Why the machine or the generator was unfit to measure ([`crate::honesty`]); nothing where it was fit, or nobody looked.
    #[serde(default)]
    pub unfit: Vec<String>,
}

/// What it means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// The rate holds.
    Pass,
    /// It does not.
    Fail {
        /// What did not.
        reasons: Vec<String>,
    },
    /// Nobody knows: the generator was late or overloaded, or strangers took its machine.
    GeneratorLimited {
        /// In what way.
        reason: String,
    },
}

/// A trial that was carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialResult {
    /// What was asked for.
    #[serde(flatten)]
    pub trial: Trial,
    /// What it means.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// It is within a tenth of a limit.
    pub near: bool,
    /// What was measured.
    pub measured: Measured,
    /// Where it is recorded.
    #[serde(default)]
    pub directory: String,
}

impl TrialResult {
    /// Judges what was measured.
    #[must_use]
    pub fn new(trial: Trial, measured: Measured, level: ServiceLevel, directory: String) -> Self {
        let (verdict, near) = measured.judge(trial.rate, level);
        Self { trial, verdict, near, measured, directory }
    }
}

impl Verdict {
    /// Whether the rate holds.
    #[must_use]
    pub const fn is_pass(&self) -> bool {
        matches!(self, Self::Pass)
    }
}

impl Measured {
    /// The part of what was due that was delivered in time.
    #[must_use]
    pub fn delivered_share(&self) -> f64 {
        if self.due == 0 { 0.0 } else { self.delivered as f64 / self.due as f64 }
    }

    /// The upper limit of the steepest lag, as a part of the rate.
    #[must_use]
    pub fn lag_slope_share(&self, rate: u64) -> f64 {
        self.lags.iter().map(|lag| lag.slope_upper).fold(0.0, f64::max) / rate as f64
    }

    /// The steepest lag's own slope, as a part of the rate.
    #[must_use]
    pub fn lag_growth_share(&self, rate: u64) -> f64 {
        let steepest = self.lags.iter().max_by(|a, b| a.slope_upper.total_cmp(&b.slope_upper));
        steepest.map_or(0.0, |lag| lag.slope / rate as f64)
    }

    /// By which part of the rate a lag may grow: one message over the whole trial is no trend.
    fn slope_max(&self) -> f64 {
        LAG_SLOPE_MAX.max(1.0 / self.due.max(1) as f64)
    }

    /// What it means at this rate, and whether it is near a limit.
    #[must_use]
    pub fn judge(&self, rate: u64, level: ServiceLevel) -> (Verdict, bool) {
        let criteria = self.criteria(rate, level);
        let worst = criteria.iter().map(|criterion| criterion.part).fold(0.0, f64::max);
        let near = worst > 1.0 - NEAR && worst < 1.0 + NEAR;
        if worst <= 1.0 {
            // A late generator makes latency worse, never better: what holds all the same does hold.
            return (Verdict::Pass, near);
        }
        let reasons: Vec<String> = criteria.into_iter().filter(|it| it.part > 1.0).map(|it| it.told).collect();
        match self.excuse(rate, level) {
            Some(reason) => (Verdict::GeneratorLimited { reason }, near),
            None => (Verdict::Fail { reasons }, near),
        }
    }

    /// Every criterion as the part of its limit that was used up; above one it does not hold.
    fn criteria(&self, rate: u64, level: ServiceLevel) -> Vec<Criterion> {
        let share = self.delivered_share();
        let slope = self.lag_slope_share(rate);
        let mut criteria = vec![
            Criterion {
                part: (1.0 - share) / (1.0 - DELIVERED_MIN),
                told: format!("{:.2} % were delivered in time", share * 100.0),
            },
            Criterion {
                part: self.p99_ns as f64 / level.p99_ns() as f64,
                told: format!("p99 was {}", duration(self.p99_ns)),
            },
            Criterion {
                part: slope / self.slope_max(),
                told: format!("a lag grew by {:.2} % of the rate", slope * 100.0),
            },
        ];
        for lag in &self.lags {
            // A single message on its way is no lag, however low the rate.
            let part = lag.last / (rate as f64 * level.p99.as_secs_f64()).max(1.0);
            criteria.push(Criterion { part, told: format!("the lag of {} was {:.0} at the end", lag.of, lag.last) });
        }
        let never = |part: bool| if part { f64::INFINITY } else { 0.0 };
        criteria.push(Criterion {
            part: never(self.errors > 0),
            told: format!("{} messages failed", grouped(self.errors)),
        });
        criteria.extend(self.broken.iter().map(|told| Criterion { part: f64::INFINITY, told: told.clone() }));
        criteria
    }

    /// Why a failure may be the generator's, if so. A generator that cannot offer the rate says nothing of the system, and on
    /// a machine that others took nothing is said of anybody's speed, whatever was measured. A generator that is late makes
    /// messages late, and in clumps: that excuses latency, unless the system took too long from the hand-over on; it excuses
    /// neither errors nor a lag that grows while the rate is offered.
    fn excuse(&self, rate: u64, level: ServiceLevel) -> Option<String> {
        if (self.not_offered as f64) > self.due as f64 * (1.0 - OFFERED_MIN) {
            let share = 100.0 * (1.0 - self.not_offered as f64 / self.due.max(1) as f64);
            return Some(format!("the generator offered {share:.1} % of the rate"));
        }
        let is_broken = self.errors > 0 || !self.broken.is_empty();
        if let Some(reason) = self.unfit.first().filter(|_| !is_broken) {
            return Some(reason.clone());
        }
        let late = u128::from(self.lateness_p99_ns) > level.lateness_max().as_nanos();
        let is_systems =
            is_broken || self.service_p99_ns > level.p99_ns() || self.lag_slope_share(rate) > self.slope_max();
        (late && !is_systems).then(|| format!("the generator was {} late at p99", duration(self.lateness_p99_ns)))
    }
}

struct Criterion {
    part: f64,
    told: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn level() -> ServiceLevel {
        ServiceLevel { p99: Duration::from_millis(20) }
    }

    fn good() -> Measured {
        let lag = Trend { of: "acknowledgements".to_owned(), slope: 0.0, slope_upper: 3.0, last: 40.0 };
        Measured {
            due: 100_000,
            delivered: 100_000,
            p50_ns: 2 * MS,
            p99_ns: 8 * MS,
            service_p99_ns: 7 * MS,
            lateness_p99_ns: MS / 10,
            lags: vec![lag],
            ..Measured::default()
        }
    }

    fn judged(change: impl FnOnce(&mut Measured)) -> (Verdict, bool) {
        let mut measured = good();
        change(&mut measured);
        measured.judge(10_000, level())
    }

    #[test]
    fn every_criterion_fails_by_itself() {
        assert_eq!(judged(|_| ()), (Verdict::Pass, false));
        type Change = fn(&mut Measured);
        let changes: [(Change, &str); 6] = [
            (|it| it.delivered = 98_900, "98.90 % were delivered in time"),
            (|it| (it.p99_ns, it.service_p99_ns) = (41 * MS, 40 * MS), "p99 was 41 ms"),
            (|it| it.lags[0].slope_upper = 220.0, "a lag grew by 2.20 % of the rate"),
            (|it| it.lags[0].last = 400.0, "the lag of acknowledgements was 400 at the end"),
            (|it| it.errors = 1, "1 messages failed"),
            (|it| it.broken.push("tracker died".to_owned()), "tracker died"),
        ];
        for (change, told) in changes {
            assert_eq!(judged(change), (Verdict::Fail { reasons: vec![told.to_owned()] }, false));
        }
    }

    #[test]
    fn results_within_a_tenth_of_a_limit_are_near_it() {
        for (p99_ms, near) in [(17, false), (19, true), (21, true), (23, false)] {
            let (verdict, is_near) = judged(|it| (it.p99_ns, it.service_p99_ns) = (p99_ms * MS, p99_ms * MS));
            assert_eq!((verdict.is_pass(), is_near), (p99_ms <= 20, near), "{p99_ms} ms");
        }
        // What fails clearly is not near because something else is.
        let (_, near) = judged(|it| (it.p99_ns, it.delivered) = (21 * MS, 50_000));
        assert!(!near);
    }

    #[test]
    fn a_late_generator_excuses_latency_and_nothing_else() {
        let late = |it: &mut Measured| it.lateness_p99_ns = 9 * MS;
        assert_eq!(judged(late).0, Verdict::Pass, "it holds all the same");
        let (verdict, _) = judged(|it| {
            late(it);
            it.p99_ns = 30 * MS;
        });
        let reason = "the generator was 9 ms late at p99".to_owned();
        assert_eq!(verdict, Verdict::GeneratorLimited { reason });
        let own: [fn(&mut Measured); 3] =
            [|it| it.service_p99_ns = 29 * MS, |it| it.errors = 1, |it| it.lags[0].slope_upper = 300.0];
        for change in own {
            let (verdict, _) = judged(|it| {
                late(it);
                it.p99_ns = 30 * MS;
                change(it);
            });
            assert!(matches!(verdict, Verdict::Fail { .. }), "{verdict:?}");
        }
    }

    #[test]
    fn a_machine_that_others_took_excuses_everything_but_errors() {
        let taken = "tasks waited for a processor".to_owned();
        let unfit = |it: &mut Measured| it.unfit.push("tasks waited for a processor".to_owned());
        assert_eq!(judged(unfit).0, Verdict::Pass, "it holds all the same");
        type Change = fn(&mut Measured);
        let slow: [Change; 3] = [
            |it| (it.p99_ns, it.service_p99_ns) = (41 * MS, 40 * MS),
            |it| it.lags[0].slope_upper = 300.0,
            |it| it.delivered = 90_000,
        ];
        for change in slow {
            let (verdict, _) = judged(|it| {
                unfit(it);
                change(it);
            });
            assert_eq!(verdict, Verdict::GeneratorLimited { reason: taken.clone() });
        }
        let broken: [Change; 2] = [|it| it.errors = 1, |it| it.broken.push("tracker died".to_owned())];
        for change in broken {
            let (verdict, _) = judged(|it| {
                unfit(it);
                change(it);
            });
            assert!(matches!(verdict, Verdict::Fail { .. }), "{verdict:?}");
        }
    }

    #[test]
    fn a_generator_that_cannot_do_the_rate_says_nothing_of_the_system() {
        let (verdict, _) = judged(|it| (it.delivered, it.not_offered) = (90_000, 10_000));
        assert_eq!(
            verdict,
            Verdict::GeneratorLimited { reason: "the generator offered 90.0 % of the rate".to_owned() }
        );
    }
}
