//! What one run contributes to a comparison, and what speaks against believing it.

use super::latencies::{self, Latencies};
use super::metric::{ACKNOWLEDGEMENT, Metric};
use super::objections;
use crate::directory::{INFO_FILE, SUMMARY_FILE, VERDICT_FILE};
use crate::ending::{self, Ending};
use crate::info::{FORMAT_VERSION, RunInfo};
use crate::intervals;
use crate::resources::{Reading, Resources};
use crate::run_record::RunRecord;
use crate::summary::Summary;
use crate::verdict::Verdict;
use rand::{Rng, RngExt as _};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How much longer than the last interval readings of resources still belong to the load: they come once a second.
const READING_SLACK_NS: u64 = 1_000_000_000;

/// Why a run directory contributes nothing at all.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// It is no run directory, or a file of it is damaged.
    #[error("cannot read {file} of the run in {}: {source}", directory.display())]
    Unreadable {
        /// The run directory.
        directory: PathBuf,
        /// The file in it.
        file: &'static str,
        /// What is wrong with it.
        source: io::Error,
    },
}

/// Processor time and messages between two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Of brokers and services, in nanoseconds.
    pub cpu_ns: u64,
    /// Messages that were acknowledged.
    pub messages: u64,
}

/// One run.
#[derive(Debug, Clone, Default)]
pub struct RunSample {
    /// Where it lies.
    pub directory: PathBuf,
    /// What the run was; `None` only for samples that no run directory gave.
    pub info: Option<RunInfo>,
    /// Latencies by tag, after the warm-up.
    pub latencies: BTreeMap<String, Latencies>,
    /// Costs, second by second, after the warm-up.
    pub costs: Vec<Cost>,
    /// Why the run is not to be believed: nothing where it is.
    pub objections: Vec<String>,
}

impl RunSample {
    /// Reads a run directory, without what happened in the first `warm_up` of the load.
    ///
    /// # Errors
    /// When it is none, or is damaged. A run that was killed or cannot be believed is no error: it has objections.
    pub fn read(directory: &Path, warm_up: Duration) -> Result<Self, SampleError> {
        let unreadable = |file| move |source| SampleError::Unreadable { directory: directory.to_owned(), file, source };
        let info: RunInfo = json(directory, INFO_FILE)
            .and_then(|info| info.ok_or_else(|| io::ErrorKind::NotFound.into()))
            .and_then(readable)
            .map_err(unreadable(INFO_FILE))?;
        let summary: Option<Summary> = json(directory, SUMMARY_FILE).map_err(unreadable(SUMMARY_FILE))?;
        let ending: Option<Ending> = json(directory, ending::FILE).map_err(unreadable(ending::FILE))?;
        let verdict: Option<Verdict> = json(directory, VERDICT_FILE).map_err(unreadable(VERDICT_FILE))?;
        let all = latencies::read(directory).map_err(unreadable(intervals::FILE))?;
        let readings = Resources::read(directory).map_err(unreadable(crate::resources::FILE))?;

        let origin = |latencies: &Latencies| latencies.intervals.first().map(|interval| interval.start_ns);
        // The load begins with its own log; taps look on from earlier.
        let load = all.get(ACKNOWLEDGEMENT).and_then(origin);
        let warm_up_ns = u64::try_from(warm_up.as_nanos()).unwrap_or(u64::MAX);
        let after_warm_up = |latencies: Latencies| {
            let began = load.or_else(|| origin(&latencies)).unwrap_or_default();
            latencies.from(began.saturating_add(warm_up_ns))
        };
        let latencies: BTreeMap<_, _> = all.into_iter().map(|(tag, all)| (tag, after_warm_up(all))).collect();
        let offered = latencies.get(ACKNOWLEDGEMENT).or_else(|| latencies.values().next());
        let costs = offered.map_or_else(Vec::new, |offered| costs(&readings, span(offered)));
        let mut objections = match &ending {
            None if RunRecord::is_under_way(directory) => vec!["it is still under way".to_owned()],
            ending => objections::of_run(summary.as_ref(), ending.as_ref(), verdict.as_ref()),
        };
        objections.extend(latencies.get(ACKNOWLEDGEMENT).and_then(objections::of_pace));
        Ok(Self { directory: directory.to_owned(), info: Some(info), latencies, costs, objections })
    }

    /// The run's figure, in nanoseconds; `None` where it was not measured.
    #[must_use]
    pub fn figure(&self, metric: &Metric) -> Option<f64> {
        match metric {
            Metric::P50(tag) => self.latencies.get(tag)?.quantile(0.50).map(positive),
            Metric::P99(tag) => self.latencies.get(tag)?.quantile(0.99).map(positive),
            Metric::CpuPerMessage => per_message(self.costs.iter()),
        }
    }

    /// The figure of a run that could have been: the same intervals, drawn with replacement in blocks of neighbours, so that
    /// what lasts longer than an interval stays together.
    ///
    /// H. R. Künsch, "The jackknife and the bootstrap for general stationary observations", Annals of Statistics 17 (1989);
    /// blocks go round at the end, as in D. N. Politis and J. P. Romano, "A circular block-resampling procedure" (1992).
    #[must_use]
    pub fn resampled(&self, metric: &Metric, random: &mut impl Rng) -> Option<f64> {
        match metric {
            Metric::P50(tag) | Metric::P99(tag) => {
                let latencies = self.latencies.get(tag)?;
                let share = if matches!(metric, Metric::P50(_)) { 0.50 } else { 0.99 };
                let places = blocks(latencies.intervals.len(), random);
                latencies.quantile_over(places, share).map(positive)
            }
            Metric::CpuPerMessage => {
                let places = blocks(self.costs.len(), random);
                per_message(places.into_iter().filter_map(|place| self.costs.get(place)))
            }
        }
    }

    /// How many messages a second were acknowledged after the warm-up: of the latencies with this tag, read.
    #[must_use]
    pub fn per_second(&self, tag: &str) -> Option<f64> {
        let intervals = &self.latencies.get(tag)?.intervals;
        let (first, last) = (intervals.first()?, intervals.last()?);
        let span_ns = last.end_ns.saturating_sub(first.start_ns);
        let total: u64 = intervals.iter().map(|interval| interval.total).sum();
        (span_ns > 0).then(|| total as f64 * 1e9 / span_ns as f64)
    }
}

/// A latency as comparisons take it. What took no time at all (a hop whose ends were read at one instant) has no
/// logarithm, and no ratio to anything: it took the least that the clock can tell.
fn positive(nanoseconds: u64) -> f64 {
    nanoseconds.max(1) as f64
}

/// So many places out of so many, in blocks as long as the cube root of their number.
fn blocks(number: usize, random: &mut impl Rng) -> Vec<usize> {
    let length = (1..).find(|length| length * length * length >= number).unwrap_or(1);
    let mut places = Vec::with_capacity(number + length);
    while places.len() < number {
        let start = random.random_range(0..number);
        places.extend((start..start + length).map(|place| place % number));
    }
    places.truncate(number);
    places
}

fn per_message<'a>(costs: impl Iterator<Item = &'a Cost>) -> Option<f64> {
    let (cpu, messages) = costs.fold((0, 0), |(cpu, messages), cost| (cpu + cost.cpu_ns, messages + cost.messages));
    (cpu > 0 && messages > 0).then(|| cpu as f64 / messages as f64)
}

/// From when to when the intervals last, in nanoseconds since the Unix epoch; nothing where there are none.
fn span(latencies: &Latencies) -> (u64, u64) {
    let (first, last) = (latencies.intervals.first(), latencies.intervals.last());
    (first.map_or(u64::MAX, |first| first.start_ns), last.map_or(0, |last| last.end_ns))
}

/// What lay between readings of this span. A second without a message is no cost of messages.
fn costs(readings: &[Reading], (first_ns, last_ns): (u64, u64)) -> Vec<Cost> {
    let within = first_ns..=last_ns.saturating_add(READING_SLACK_NS);
    let readings: Vec<&Reading> = readings.iter().filter(|reading| within.contains(&reading.at_ns)).collect();
    let cpu = |reading: &Reading| reading.brokers_cpu_ns + reading.services_cpu_ns;
    let between = readings.windows(2).map(|pair| Cost {
        cpu_ns: cpu(pair[1]).saturating_sub(cpu(pair[0])),
        messages: pair[1].messages.saturating_sub(pair[0].messages),
    });
    between.filter(|cost| cost.messages > 0).collect()
}

/// What another version wrote may mean something else.
fn readable(info: RunInfo) -> io::Result<RunInfo> {
    if info.format == FORMAT_VERSION {
        return Ok(info);
    }
    let reason = format!("its format is version {}, this program reads {FORMAT_VERSION}", info.format);
    Err(io::Error::new(io::ErrorKind::InvalidData, reason))
}

fn json<T: DeserializeOwned>(directory: &Path, file: &str) -> io::Result<Option<T>> {
    match std::fs::read(directory.join(file)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    fn reading(second: u64, cpu_ns: u64, messages: u64) -> Reading {
        Reading { at_ns: second * 1_000_000_000, brokers_cpu_ns: cpu_ns, messages, ..Reading::default() }
    }

    #[test]
    fn costs_are_those_of_the_load_after_its_warm_up() {
        let readings = [
            reading(9, 5, 1),
            reading(10, 900, 10),
            reading(11, 1_900, 30),
            reading(12, 2_900, 50),
            reading(20, 9_000, 50),
        ];
        let span = (10_000_000_000, 11_500_000_000);
        let expected = [Cost { cpu_ns: 1_000, messages: 20 }, Cost { cpu_ns: 1_000, messages: 20 }];
        assert_eq!(costs(&readings, span), expected);
        assert_eq!(per_message(expected.iter()), Some(50.0));
        assert_eq!(per_message([].iter()), None, "nobody looked");
        let generator_alone = Cost { cpu_ns: 0, messages: 20 };
        assert_eq!(per_message([generator_alone].iter()), None, "brokers elsewhere cost something all the same");
    }

    #[test]
    fn what_took_no_time_has_a_ratio_all_the_same() {
        let mut histogram = hdrhistogram::Histogram::<u64>::new(3).expect("three digits are allowed");
        histogram.record_n(0, 100).expect("it resizes");
        let tag = "hop:topic_a->topic_b";
        let interval = intervals::Interval { tag: tag.to_owned(), start_ns: 0, end_ns: 1_000_000_000, histogram };
        let run = RunSample { latencies: latencies::by_tag(vec![interval]), ..RunSample::default() };
        let metric = Metric::P50(tag.to_owned());
        assert_eq!(run.figure(&metric), Some(1.0));
        assert_eq!(run.resampled(&metric, &mut ChaCha8Rng::seed_from_u64(1)), Some(1.0));
    }

    #[test]
    fn blocks_are_neighbours_and_go_round() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut seen = [false; 27];
        for _ in 0..100 {
            let places = blocks(27, &mut random);
            assert_eq!(places.len(), 27);
            for block in places.chunks(3) {
                assert!(block[1] == (block[0] + 1) % 27 && block[2] == (block[0] + 2) % 27, "{block:?}");
                seen[block[0]] = true;
            }
        }
        assert_eq!(seen, [true; 27], "every place begins a block now and then");
        assert!(blocks(0, &mut random).is_empty());
    }
}
