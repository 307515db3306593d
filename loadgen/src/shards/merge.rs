//! One run directory out of those of all shards: every operation and every delivery, and histograms that are those of the
//! union.
//!
//! Nothing is resampled: streams are merged by the instants at which they were observed, histograms add up, second by second.

use crate::part::Shard;
use clap::Args;
use hdrhistogram::Histogram;
use shakedown_reports::intervals::{self, Interval};
use shakedown_reports::numbers::{duration, grouped};
use shakedown_reports::record::{Delivery, Operation, Outcome, Record, RecordError, StreamKind};
use shakedown_reports::{DirectoryError, Ending, RunDirectory, RunInfo, RunRecord, Summary, Validity};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// The intervals of a merged log, which count from the Unix epoch.
const SLOT: Duration = Duration::from_secs(1);
/// Entries that go from a reader to the merger at once, and how many times as many may wait.
const CHUNK: usize = 4_096;
const CHUNKS: usize = 4;

/// Which run directories, and where the merged one goes.
#[derive(Debug, Clone, Args)]
pub struct MergeArguments {
    /// Run directories of all shards of one run.
    #[arg(required = true, num_args = 2.., value_name = "DIRECTORY")]
    pub directories: Vec<PathBuf>,
    /// Directory under which the merged run is recorded.
    #[arg(long, value_name = "DIRECTORY", default_value = "target/shakedown")]
    pub out: PathBuf,
}

/// Why runs are not merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// One cannot be read.
    #[error("{}: {source}", directory.display())]
    Read {
        /// Which.
        directory: PathBuf,
        /// Why.
        source: RecordError,
    },
    /// Its log cannot be read.
    #[error("{}: {source}", directory.display())]
    Log {
        /// Which.
        directory: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Two are no shards of one run.
    #[error("{} and {} are no shards of one run: they differ in {what}", one.display(), other.display())]
    Different {
        /// The first.
        one: PathBuf,
        /// Another.
        other: PathBuf,
        /// In what.
        what: &'static str,
    },
    /// A message is there twice.
    #[error("message {sequence} is in {} and in another of them: was one of them given twice?", directory.display())]
    Twice {
        /// Its sequence.
        sequence: u64,
        /// The second that has it.
        directory: PathBuf,
    },
    /// The merged run cannot be written.
    #[error(transparent)]
    Write(#[from] DirectoryError),
}

/// What was merged.
#[derive(Debug)]
pub struct MergeReport {
    /// Directories.
    pub shards: usize,
    /// Operations by outcome: acknowledged, failed, unknown.
    pub outcomes: [u64; 3],
    /// Deliveries of all taps.
    pub deliveries: u64,
    /// The histograms by metric, of the whole run.
    pub metrics: Vec<(String, Histogram<u64>)>,
    /// Why the merged run is not to be believed: shards that were killed or did not come to their end, and generators
    /// that were in the way.
    pub against: Vec<String>,
    /// Where it is.
    pub directory: PathBuf,
}

/// Merges run directories of one run's shards into a new one.
///
/// # Errors
/// When they are no shards of one run, have a message in common, or a file cannot be read or written.
pub fn merge(arguments: &MergeArguments) -> Result<MergeReport, MergeError> {
    let open = |directory: &PathBuf| {
        RunRecord::open(directory).map_err(|source| MergeError::Read { directory: directory.clone(), source })
    };
    let records = arguments.directories.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let info = common(&records, &arguments.directories)?;
    let directory = RunDirectory::create(&arguments.out, &info)?;
    let merged = join(&records, &info, arguments, &directory);
    if merged.is_err() {
        // Half a merge would look like a run that was killed. The error is what has to be told, whether or not this
        // succeeds.
        let _ = std::fs::remove_dir_all(directory.path());
    }
    merged
}

/// Writes everything that the records have into the new directory.
fn join(
    records: &[RunRecord],
    info: &RunInfo,
    arguments: &MergeArguments,
    directory: &RunDirectory,
) -> Result<MergeReport, MergeError> {
    let mut report = MergeReport {
        shards: records.len(),
        outcomes: [0; 3],
        deliveries: 0,
        metrics: Vec::new(),
        against: Vec::new(),
        directory: directory.path().to_owned(),
    };
    operations(records, arguments, directory, &mut report)?;
    for (stream, _) in (0..).zip(&info.streams).filter(|(_, stream)| stream.kind == StreamKind::Topic) {
        let mut writer = directory.delivery_writer(stream)?;
        let visit = |record: &RunRecord, push: &mut dyn FnMut(&Delivery)| record.deliveries(stream, push);
        in_order(
            records,
            arguments,
            visit,
            |delivery| delivery.received_ns,
            |_, delivery| {
                writer.push(delivery);
                Ok(())
            },
        )?;
        report.deliveries += writer.finish()?;
    }
    let logs = arguments.directories.iter().map(|path| read_log(path)).collect::<Result<Vec<_>, _>>()?;
    intervals::merge_into(&directory.interval_log(), &logs, SLOT)?;
    report.metrics = totals(&logs);
    let (ending, summary) = (ending(records, arguments, &report)?, summary(records, arguments, &report)?);
    directory.write_ending(&ending)?;
    // Last, as every load does: a directory without it is that of a merge that did not come to its end.
    directory.write_summary(&summary)?;
    report.against = ending.reasons;
    report.against.extend_from_slice(summary.validity.reasons());
    Ok(report)
}

/// What all were; the merged run began with the first of them.
fn common(records: &[RunRecord], directories: &[PathBuf]) -> Result<RunInfo, MergeError> {
    let first = records[0].info();
    let run = |info: &RunInfo| shard_of(info).map(|(shard, run)| (shard.of(), run.to_owned()));
    for (record, directory) in records.iter().zip(directories).skip(1) {
        let info = record.info();
        let same = [
            ("their plans", info.plan_digest == first.plan_digest && info.seed == first.seed),
            ("their streams", info.streams == first.streams && info.key_prefix == first.key_prefix),
            ("the run that they are shards of", run(info) == run(first)),
        ];
        if let Some((what, _)) = same.into_iter().find(|(_, same)| !same) {
            return Err(MergeError::Different { one: directories[0].clone(), other: directory.clone(), what });
        }
    }
    let started = records.iter().map(|record| record.info().started_unix_ms).min();
    let scenario = first.scenario.split(" shard ").next().unwrap_or(&first.scenario).to_owned();
    Ok(RunInfo { scenario, started_unix_ms: started.unwrap_or(first.started_unix_ms), ..first.clone() })
}

/// Which shard of which run it was; nothing of a load that was none.
fn shard_of(info: &RunInfo) -> Option<(Shard, &str)> {
    let (_, told) = info.scenario.strip_prefix("load ")?.split_once(" shard ")?;
    let (shard, run) = told.split_once(" of ")?;
    Some((shard.parse().ok()?, run))
}

/// The shards that were not given: what is merged without them is not what was planned.
fn missing(records: &[RunRecord]) -> Option<String> {
    let given: Vec<Shard> =
        records.iter().filter_map(|record| shard_of(record.info())).map(|(shard, _)| shard).collect();
    let of = given.first()?.of();
    let is_missing = |index: &u32| given.iter().all(|shard| shard.index() != *index);
    let missing: Vec<String> = (0..of).filter(is_missing).map(|index| (index + 1).to_string()).collect();
    (!missing.is_empty()).then(|| format!("of {of} shards number {} is not among them", missing.join(", ")))
}

fn operations(
    records: &[RunRecord],
    arguments: &MergeArguments,
    directory: &RunDirectory,
    report: &mut MergeReport,
) -> Result<(), MergeError> {
    let mut writer = directory.operation_writer()?;
    let mut seen = Seen::default();
    let visit = |record: &RunRecord, push: &mut dyn FnMut(&Operation)| record.operations(push);
    in_order(
        records,
        arguments,
        visit,
        |operation| operation.completed_ns,
        |shard, operation| {
            let sequence = operation.identity.index();
            if !seen.insert(sequence) {
                return Err(MergeError::Twice { sequence, directory: arguments.directories[shard].clone() });
            }
            report.outcomes[match operation.outcome {
                Outcome::Ok => 0,
                Outcome::Fail => 1,
                Outcome::Unknown => 2,
            }] += 1;
            writer.push(operation);
            Ok(())
        },
    )?;
    writer.finish()?;
    Ok(())
}

/// A bit a message.
#[derive(Default)]
struct Seen(Vec<u64>);

impl Seen {
    /// Whether it was not there yet.
    fn insert(&mut self, sequence: u64) -> bool {
        let word = usize::try_from(sequence / 64).expect("plans have 32 bits of messages");
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let bit = 1 << (sequence % 64);
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }
}

/// Visits the entries of one stream of all records, the earliest first; each record is read by a thread of its own.
fn in_order<E: Copy + Send>(
    records: &[RunRecord],
    arguments: &MergeArguments,
    visit: impl Fn(&RunRecord, &mut dyn FnMut(&E)) -> Result<(), RecordError> + Sync,
    at_ns: impl Fn(&E) -> u64,
    mut take: impl FnMut(usize, &E) -> Result<(), MergeError>,
) -> Result<(), MergeError> {
    std::thread::scope(|scope| {
        let mut heads: Vec<Head<E>> = records
            .iter()
            .map(|record| {
                let (send, chunks) = sync_channel(CHUNKS);
                let visit = &visit;
                scope.spawn(move || send_all(&send, |push| visit(record, push)));
                Head { chunks, chunk: Vec::new().into_iter(), next: None }
            })
            .collect();
        for (head, directory) in heads.iter_mut().zip(&arguments.directories) {
            head.advance(directory)?;
        }
        let earliest = |heads: &[Head<E>]| {
            let next = heads.iter().enumerate().filter_map(|(shard, head)| Some((at_ns(head.next.as_ref()?), shard)));
            next.min()
        };
        while let Some((_, shard)) = earliest(&heads) {
            if let Some(entry) = &heads[shard].next {
                take(shard, entry)?;
            }
            heads[shard].advance(&arguments.directories[shard])?;
        }
        Ok(())
    })
}

/// What comes from a reader: entries, or why there are no more.
type Chunk<E> = Result<Vec<E>, RecordError>;

/// Sends everything on; whoever takes it may end before.
fn send_all<E: Copy>(to: &SyncSender<Chunk<E>>, visit: impl FnOnce(&mut dyn FnMut(&E)) -> Result<(), RecordError>) {
    let mut chunk = Vec::with_capacity(CHUNK);
    let result = visit(&mut |entry| {
        chunk.push(*entry);
        if chunk.len() == CHUNK {
            drop(to.send(Ok(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK)))));
        }
    });
    drop(to.send(result.map(|()| chunk)));
}

/// Where one reader stands.
struct Head<E> {
    chunks: Receiver<Chunk<E>>,
    chunk: std::vec::IntoIter<E>,
    next: Option<E>,
}

impl<E> Head<E> {
    fn advance(&mut self, directory: &Path) -> Result<(), MergeError> {
        self.next = self.chunk.next();
        while self.next.is_none() {
            match self.chunks.recv() {
                Ok(Ok(chunk)) => self.chunk = chunk.into_iter(),
                Ok(Err(source)) => return Err(MergeError::Read { directory: directory.to_owned(), source }),
                // The reader is through.
                Err(_) => return Ok(()),
            }
            self.next = self.chunk.next();
        }
        Ok(())
    }
}

fn read_log(directory: &Path) -> Result<Vec<Interval>, MergeError> {
    intervals::read(directory).map_err(|source| MergeError::Log { directory: directory.to_owned(), source })
}

/// The whole run's histogram of each metric, in the order of their names.
fn totals(logs: &[Vec<Interval>]) -> Vec<(String, Histogram<u64>)> {
    let mut tags: Vec<&str> = logs.iter().flatten().map(|interval| interval.tag.as_str()).collect();
    tags.sort_unstable();
    tags.dedup();
    tags.into_iter().map(|tag| (tag.to_owned(), intervals::total(logs.iter().flatten(), tag))).collect()
}

/// The merged run ended well if all did.
fn ending(records: &[RunRecord], arguments: &MergeArguments, report: &MergeReport) -> Result<Ending, MergeError> {
    let mut merged = Ending { drained: true, ..Ending::default() };
    for (record, directory) in records.iter().zip(&arguments.directories) {
        let told = record.ending().map_err(|source| MergeError::Read { directory: directory.clone(), source })?;
        let Some(ending) = told else {
            merged.drained = false;
            merged.reasons.push(format!("{} was killed", record.info().scenario));
            continue;
        };
        merged.drained &= ending.drained;
        merged.interrupted |= ending.interrupted;
        merged.reasons.extend(ending.reasons.iter().map(|reason| format!("{}: {reason}", record.info().scenario)));
    }
    merged.reasons.extend(missing(records));
    let lateness = report.metrics.iter().find(|(tag, _)| tag == "lateness");
    merged.lateness_p99_ns = lateness.map(|(_, histogram)| histogram.value_at_quantile(0.99));
    Ok(merged)
}

/// The merged run can be believed if all can, and lasted as long as the longest.
fn summary(records: &[RunRecord], arguments: &MergeArguments, report: &MergeReport) -> Result<Summary, MergeError> {
    let (mut merged, mut reasons) = (Summary::default(), Vec::new());
    for (record, directory) in records.iter().zip(&arguments.directories) {
        let told = record.summary().map_err(|source| MergeError::Read { directory: directory.clone(), source })?;
        let Some(summary) = told else { continue };
        merged.elapsed_ms = merged.elapsed_ms.max(summary.elapsed_ms);
        let told = summary.validity.reasons().iter().map(|reason| format!("{}: {reason}", record.info().scenario));
        reasons.extend(told);
    }
    merged.validity = Validity::of(reasons);
    let (offered, acknowledged) = (report.outcomes.iter().sum::<u64>(), report.outcomes[0]);
    let (shards, all, answered) = (report.shards, grouped(offered), grouped(acknowledged));
    merged.line("load", format!("{shards} shards, {all} messages offered, {answered} acknowledged"));
    for (name, total) in [("messages offered", offered), ("messages acknowledged", acknowledged)] {
        merged.totals.insert(name.to_owned(), i64::try_from(total).unwrap_or(i64::MAX));
    }
    Ok(merged)
}

impl MergeReport {
    /// Whether every message was acknowledged, and nothing speaks against the merged run.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.unacknowledged() == 0 && self.against.is_empty()
    }

    /// Messages that were not acknowledged.
    #[must_use]
    pub const fn unacknowledged(&self) -> u64 {
        self.outcomes[1] + self.outcomes[2]
    }
}

impl fmt::Display for MergeReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [acknowledged, failed, unknown] = self.outcomes.map(grouped);
        writeln!(formatter, "merged  {} shards", self.shards)?;
        writeln!(
            formatter,
            "  acknowledged  {acknowledged:>14}\n  failed        {failed:>14}\n  unknown       {unknown:>14}"
        )?;
        if self.deliveries > 0 {
            writeln!(formatter, "  consumed      {:>14}", grouped(self.deliveries))?;
        }
        writeln!(formatter, "\n  {:<26}{:>11}{:>11}{:>11}{:>11}", "", "p50", "p99", "p99.9", "max")?;
        for (tag, histogram) in &self.metrics {
            let at = |quantile| duration(histogram.value_at_quantile(quantile));
            let (p50, p99, p999, max) = (at(0.5), at(0.99), at(0.999), duration(histogram.max()));
            writeln!(formatter, "  {tag:<26}{p50:>11}{p99:>11}{p999:>11}{max:>11}")?;
        }
        for reason in &self.against {
            writeln!(formatter, "\n  not to be believed: {reason}")?;
        }
        write!(formatter, "\n  recorded in {}", self.directory.display())
    }
}
