//! One search: doubling to the first failure, bisecting geometrically, confirming both ends.
//!
//! A state machine without clock or chance: [`Replicate::next`] says which rate is tried, [`Replicate::take`] what came of
//! it. Every decision is on votes at one rate: a clear result decides at once, one near a limit takes the best of three, and so
//! does a failure while the rate is still doubled: what is above is not looked at again, and a stall looks as clear.
//!
//! What contradicts itself is never smoothed over. A lower end that does not hold for longer is lowered; an upper end that
//! holds when it is confirmed was a stray failure, and the search goes on above it. Both are flagged, and neither goes on
//! for ever.

use super::settings::BRACKET;
use super::trial::{Phase, Verdict};
use serde::{Deserialize, Serialize};
use shakedown_reports::numbers::grouped;

/// How often the first rate is halved until something holds.
const HALVINGS_MAX: u32 = 12;
/// How often confirmed ends may contradict what was seen before.
const CONTRADICTIONS_MAX: u32 = 4;
/// By this part an end that does not hold for longer is lowered, and by twice as much each time after that.
const LOWERED_BY: f64 = 0.01;
/// Two of three decide.
const MAJORITY: u32 = 2;
const VOTES_MAX: u32 = 3;

/// What keeps a rate from holding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// The system under test.
    System,
    /// The generator: what it could not offer, or what lies beyond its share of its own ceiling.
    Generator,
}

/// What a search came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "kebab-case")]
pub enum End {
    /// This rate holds, and the one a little above does not.
    Found {
        /// What holds.
        lower: u64,
        /// What does not.
        upper: u64,
    },
    /// This rate holds, and the generator cannot tell what is above.
    Limited {
        /// What holds.
        lower: u64,
    },
    /// Not even this rate holds.
    Nothing {
        /// The lowest that was tried.
        rate: u64,
        /// Whose doing that is.
        by: Limit,
    },
    /// What held did not hold again.
    Unstable {
        /// Why.
        reason: String,
    },
}

/// The votes at one rate.
#[derive(Debug, Clone, Copy, Default)]
struct Votes {
    pass: u32,
    fail: u32,
    limited: u32,
}

/// What votes came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Pass,
    Fail(Limit),
}

impl Votes {
    fn add(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Pass => self.pass += 1,
            Verdict::Fail { .. } => self.fail += 1,
            Verdict::GeneratorLimited { .. } => self.limited += 1,
        }
    }

    const fn all(self) -> u32 {
        self.pass + self.fail + self.limited
    }

    /// Two of a kind. Of three different ones the failure stands: the rate is not known to hold.
    fn majority(self) -> Option<Decision> {
        if self.pass >= MAJORITY {
            Some(Decision::Pass)
        } else if self.fail >= MAJORITY {
            Some(Decision::Fail(Limit::System))
        } else if self.limited >= MAJORITY {
            Some(Decision::Fail(Limit::Generator))
        } else {
            (self.all() >= VOTES_MAX).then_some(Decision::Fail(Limit::System))
        }
    }
}

/// A search that runs.
#[derive(Debug, Clone)]
pub struct Replicate {
    /// No rate above this is tried: it would be the generator that is measured.
    cap: u64,
    rate: u64,
    phase: Phase,
    votes: Votes,
    lower: Option<u64>,
    upper: Option<(u64, Limit)>,
    /// How far above the last rate that holds the next is, as a factor.
    stride: f64,
    contradictions: u32,
    halvings: u32,
    flags: Vec<String>,
    end: Option<End>,
}

impl Replicate {
    /// Begins at a rate, and tries none above `cap`.
    #[must_use]
    pub fn new(from: u64, cap: u64) -> Self {
        let cap = cap.max(1);
        Self {
            cap,
            rate: from.clamp(1, cap),
            phase: Phase::Ramp,
            votes: Votes::default(),
            lower: None,
            upper: None,
            stride: 2.0,
            contradictions: 0,
            halvings: 0,
            flags: Vec::new(),
            end: None,
        }
    }

    /// What is tried next; nothing when the search has come to an end.
    #[must_use]
    pub fn next(&self) -> Option<(Phase, u64)> {
        self.end.is_none().then_some((self.phase, self.rate))
    }

    /// What it came to.
    #[must_use]
    pub const fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// What contradicted itself.
    #[must_use]
    pub fn flags(&self) -> &[String] {
        &self.flags
    }

    /// What came of the rate that [`Self::next`] said; `near` a limit or not.
    pub fn take(&mut self, verdict: &Verdict, near: bool) {
        self.votes.add(verdict);
        if let Some(decision) = self.decision(verdict, near) {
            self.votes = Votes::default();
            match self.phase {
                Phase::Ramp => self.after_ramp(decision),
                Phase::Bisect => self.after_bisect(decision),
                Phase::ConfirmLower => self.after_lower(decision),
                Phase::ConfirmUpper => self.after_upper(decision),
            }
        }
    }

    fn decision(&self, verdict: &Verdict, near: bool) -> Option<Decision> {
        let first = self.votes.all() == 1;
        match (self.phase, verdict) {
            (Phase::ConfirmLower, Verdict::Pass) if first => Some(Decision::Pass),
            (Phase::ConfirmLower | Phase::ConfirmUpper, _) => self.votes.majority(),
            (_, Verdict::Pass) if first && !near => Some(Decision::Pass),
            (Phase::Bisect, Verdict::Fail { .. }) if first && !near => Some(Decision::Fail(Limit::System)),
            _ => self.votes.majority(),
        }
    }

    fn after_ramp(&mut self, decision: Decision) {
        match decision {
            Decision::Pass => {
                self.lower = Some(self.rate);
                self.narrow_or_climb();
            }
            Decision::Fail(by) => {
                self.upper = Some((self.rate, by));
                if self.lower.is_some() {
                    self.narrow_or_climb();
                } else if self.rate == 1 || self.halvings >= HALVINGS_MAX {
                    self.end = Some(End::Nothing { rate: self.rate, by });
                } else {
                    self.halvings += 1;
                    self.rate = (self.rate / 2).max(1);
                }
            }
        }
    }

    fn after_bisect(&mut self, decision: Decision) {
        match decision {
            Decision::Pass => self.lower = Some(self.rate),
            Decision::Fail(by) => self.upper = Some((self.rate, by)),
        }
        self.narrow_or_climb();
    }

    fn after_lower(&mut self, decision: Decision) {
        if decision == Decision::Pass {
            match self.upper {
                // Whoever was in the way of the generator may be gone by now: its limit is confirmed like the system's.
                Some((upper, _)) => (self.phase, self.rate) = (Phase::ConfirmUpper, upper),
                None => self.end = Some(End::Limited { lower: self.rate }),
            }
            return;
        }
        let Decision::Fail(by) = decision else { return };
        if self.contradicted(format!("{}/s held, and did not hold for longer", grouped(self.rate))) {
            return;
        }
        // Longer trials see what grows slowly, so a little less is often enough; and if not, then more.
        self.upper = Some((self.rate, by));
        let step = LOWERED_BY * 2_f64.powf(f64::from(self.contradictions) - 1.0);
        let below = scaled(self.rate, 1.0 / (1.0 + step)).min(self.rate - 1);
        if below == 0 {
            self.end = Some(End::Nothing { rate: self.rate, by });
            return;
        }
        self.lower = Some(below);
        self.rate = below;
    }

    fn after_upper(&mut self, decision: Decision) {
        let (Some(lower), upper) = (self.lower, self.rate) else { return };
        match decision {
            Decision::Fail(Limit::System) => self.end = Some(End::Found { lower, upper }),
            Decision::Fail(Limit::Generator) => self.end = Some(End::Limited { lower }),
            Decision::Pass => {
                if self.contradicted(format!("{}/s did not hold, and held when it was tried again", grouped(upper))) {
                    return;
                }
                self.lower = Some(upper);
                self.upper = None;
                self.stride = 1.0 + BRACKET;
                self.narrow_or_climb();
            }
        }
    }

    /// Flags it; whether that was once too often.
    fn contradicted(&mut self, what: String) -> bool {
        self.contradictions += 1;
        if self.contradictions > CONTRADICTIONS_MAX {
            let reason = format!("{what}, after {CONTRADICTIONS_MAX} such contradictions");
            self.end = Some(End::Unstable { reason });
        }
        self.flags.push(what);
        self.end.is_some()
    }

    /// With something that holds: the next rate between it and what does not, or above it; or both ends are confirmed.
    fn narrow_or_climb(&mut self) {
        let Some(lower) = self.lower else { return };
        match self.upper {
            None if lower >= self.cap => (self.phase, self.rate) = (Phase::ConfirmLower, lower),
            None => {
                self.phase = Phase::Ramp;
                self.rate = scaled(lower, self.stride).clamp(lower + 1, self.cap.max(lower + 1));
                // A search that resumes above a stray failure feels its way, and walks faster the longer nothing fails.
                self.stride = self.stride.powi(2).min(2.0);
            }
            Some((upper, _)) if is_close(lower, upper) => {
                (self.phase, self.rate) = (Phase::ConfirmLower, lower);
            }
            Some((upper, _)) => {
                let middle = scaled(lower, (upper as f64 / lower as f64).sqrt());
                (self.phase, self.rate) = (Phase::Bisect, middle.clamp(lower + 1, upper - 1));
            }
        }
    }
}

/// Whether nothing worth knowing lies between.
fn is_close(lower: u64, upper: u64) -> bool {
    upper <= lower + 1 || upper as f64 <= lower as f64 * (1.0 + BRACKET)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are far below 2^53")]
fn scaled(rate: u64, factor: f64) -> u64 {
    (rate as f64 * factor).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail() -> Verdict {
        Verdict::Fail { reasons: vec!["p99 was 41 ms".to_owned()] }
    }

    fn limited() -> Verdict {
        Verdict::GeneratorLimited { reason: "late".to_owned() }
    }

    /// Answers every rate, and tells how many trials there were.
    fn search(mut replicate: Replicate, mut answer: impl FnMut(Phase, u64) -> Verdict) -> (End, u32, Vec<String>) {
        for trials in 0..200 {
            let Some((phase, rate)) = replicate.next() else {
                return (replicate.end().cloned().expect("an end"), trials, replicate.flags().to_vec());
            };
            replicate.take(&answer(phase, rate), false);
        }
        panic!("200 trials, and no end");
    }

    #[test]
    fn a_sharp_ceiling_is_bracketed_from_wherever_the_search_begins() {
        for from in [1, 700, 40_000, 86_000, 90_000, 5_000_000] {
            let answer = |_, rate| if rate <= 86_400 { Verdict::Pass } else { fail() };
            let (end, trials, flags) = search(Replicate::new(from, u64::MAX), answer);
            let End::Found { lower, upper } = end else { panic!("{end:?} from {from}") };
            assert!(lower <= 86_400 && upper > 86_400 && upper as f64 <= lower as f64 * 1.03, "{lower} to {upper}");
            assert!(flags.is_empty() && trials < 30, "{trials} trials from {from}");
        }
    }

    #[test]
    fn low_rates_are_bracketed_to_one_message() {
        let (end, ..) =
            search(Replicate::new(1_000, u64::MAX), |_, rate| if rate <= 3 { Verdict::Pass } else { fail() });
        assert_eq!(end, End::Found { lower: 3, upper: 4 });
        let (end, ..) = search(Replicate::new(1_000, u64::MAX), |_, _| fail());
        assert_eq!(end, End::Nothing { rate: 1, by: Limit::System });
    }

    #[test]
    fn what_holds_at_the_cap_is_a_bound_and_no_ceiling() {
        let (end, trials, _) = search(Replicate::new(1_000, 70_000), |_, _| Verdict::Pass);
        assert_eq!(end, End::Limited { lower: 70_000 });
        assert!(trials < 12, "{trials}");
        let answer = |_, rate| if rate <= 50_000 { Verdict::Pass } else { limited() };
        let (end, ..) = search(Replicate::new(1_000, u64::MAX), answer);
        let End::Limited { lower } = end else { panic!("{end:?}") };
        assert!((48_500..=50_000).contains(&lower), "{lower}");
    }

    #[test]
    fn near_a_limit_the_best_of_three_decides() {
        let mut replicate = Replicate::new(1_000, u64::MAX);
        for (verdict, next) in [(Verdict::Pass, 1_000), (fail(), 1_000), (Verdict::Pass, 2_000)] {
            replicate.take(&verdict, true);
            assert_eq!(replicate.next(), Some((Phase::Ramp, next)));
        }
        // Far from it, one is enough.
        replicate.take(&Verdict::Pass, false);
        assert_eq!(replicate.next(), Some((Phase::Ramp, 4_000)));
        // A generator that was late once is asked once more.
        replicate.take(&limited(), false);
        replicate.take(&Verdict::Pass, false);
        assert_eq!(replicate.next(), Some((Phase::Ramp, 4_000)));
    }

    #[test]
    fn a_lower_end_that_does_not_hold_for_longer_is_lowered_and_flagged() {
        let answer = |phase, rate| match phase {
            Phase::Ramp | Phase::Bisect if rate <= 86_400 => Verdict::Pass,
            Phase::ConfirmLower | Phase::ConfirmUpper if rate <= 82_000 => Verdict::Pass,
            _ => fail(),
        };
        let (end, _, flags) = search(Replicate::new(1_000, u64::MAX), answer);
        let End::Found { lower, upper } = end else { panic!("{end:?}") };
        assert!(lower <= 82_000 && upper > 82_000 && upper <= 84_500, "{lower} to {upper}");
        assert!(flags[0].ends_with("and did not hold for longer"), "{flags:?}");
    }

    #[test]
    fn a_stray_failure_does_not_become_the_ceiling() {
        for (struck, flagged) in [(Phase::Ramp, 0), (Phase::Bisect, 1)] {
            let mut stray = true;
            let (end, _, flags) = search(Replicate::new(1_000, u64::MAX), |phase, rate| {
                let strikes = phase == struck && (30_000..=86_400).contains(&rate) && std::mem::take(&mut stray);
                if rate <= 86_400 && !strikes { Verdict::Pass } else { fail() }
            });
            let End::Found { lower, upper } = end else { panic!("{end:?}") };
            assert!(lower <= 86_400 && upper > 86_400 && upper as f64 <= lower as f64 * 1.03, "{lower} to {upper}");
            assert!(!stray && flags.len() == flagged, "{flags:?}");
            assert!(flags.iter().all(|flag| flag.ends_with("held when it was tried again")), "{flags:?}");
        }
    }

    #[test]
    fn a_generator_that_was_disturbed_for_a_while_does_not_become_the_limit() {
        let mut disturbed = 4;
        let (end, _, flags) = search(Replicate::new(1_000, u64::MAX), |_, rate| {
            if rate > 500 && disturbed > 0 {
                disturbed -= 1;
                return limited();
            }
            if rate <= 86_400 { Verdict::Pass } else { fail() }
        });
        let End::Found { lower, upper } = end else { panic!("{end:?}") };
        assert!(lower <= 86_400 && upper > 86_400 && upper as f64 <= lower as f64 * 1.03, "{lower} to {upper}");
        assert_eq!(flags.len(), 1, "{flags:?}");
    }

    #[test]
    fn what_contradicts_itself_for_ever_is_unstable() {
        let answer = |phase, _| if matches!(phase, Phase::Ramp | Phase::Bisect) { Verdict::Pass } else { fail() };
        let (end, _, flags) = search(Replicate::new(1_000, 20_000), answer);
        assert!(matches!(end, End::Unstable { .. }), "{end:?}");
        assert_eq!(flags.len(), 5);
    }
}
