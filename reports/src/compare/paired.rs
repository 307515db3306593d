//! The gate: runs in pairs, interleaved on one machine.
//!
//! Whatever the machine does to one run of a pair it most likely does to the other, so only their ratio counts:
//! d = ln(B / A), one number for each pair and metric. Which of the two came first was drawn, so a trend within pairs cannot
//! lean to one side.

use super::comparison::{
    Comparison, Design, Estimated, MetricResult, Settings, different_rates, frame, middle, results, unmeasured,
};
use super::environment::{Scope, differences};
use super::judgement::{Estimate, Judgement};
use super::metric::Metric;
use super::sample::RunSample;
use super::{signed_rank, walsh};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// One pair in so many may be set aside because a run of it cannot be believed. More of them are no accident.
const ASIDE_ONE_IN: usize = 4;
/// How many objections are told.
const TOLD_MAX: usize = 5;

/// Whether so many pairs, with so many set aside, leave the comparison valid.
#[must_use]
pub fn may_set_aside(pairs: usize, aside: usize) -> bool {
    aside * ASIDE_ONE_IN <= pairs
}

/// Whether both runs of a pair can be believed.
#[must_use]
pub fn is_sound(pair: &(RunSample, RunSample)) -> bool {
    pair.0.objections.is_empty() && pair.1.objections.is_empty()
}

/// Whether A runs before B in this pair: a coin that this seed tosses, the same each time.
#[must_use]
pub fn a_goes_first(seed: u64, pair: u64) -> bool {
    let mut coin = ChaCha8Rng::seed_from_u64(seed);
    coin.set_stream(pair);
    coin.random()
}

/// Compares the pairs of which both runs can be believed. The others are set aside: a decision that looks at the
/// generator, at what arrived and at whether it kept arriving, never at how long it took, and that strikes both runs of
/// a pair.
#[must_use]
pub fn compare(pairs: &[(RunSample, RunSample)], settings: &Settings) -> Comparison {
    let (sound, aside): (Vec<_>, Vec<_>) = pairs.iter().partition(|pair| is_sound(pair));
    let a: Vec<&RunSample> = sound.iter().map(|pair| &pair.0).collect();
    let b: Vec<&RunSample> = sound.iter().map(|pair| &pair.1).collect();
    let mut comparison = frame(Design::Paired, &a, &b, settings);
    objections(&aside, pairs.len(), &mut comparison);
    strangers(&a, &b, &mut comparison);
    comparison.reasons.extend(different_rates(&a, &b, settings));
    let all: Vec<&RunSample> = a.iter().chain(&b).copied().collect();
    let metrics = unmeasured(&all, settings, &mut comparison);
    let is_invalid = !comparison.reasons.is_empty() || sound.is_empty();
    let figures = metrics.into_iter().filter_map(|metric| Figures::of(metric, &a, &b)).collect();
    comparison.metrics = judged(figures, settings);
    comparison.judgement = if is_invalid {
        Judgement::Invalid
    } else {
        Judgement::of_all(comparison.metrics.iter().map(|metric| metric.judgement))
    };
    comparison
}

/// One metric of all pairs, in nanoseconds: the n-th of A belongs to the n-th of B.
#[derive(Debug, Clone)]
pub struct Figures {
    /// Which.
    pub metric: Metric,
    /// Of A's runs.
    pub a: Vec<f64>,
    /// Of B's runs.
    pub b: Vec<f64>,
}

impl Figures {
    fn of(metric: Metric, a: &[&RunSample], b: &[&RunSample]) -> Option<Self> {
        let figures = |runs: &[&RunSample]| runs.iter().map(|run| run.figure(&metric)).collect::<Option<Vec<f64>>>();
        let (a, b) = (figures(a)?, figures(b)?);
        Some(Self { metric, a, b })
    }

    fn estimated(self, alpha: f64) -> Option<Estimated> {
        let differences: Vec<f64> = self.a.iter().zip(&self.b).map(|(a, b)| (b / a).ln()).collect();
        let estimate = of_differences(&differences, alpha)?;
        Some(Estimated { metric: self.metric, a_ns: middle(self.a)?, b_ns: middle(self.b)?, estimate, differences })
    }
}

/// Judges metrics beside each other; none that has no pairs.
#[must_use]
pub fn judged(figures: Vec<Figures>, settings: &Settings) -> Vec<MetricResult> {
    let alpha = settings.alpha();
    results(figures.into_iter().filter_map(|figures| figures.estimated(alpha)).collect(), settings)
}

/// The estimate, its interval and its probability; `None` without differences.
#[must_use]
pub fn of_differences(differences: &[f64], alpha: f64) -> Option<Estimate> {
    Some(Estimate {
        change: walsh::hodges_lehmann(differences)?,
        interval: walsh::interval(differences, alpha),
        p: signed_rank::p_two_sided(differences),
    })
}

fn objections(aside: &[&(RunSample, RunSample)], pairs: usize, comparison: &mut Comparison) {
    if aside.is_empty() && pairs > 0 {
        return;
    }
    let runs = aside.iter().flat_map(|pair| [&pair.0, &pair.1]);
    let told = runs.flat_map(|run| run.objections.iter().map(|why| format!("{}: {why}", run.directory.display())));
    let told: Vec<String> = told.collect();
    let (number, noun) = (aside.len(), if pairs == 1 { "pair" } else { "pairs" });
    let head = format!("{number} of {pairs} {noun} set aside: a run of each cannot be believed");
    let more = told.len().saturating_sub(TOLD_MAX);
    let lines = [head].into_iter().chain(told.into_iter().take(TOLD_MAX));
    let lines = lines.chain((more > 0).then(|| format!("and {more} more of the kind")));
    if pairs > 0 && may_set_aside(pairs, aside.len()) {
        comparison.notes.extend(lines);
    } else {
        comparison.reasons.extend(lines);
        comparison.reasons.extend(one_sided(aside));
    }
}

/// What it may mean that all of them are runs of one side.
fn one_sided(aside: &[&(RunSample, RunSample)]) -> Option<String> {
    let objected = |run: &RunSample| !run.objections.is_empty();
    let a = aside.iter().filter(|pair| objected(&pair.0)).count();
    let b = aside.iter().filter(|pair| objected(&pair.1)).count();
    let side = match (a, b) {
        (0, 1..) => 'B',
        (1.., 0) => 'A',
        _ => return None,
    };
    Some(format!(
        "all of them runs of {side}: if it does not carry this rate, compare at a lower one, or search for its ceiling"
    ))
}

/// Runs on other machines. Other versions and back ends may be what is compared, and are told.
fn strangers(a: &[&RunSample], b: &[&RunSample], comparison: &mut Comparison) {
    let mut infos = a.iter().chain(b).filter_map(|run| run.info.as_ref());
    let Some(first) = infos.next() else { return };
    for info in infos {
        let machine = differences(first, info, Scope::Machine);
        for difference in differences(first, info, Scope::Everything) {
            let to = if machine.contains(&difference) { &mut comparison.reasons } else { &mut comparison.notes };
            let line = format!("different {difference}");
            if !to.contains(&line) {
                to.push(line);
            }
        }
    }
}
