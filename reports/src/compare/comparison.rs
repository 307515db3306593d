//! The result of a comparison: what every rendering shows, and what is kept as JSON.

use super::holm;
use super::judgement::{Estimate, Judgement, judge};
use super::metric::{Margins, Metric};
use super::noise_floor::NoiseFloor;
use super::sample::RunSample;
use super::walsh::median;
use crate::info::{Environment, RunInfo};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF as _, Normal};
use std::collections::BTreeMap;

/// The version of the JSON that this crate writes.
pub const FORMAT_VERSION: u32 = 1;

/// The share of slowdowns of the detectable size that are found.
const POWER: f64 = 0.95;

/// By how much the two sides' rates may differ and still be the same.
const RATE_SHARE: f64 = 0.02;

/// Where the percentile curve has its points.
const CURVE: [f64; 13] = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999];

/// How runs were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Design {
    /// In pairs, interleaved on one machine, in an order that was drawn within each pair.
    Paired,
    /// At some time or other.
    Stored,
}

/// What the caller decides.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What A and B are called.
    pub labels: [String; 2],
    /// The tags of latencies that are compared.
    pub tags: Vec<String>,
    /// What differences nobody minds.
    pub margins: Margins,
    /// What differences the machine makes by itself.
    pub noise_floor: Option<NoiseFloor>,
    /// How often, at most, a comparison of equals may raise an alarm: over all metrics, and over all looks.
    pub family_alpha: f64,
    /// How often the runs may be looked at: twice where noise leads to further pairs. Each look has its part of
    /// `family_alpha`, so that looking again costs no additional alarm.
    pub looks: u32,
}

impl Settings {
    /// The usual rules for these labels, with one look.
    #[must_use]
    pub fn new(a: impl Into<String>, b: impl Into<String>) -> Self {
        Self {
            labels: [a.into(), b.into()],
            tags: vec![super::metric::ACKNOWLEDGEMENT.to_owned()],
            margins: Margins::default(),
            noise_floor: None,
            family_alpha: 0.01,
            looks: 1,
        }
    }

    /// What one look may spend.
    #[must_use]
    pub fn alpha(&self) -> f64 {
        self.family_alpha / f64::from(self.looks.max(1))
    }

    /// The margin of a metric, and whether the noise floor made it.
    fn margin(&self, metric: &Metric) -> (f64, bool) {
        let wanted = self.margins.of(metric);
        let floor = self.noise_floor.as_ref().and_then(|noise| noise.floors.get(&metric.to_string()).copied());
        match floor {
            Some(floor) if floor > wanted => (floor, true),
            _ => (wanted, false),
        }
    }
}

/// One side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// What it is called.
    pub label: String,
    /// The run directories that were compared.
    pub runs: Vec<String>,
    /// Latencies over all of its runs, of the first tag that was asked for: a share of messages, and the nanoseconds that
    /// they did not exceed.
    pub curve: Vec<(f64, u64)>,
}

/// What was found of one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricResult {
    /// `p50`, `p99`, `cpu/message`, `p99 deliver:orders`.
    pub name: String,
    /// The median over A's runs, in nanoseconds.
    pub a_ns: f64,
    /// The median over B's runs, in nanoseconds.
    pub b_ns: f64,
    /// How much more B takes than A, as a share: 0.21 is 21 %.
    pub change: f64,
    /// Between what that lies; `None` where there are too few runs to say so.
    pub interval: Option<[f64; 2]>,
    /// How likely so much of a change is when nothing is behind it.
    pub p: f64,
    /// The same among all metrics (Holm).
    pub p_adjusted: f64,
    /// The change that nobody minds, as a share.
    pub margin: f64,
    /// Whether the noise floor made the margin as large as it is.
    pub margin_is_noise: bool,
    /// The slowdown that would be found 19 times in 20, as a share; `None` as for the interval.
    pub detectable: Option<f64>,
    /// The verdict.
    pub judgement: Judgement,
    /// The change within each pair, as a share; empty without pairs.
    pub differences: Vec<f64>,
}

/// The whole result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// [`FORMAT_VERSION`] of the writer.
    pub format: u32,
    /// The scenario's name, as A's runs have it.
    pub scenario: String,
    /// How runs were taken.
    pub design: Design,
    /// What was before.
    pub a: Side,
    /// What is judged.
    pub b: Side,
    /// Messages acknowledged each second; 0 where nothing was.
    pub per_second: f64,
    /// How many pairs were compared; the smaller side's runs without pairs.
    pub pairs: u64,
    /// How often this look may raise an alarm over nothing, over all metrics; intervals leave out as much each.
    pub alpha: f64,
    /// One for each metric.
    pub metrics: Vec<MetricResult>,
    /// What all come to.
    pub judgement: Judgement,
    /// Why it is invalid, or noisy beside what metrics say.
    pub reasons: Vec<String>,
    /// What a reader has to know all the same.
    pub notes: Vec<String>,
    /// What played the cluster for A's first run.
    #[serde(default)]
    pub backend: String,
    /// The machine.
    pub environment: Environment,
    /// When A's first run began, in milliseconds since the Unix epoch.
    pub started_unix_ms: u64,
}

/// A metric as it was estimated, before it is judged.
#[derive(Debug, Clone)]
pub(super) struct Estimated {
    pub(super) metric: Metric,
    pub(super) a_ns: f64,
    pub(super) b_ns: f64,
    pub(super) estimate: Estimate,
    pub(super) differences: Vec<f64>,
}

/// Judges metrics beside each other.
pub(super) fn results(estimated: Vec<Estimated>, settings: &Settings) -> Vec<MetricResult> {
    let probabilities: Vec<f64> = estimated.iter().map(|found| found.estimate.p).collect();
    let (alpha, number) = (settings.alpha(), estimated.len());
    let result = |(found, p_adjusted): (Estimated, f64)| {
        let (margin, margin_is_noise) = settings.margin(&found.metric);
        let estimate = found.estimate;
        MetricResult {
            name: found.metric.to_string(),
            a_ns: found.a_ns,
            b_ns: found.b_ns,
            change: estimate.change.exp_m1(),
            interval: estimate.interval.map(|(low, high)| [low.exp_m1(), high.exp_m1()]),
            p: estimate.p,
            p_adjusted,
            margin,
            margin_is_noise,
            detectable: estimate.interval.map(|interval| detectable(interval, alpha, number, margin)),
            judgement: judge(&estimate, p_adjusted, alpha, margin),
            differences: found.differences.iter().map(|difference| difference.exp_m1()).collect(),
        }
    };
    estimated.into_iter().zip(holm::adjusted(&probabilities)).map(result).collect()
}

/// The slowdown that is both significant and beyond the margin 19 times in 20, given how wide this interval is. The first
/// of several metrics pays for all of them, as in Holm's procedure.
fn detectable((low, high): (f64, f64), alpha: f64, metrics: usize, margin: f64) -> f64 {
    let normal = Normal::standard();
    let standard_error = (high - low) / 2.0 / normal.inverse_cdf(1.0 - alpha / 2.0);
    let significant = normal.inverse_cdf(1.0 - alpha / (2.0 * metrics.max(1) as f64));
    let found = normal.inverse_cdf(POWER);
    let needed = ((significant + found) * standard_error).max(margin.ln_1p() + found * standard_error);
    needed.exp_m1()
}

/// The frame of a result, with nothing judged yet.
pub(super) fn frame(design: Design, a: &[&RunSample], b: &[&RunSample], settings: &Settings) -> Comparison {
    let first: Option<&RunInfo> = a.iter().chain(b).find_map(|run| run.info.as_ref());
    let rates: Vec<f64> = a.iter().chain(b).filter_map(|run| run.per_second(settings.tags.first()?)).collect();
    let [label_a, label_b] = settings.labels.clone();
    Comparison {
        format: FORMAT_VERSION,
        scenario: first.map(|info| info.scenario.clone()).unwrap_or_default(),
        design,
        a: side(label_a, a, settings),
        b: side(label_b, b, settings),
        per_second: middle(rates).unwrap_or_default(),
        pairs: a.len().min(b.len()) as u64,
        alpha: settings.alpha(),
        metrics: Vec::new(),
        judgement: Judgement::TooNoisy,
        reasons: Vec::new(),
        notes: Vec::new(),
        backend: first.map(|info| info.backend.clone()).unwrap_or_default(),
        environment: first.map(|info| info.environment.clone()).unwrap_or_default(),
        started_unix_ms: first.map_or(0, |info| info.started_unix_ms),
    }
}

fn side(label: String, runs: &[&RunSample], settings: &Settings) -> Side {
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    let latencies = runs.iter().filter_map(|run| run.latencies.get(settings.tags.first()?));
    for (value, count) in latencies.flat_map(|latencies| latencies.recorded()) {
        *counts.entry(value).or_default() += count;
    }
    let total: u64 = counts.values().sum();
    let mut curve = Vec::new();
    // A point that less than one message decides is none.
    let shares = CURVE.into_iter().filter(|share| (1.0 - share) * total as f64 >= 1.0);
    let (mut counts, mut below, mut value) = (counts.into_iter(), 0, 0);
    for share in shares {
        while (below as f64) < share * total as f64 {
            let Some((next, count)) = counts.next() else { break };
            (value, below) = (next, below + count);
        }
        curve.push((share, value));
    }
    Side { label, runs: runs.iter().map(|run| run.directory.display().to_string()).collect(), curve }
}

/// The middle of values in any order.
pub(super) fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    median(&values)
}

/// Why these sides cannot be compared: other rates.
pub(super) fn different_rates(a: &[&RunSample], b: &[&RunSample], settings: &Settings) -> Option<String> {
    let tag = settings.tags.first()?;
    let rate = |runs: &[&RunSample]| middle(runs.iter().filter_map(|run| run.per_second(tag)).collect());
    let (a, b) = (rate(a)?, rate(b)?);
    ((a - b).abs() > RATE_SHARE * a.max(b)).then(|| format!("the sides had different rates: {a:.0}/s and {b:.0}/s"))
}

/// What was asked for and never measured: a reason for latencies, a note for processor time, which not every system tells.
pub(super) fn unmeasured(runs: &[&RunSample], settings: &Settings, comparison: &mut Comparison) -> Vec<Metric> {
    let mut metrics = Metric::of(&settings.tags);
    metrics.retain(|metric| {
        let missing = runs.iter().filter(|run| run.figure(metric).is_none()).count();
        if missing == 0 {
            return true;
        }
        let number = if missing == runs.len() {
            "no run has".to_owned()
        } else {
            format!("{missing} of {} runs lack", runs.len())
        };
        match metric {
            Metric::CpuPerMessage => {
                comparison.notes.push(format!("cpu/message was not compared: {number} readings of it"));
            }
            Metric::P50(tag) => {
                let first = runs.first().map(|run| run.latencies.keys().map(String::as_str).collect::<Vec<_>>());
                let known = first.unwrap_or_default();
                comparison.reasons.push(format!("{number} latencies tagged `{tag}`; there are: {}", known.join(", ")));
            }
            Metric::P99(_) => {}
        }
        false
    });
    metrics
}
