//! A whole search: the generator's own ceiling, several replicates, and what they come to.
//!
//! Every replicate but the first begins at another rate, drawn from the seed between a half and the whole of what was found
//! before: replicates that began alike would try the same rates, and their agreement would be that of a grid with itself.
//!
//! The state follows from the settings and the results alone. To go on after an interruption, make a [`Study`] of the same
//! settings and give it the results again.

use super::replicate::{End, Limit, Replicate};
use super::settings::{GENERATOR_SHARE_MAX, STABLE, Settings};
use super::trend::median;
use super::trial::{Phase, Trial, TrialResult};
use crate::chance;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use shakedown_reports::numbers::grouped;
use std::time::Duration;

/// The first rates of replicates.
const STARTS: [u8; 8] = *b"ceiling ";
/// Of a trial, so much comes before what is measured: caches, connections and the JIT of a JVM are no part of a ceiling.
const WARM_UP: u32 = 5;
/// Nobody waits for no warm-up.
const WARM_UP_MIN: Duration = Duration::from_secs(1);
/// Student's t, two sides, 95 %, by degrees of freedom from 1.
const T95: [f64; 12] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179];

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Measure what the generator can do, for so long.
    Generator(Duration),
    /// Carry out a trial.
    Trial(Trial),
    /// Nothing: there is an outcome.
    Done,
}

/// What a search came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// The ceiling, with its interval at 95 % where there are replicates.
    Found {
        /// The median of the highest rates that hold.
        rate: u64,
        /// Where the interval begins and ends; nothing for a single replicate.
        interval: Option<(u64, u64)>,
    },
    /// This rate holds, and the generator cannot tell what is above.
    GeneratorLimited {
        /// What holds; 0 where nothing does.
        at_least: u64,
    },
    /// Replicates do not agree, or one of them not with itself.
    Unstable {
        /// Why.
        reason: String,
        /// The median, where there is one, and the interval.
        around: Option<(u64, u64, u64)>,
    },
    /// Not even this rate holds.
    Nothing {
        /// The lowest that was tried.
        rate: u64,
    },
}

/// A search that runs.
#[derive(Debug, Clone)]
pub struct Study {
    settings: Settings,
    /// What the generator can do; nothing until it was measured or [`Self::skip_generator`] was called.
    generator: Option<Option<u64>>,
    finished: Vec<(End, Vec<String>)>,
    current: Option<Replicate>,
    results: Vec<TrialResult>,
}

impl Study {
    /// Begins.
    #[must_use]
    pub const fn new(settings: Settings) -> Self {
        Self { settings, generator: None, finished: Vec::new(), current: None, results: Vec::new() }
    }

    /// What was asked for.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What the generator can do, in messages a second, where that was measured.
    #[must_use]
    pub fn generator(&self) -> Option<u64> {
        self.generator.flatten()
    }

    /// Every trial so far.
    #[must_use]
    pub fn results(&self) -> &[TrialResult] {
        &self.results
    }

    /// What every replicate that is over came to.
    pub fn ends(&self) -> impl Iterator<Item = &End> {
        self.finished.iter().map(|(end, _)| end)
    }

    /// What contradicted itself.
    pub fn flags(&self) -> impl Iterator<Item = &str> {
        let current = self.current.iter().flat_map(|replicate| replicate.flags());
        self.finished.iter().flat_map(|(_, flags)| flags).chain(current).map(String::as_str)
    }

    /// What is to be done next.
    #[must_use]
    pub fn step(&self) -> Step {
        if self.generator.is_none() {
            return Step::Generator(self.settings.lengths.generator);
        }
        let Some((phase, rate)) = self.current.as_ref().and_then(Replicate::next) else { return Step::Done };
        let lengths = &self.settings.lengths;
        let length = match phase {
            Phase::Ramp => lengths.ramp,
            Phase::Bisect => lengths.bisect,
            Phase::ConfirmLower | Phase::ConfirmUpper => lengths.confirm,
        };
        let warm_up = (length / WARM_UP).max(WARM_UP_MIN.min(length / 2));
        Step::Trial(Trial { replicate: self.replicate(), phase, rate, warm_up, length })
    }

    /// What the generator can do.
    pub fn take_generator(&mut self, rate: u64) {
        self.generator = Some(Some(rate));
        self.begin_replicate();
    }

    /// Nobody can measure what the generator can do: then only what trials themselves show of it counts.
    pub fn skip_generator(&mut self) {
        self.generator = Some(None);
        self.begin_replicate();
    }

    /// What came of the trial that [`Self::step`] said.
    pub fn take(&mut self, result: TrialResult) {
        if let Some(current) = &mut self.current {
            current.take(&result.verdict, result.near);
            self.results.push(result);
            if let Some(end) = current.end().cloned() {
                let flags = current.flags().to_vec();
                self.current = None;
                self.finished.push((end, flags));
                self.begin_replicate();
            }
        }
    }

    fn replicate(&self) -> u32 {
        u32::try_from(self.finished.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are far below 2^53")]
    fn begin_replicate(&mut self) {
        let last = self.finished.last().map(|(end, _)| end);
        // A bound is not made better by being met again, nor is nothing; and instability needs no further proof.
        let is_over = last.is_some_and(|end| !matches!(end, End::Found { .. }));
        if is_over || self.replicate() > self.settings.replicates.max(1) {
            return;
        }
        let from = match last {
            Some(End::Found { lower, .. }) => {
                let mut chance = chance::generator(self.settings.seed, STARTS);
                let draw = (0..self.finished.len()).map(|_| chance.next_u64()).last().unwrap_or_default();
                let part = (draw >> 11) as f64 / (1_u64 << 53) as f64;
                (*lower as f64 * 2_f64.powf(part - 1.0)) as u64
            }
            _ => self.settings.from,
        };
        let cap = self.generator().map_or(u64::MAX, |rate| (rate as f64 * GENERATOR_SHARE_MAX) as u64);
        self.current = Some(Replicate::new(from, cap));
    }

    /// What it came to; nothing before [`Step::Done`].
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        if self.step() != Step::Done {
            return None;
        }
        let lowers: Vec<u64> = self
            .ends()
            .filter_map(|end| if let End::Found { lower, .. } = end { Some(*lower) } else { None })
            .collect();
        Some(match self.ends().last()? {
            End::Found { .. } => of_replicates(&lowers),
            // Alone it is a bound; behind ceilings that were found below or above it, it contradicts them.
            End::Limited { lower } if lowers.is_empty() => Outcome::GeneratorLimited { at_least: *lower },
            End::Nothing { by: Limit::Generator, .. } if lowers.is_empty() => Outcome::GeneratorLimited { at_least: 0 },
            End::Nothing { rate, .. } if lowers.is_empty() => Outcome::Nothing { rate: *rate },
            End::Unstable { reason } => Outcome::Unstable { reason: reason.clone(), around: around(&lowers) },
            End::Limited { lower } => {
                let reason = format!(
                    "a replicate was limited by the generator at {}/s, after others had found {}",
                    grouped(*lower),
                    list(&lowers)
                );
                Outcome::Unstable { reason, around: around(&lowers) }
            }
            End::Nothing { rate, .. } => {
                let reason = format!(
                    "in a replicate not even {}/s held, after others had found {}",
                    grouped(*rate),
                    list(&lowers)
                );
                Outcome::Unstable { reason, around: around(&lowers) }
            }
        })
    }
}

fn list(rates: &[u64]) -> String {
    rates.iter().map(|rate| format!("{}/s", grouped(*rate))).collect::<Vec<_>>().join(", ")
}

/// The median, and the interval at 95 %.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are far below 2^53")]
fn around(rates: &[u64]) -> Option<(u64, u64, u64)> {
    let n = rates.len();
    if n < 2 {
        return None;
    }
    let logs: Vec<f64> = rates.iter().map(|rate| (*rate as f64).ln()).collect();
    let mean = logs.iter().sum::<f64>() / n as f64;
    let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
    let t = T95.get(n - 2).copied().unwrap_or(1.96 * 1.1);
    let reach = t * (variance / n as f64).sqrt();
    let median = median(&mut rates.iter().map(|rate| *rate as f64).collect::<Vec<_>>());
    let [low, high] = [mean - reach, mean + reach].map(|log| log.exp().round() as u64);
    Some((median.round() as u64, low, high))
}

fn of_replicates(rates: &[u64]) -> Outcome {
    let Some((median, low, high)) = around(rates) else {
        return Outcome::Found { rate: rates.first().copied().unwrap_or_default(), interval: None };
    };
    let (below, above) = (1.0 - low as f64 / median as f64, high as f64 / median as f64 - 1.0);
    if below.max(above) <= STABLE {
        return Outcome::Found { rate: median, interval: Some((low, high)) };
    }
    let falls = rates.windows(2).all(|pair| pair[1] < pair[0]);
    let rises = rates.windows(2).all(|pair| pair[1] > pair[0]);
    let course = match (falls, rises) {
        (true, _) => "; each is below the one before, as if the system became slower",
        (_, true) => "; each is above the one before, as if the system became faster",
        _ => "",
    };
    let reason = format!(
        "the replicates found {}: at 95 % that is -{:.1} to +{:.1} %, and 3 % is allowed{course}",
        list(rates),
        below * 100.0,
        above * 100.0
    );
    Outcome::Unstable { reason, around: Some((median, low, high)) }
}
