//! How often comparisons are wrong, on runs that were recorded: forty-eight of one scenario on one machine, one after the
//! other, so that neighbours are pairs of A against A.
//!
//! A simulated comparison draws pairs with replacement, swaps the sides of each with a coin, and draws the intervals of each
//! run again. It looks once at 12 pairs, and a second time at 24 where the first look is too noisy, as the tool does.
//! `SHAKEDOWN_COMPARISONS` says how many are simulated, and `SHAKEDOWN_RECORDED` names the folder of another comparison.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use shakedown_reports::compare::bootstrap::Run;
use shakedown_reports::compare::comparison::Settings;
use shakedown_reports::compare::sample::Cost;
use shakedown_reports::compare::{Judgement, Metric, RunSample, latencies, paired, stored};
use shakedown_reports::intervals;
use statrs::distribution::{Beta, ContinuousCDF as _};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PAIRS: usize = 12;
/// Runs a side where nobody paired them.
const STORED: usize = 8;
/// What is injected: every latency takes a tenth more.
const SLOWDOWN: f64 = 1.10;
/// How often the intervals of each recorded run are drawn again.
const RESAMPLED: usize = 25;
/// The most alarms over nothing, and the least slowdowns that are found.
const ALARMS_MOST: f64 = 0.01;
const FOUND_LEAST: f64 = 0.95;
/// How certain each of these has to be.
const CERTAINTY: f64 = 0.99;

fn comparisons() -> usize {
    std::env::var("SHAKEDOWN_COMPARISONS").map_or(1_000, |number| number.parse().expect("a number of comparisons"))
}

/// The recorded runs in the order of time, neighbours of a pair beside each other: those of the folder of a comparison that
/// `SHAKEDOWN_RECORDED` names, or the committed ones.
fn recorded() -> Vec<RunSample> {
    let runs =
        std::env::var_os("SHAKEDOWN_RECORDED").map_or_else(committed, |folder| of_comparison(Path::new(&folder)));
    assert!(runs.len() >= 40 && runs.len().is_multiple_of(2), "{} runs are recorded", runs.len());
    runs
}

/// One log with a tag for each run, and the costs of each of its seconds: processor time and messages.
fn committed() -> Vec<RunSample> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/a-against-a");
    let latencies = latencies::by_tag(intervals::read(&folder).expect("the recorded log"));
    let costs = std::fs::read_to_string(folder.join("costs.json")).expect("the recorded costs");
    let costs: BTreeMap<String, Vec<[u64; 2]>> = serde_json::from_str(&costs).expect("JSON");
    let run = |(name, latencies): (String, latencies::Latencies)| RunSample {
        costs: costs[&name].iter().map(|[cpu_ns, messages]| Cost { cpu_ns: *cpu_ns, messages: *messages }).collect(),
        latencies: BTreeMap::from([("ack".to_owned(), latencies)]),
        ..RunSample::default()
    };
    latencies.into_iter().map(run).collect()
}

/// The runs in `pair-001/a`, `pair-001/b`, ...
fn of_comparison(folder: &Path) -> Vec<RunSample> {
    fn runs(folder: &Path, found: &mut Vec<PathBuf>) {
        if folder.join("run.json").is_file() {
            return found.push(folder.to_owned());
        }
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        let mut entries: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
        entries.sort();
        entries.iter().for_each(|entry| runs(entry, found));
    }
    let mut found = Vec::new();
    runs(folder, &mut found);
    found.iter().map(|run| RunSample::read(run, Duration::from_secs(1)).expect("a good run")).collect()
}

/// What each run could have measured, metric by metric: `pool[run][draw][metric]`.
fn pool(runs: &[RunSample], metrics: &[Metric], random: &mut ChaCha8Rng) -> Vec<Vec<Vec<f64>>> {
    let mut draw = |run: &RunSample| -> Vec<f64> {
        metrics.iter().map(|metric| run.resampled(metric, random).expect("it was measured")).collect()
    };
    runs.iter().map(|run| (0..RESAMPLED).map(|_| draw(run)).collect()).collect()
}

/// How certain it is that something happens at most so often, having happened `times` in `of` (Clopper and Pearson).
fn at_most(times: usize, of: usize) -> f64 {
    if times == of {
        1.0
    } else {
        Beta::new(times as f64 + 1.0, (of - times) as f64).expect("positive").inverse_cdf(CERTAINTY)
    }
}

fn report(what: &str, times: usize, of: usize) {
    println!(
        "{what}: {times} of {of} ({:.2} %), at most {:.2} %, at least {:.2} %",
        times as f64 / of as f64 * 100.0,
        at_most(times, of) * 100.0,
        (1.0 - at_most(of - times, of)) * 100.0
    );
}

struct Simulation {
    metrics: Vec<Metric>,
    pool: Vec<Vec<Vec<f64>>>,
    random: ChaCha8Rng,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let metrics = Metric::of(&["ack".to_owned()]);
        let pool = pool(&recorded(), &metrics, &mut random);
        Self { metrics, pool, random }
    }

    fn drawn(&mut self, run: usize) -> Vec<f64> {
        let draw = self.random.random_range(0..RESAMPLED);
        self.pool[run][draw].clone()
    }

    /// One comparison by pairs, in which B's latencies take so many times as long.
    fn compare(&mut self, slowdown: f64) -> Judgement {
        let settings = Settings { looks: 2, ..Settings::new("A", "B") };
        let factor = |metric: &Metric| if *metric == Metric::CpuPerMessage { 1.0 } else { slowdown };
        let mut figures: Vec<paired::Figures> = self
            .metrics
            .iter()
            .map(|metric| paired::Figures { metric: metric.clone(), a: Vec::new(), b: Vec::new() })
            .collect();
        let mut judgement = Judgement::TooNoisy;
        for look in 1..=2 {
            for _ in figures[0].a.len()..PAIRS * look {
                let first = 2 * self.random.random_range(0..self.pool.len() / 2);
                let (one, other) = (self.drawn(first), self.drawn(first + 1));
                let (a, b) = if self.random.random() { (one, other) } else { (other, one) };
                for (place, figures) in figures.iter_mut().enumerate() {
                    figures.a.push(a[place]);
                    figures.b.push(b[place] * factor(&figures.metric));
                }
            }
            let judged = paired::judged(figures.clone(), &settings);
            judgement = Judgement::of_all(judged.iter().map(|metric| metric.judgement));
            if judgement != Judgement::TooNoisy {
                break;
            }
        }
        judgement
    }

    /// One comparison of stored runs, eight a side, drawn from any time.
    fn compare_stored(&mut self, slowdown: f64) -> Judgement {
        let mut side = || -> Vec<usize> { (0..STORED).map(|_| self.random.random_range(0..self.pool.len())).collect() };
        let (a, b) = (side(), side());
        let lot = |runs: &[usize], place: usize, factor: f64| -> Vec<Run> {
            let figures = |run: &usize| self.pool[*run].iter().map(|draw| (draw[place] * factor).ln()).collect();
            let run = |mut resampled: Vec<f64>| Run { figure: resampled.pop().expect("several draws"), resampled };
            runs.iter().map(figures).map(run).collect()
        };
        let lots = self.metrics.iter().enumerate().map(|(place, metric)| {
            let factor = if *metric == Metric::CpuPerMessage { 1.0 } else { slowdown };
            stored::Lots { metric: metric.clone(), a: lot(&a, place, 1.0), b: lot(&b, place, factor) }
        });
        let lots = lots.collect();
        let judged = stored::judged(lots, &Settings::new("A", "B"), &mut self.random);
        Judgement::of_all(judged.iter().map(|metric| metric.judgement))
    }
}

#[test]
fn equals_raise_an_alarm_at_most_once_in_a_hundred() {
    let (mut simulation, of) = (Simulation::new(1), comparisons());
    let judged: Vec<Judgement> = (0..of).map(|_| simulation.compare(1.0)).collect();
    let alarms = judged.iter().filter(|judgement| matches!(judgement, Judgement::Slower | Judgement::Faster)).count();
    let same = judged.iter().filter(|judgement| **judgement == Judgement::Same).count();
    report("A against A, alarms", alarms, of);
    report("A against A, same", same, of);
    assert!(at_most(alarms, of) <= ALARMS_MOST, "{alarms} alarms in {of} comparisons");
}

#[test]
fn a_slowdown_of_a_tenth_is_found_nineteen_times_in_twenty() {
    let (mut simulation, of) = (Simulation::new(2), comparisons());
    let found = (0..of).filter(|_| simulation.compare(SLOWDOWN) == Judgement::Slower).count();
    report("a slowdown of 10 %, found", found, of);
    assert!(at_most(of - found, of) <= 1.0 - FOUND_LEAST, "{found} found in {of} comparisons");
}

#[test]
fn equals_that_were_stored_raise_an_alarm_at_most_once_in_a_hundred() {
    let (mut simulation, of) = (Simulation::new(3), comparisons());
    let judged: Vec<Judgement> = (0..of).map(|_| simulation.compare_stored(1.0)).collect();
    let alarms = judged.iter().filter(|judgement| matches!(judgement, Judgement::Slower | Judgement::Faster)).count();
    report("stored, A against A, alarms", alarms, of);
    // Without pairs there is less between what is measured and what is promised: more comparisons make this sharper.
    assert!(alarms as f64 <= ALARMS_MOST * of as f64, "{alarms} alarms in {of} comparisons");
}
