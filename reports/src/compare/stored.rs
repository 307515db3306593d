//! Runs that were taken at some time or other: no pairs, so the machine's days count as noise.

use super::bootstrap::{Difference, Run};
use super::comparison::{
    Comparison, Design, Estimated, MetricResult, Settings, different_rates, frame, middle, results, unmeasured,
};
use super::environment::{Scope, differences};
use super::judgement::{Estimate, Judgement};
use super::metric::Metric;
use super::sample::RunSample;
use rand::{Rng, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Fewer runs on a side say nothing about the next one.
pub const RUNS_LEAST: usize = 5;
/// How often the intervals of a run are drawn again.
const RESAMPLED: usize = 200;
/// One run in so many may be left out because it cannot be believed.
const LEFT_OUT_ONE_IN: usize = 4;

/// Compares the runs that can be believed. `seed` decides what the bootstrap draws.
#[must_use]
pub fn compare(a: &[RunSample], b: &[RunSample], settings: &Settings, seed: u64) -> Comparison {
    let (good_a, good_b) = (believed(a), believed(b));
    let all = a.len() + b.len();
    let left_out = all - good_a.len() - good_b.len();
    let mut comparison = frame(Design::Stored, &good_a, &good_b, settings);
    for run in a.iter().chain(b) {
        for objection in &run.objections {
            let line = format!("left out {}: {objection}", run.directory.display());
            let is_accident = left_out * LEFT_OUT_ONE_IN <= all;
            (if is_accident { &mut comparison.notes } else { &mut comparison.reasons }).push(line);
        }
    }
    strangers(&good_a, &good_b, &mut comparison);
    comparison.reasons.extend(different_rates(&good_a, &good_b, settings));
    let everybody: Vec<&RunSample> = good_a.iter().chain(&good_b).copied().collect();
    let metrics = unmeasured(&everybody, settings, &mut comparison);
    let is_invalid = !comparison.reasons.is_empty() || everybody.is_empty();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let lots = metrics.into_iter().filter_map(|metric| Lots::of(metric, &good_a, &good_b, &mut random)).collect();
    comparison.metrics = judged(lots, settings, &mut random);
    let fewest = good_a.len().min(good_b.len());
    comparison.judgement = if is_invalid {
        Judgement::Invalid
    } else if fewest < RUNS_LEAST {
        let (a, b) = (good_a.len(), good_b.len());
        comparison
            .reasons
            .push(format!("{a} and {b} runs are too few without pairs: {RUNS_LEAST} a side are the least"));
        for metric in &mut comparison.metrics {
            metric.judgement = Judgement::TooNoisy;
        }
        Judgement::TooNoisy
    } else {
        Judgement::of_all(comparison.metrics.iter().map(|metric| metric.judgement))
    };
    comparison
}

fn believed(runs: &[RunSample]) -> Vec<&RunSample> {
    runs.iter().filter(|run| run.objections.is_empty()).collect()
}

/// One metric of all runs of both sides.
#[derive(Debug, Clone)]
pub struct Lots {
    /// Which.
    pub metric: Metric,
    /// A's runs.
    pub a: Vec<Run>,
    /// B's runs.
    pub b: Vec<Run>,
}

impl Lots {
    fn of(metric: Metric, a: &[&RunSample], b: &[&RunSample], random: &mut impl Rng) -> Option<Self> {
        let mut lot = |runs: &[&RunSample]| -> Option<Vec<Run>> {
            runs.iter().map(|run| resample(run, &metric, random)).collect()
        };
        let (a, b) = (lot(a)?, lot(b)?);
        Some(Self { metric, a, b })
    }

    fn estimated(self, alpha: f64, random: &mut impl Rng) -> Option<Estimated> {
        let difference = Difference::between(&self.a, &self.b, random)?;
        let estimate = Estimate {
            change: difference.estimate,
            interval: Some(difference.interval(alpha)),
            p: difference.p_two_sided(),
        };
        let typical = |runs: &[Run]| middle(runs.iter().map(|run| run.figure.exp()).collect());
        let (a_ns, b_ns) = (typical(&self.a)?, typical(&self.b)?);
        Some(Estimated { metric: self.metric, a_ns, b_ns, estimate, differences: Vec::new() })
    }
}

/// Judges metrics beside each other; none of which a side has less than two runs.
#[must_use]
pub fn judged(lots: Vec<Lots>, settings: &Settings, random: &mut impl Rng) -> Vec<MetricResult> {
    let alpha = settings.alpha();
    results(lots.into_iter().filter_map(|lots| lots.estimated(alpha, random)).collect(), settings)
}

/// A run with what it could have been; `None` where it was not measured.
#[must_use]
pub fn resample(run: &RunSample, metric: &Metric, random: &mut impl Rng) -> Option<Run> {
    let figure = run.figure(metric)?.ln();
    let resampled = (0..RESAMPLED).filter_map(|_| run.resampled(metric, random)).map(f64::ln).collect();
    Some(Run { figure, resampled })
}

/// Runs that were of something else, or somewhere else.
fn strangers(a: &[&RunSample], b: &[&RunSample], comparison: &mut Comparison) {
    let mut infos = a.iter().chain(b).filter_map(|run| run.info.as_ref());
    let Some(first) = infos.next() else { return };
    for info in infos {
        let mut found = differences(first, info, Scope::Everything);
        if first.scenario != info.scenario {
            found.insert(0, format!("scenario: {} and {}", first.scenario, info.scenario));
        }
        for line in found.into_iter().map(|difference| format!("different {difference}")) {
            if !comparison.reasons.contains(&line) {
                comparison.reasons.push(line);
            }
        }
    }
}
