//! Appends to an interval log, from any thread, whole lines only.

use crate::directory::DirectoryError;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, IntervalLogWriterError, Tag};
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

/// The file's name in the run directory.
pub(crate) const FILE: &str = "latency.hlog";

/// Appends intervals from any thread; clones share the file.
#[derive(Clone)]
pub struct IntervalLog(Arc<Mutex<Log>>);

struct Log {
    file: File,
    serializer: V2DeflateSerializer,
    started_ns: u64,
    line: Vec<u8>,
}

impl IntervalLog {
    pub(crate) fn create(directory: &Path, started_unix_ms: u64) -> Result<Self, DirectoryError> {
        let create = || {
            let mut file = File::create_new(directory.join(FILE))?;
            let started = UNIX_EPOCH + Duration::from_millis(started_unix_ms);
            IntervalLogWriterBuilder::new()
                .add_comment("[Histogram log format version 1.3]")
                .add_comment("values are nanoseconds, timestamps are seconds since BaseTime")
                .with_base_time(started)
                .with_start_time(started)
                .begin_log_with(&mut file, &mut V2DeflateSerializer::new())?;
            Ok(file)
        };
        let file = create().map_err(|source| DirectoryError::write(FILE, source))?;
        let started_ns = started_unix_ms.saturating_mul(1_000_000);
        let log = Log { file, serializer: V2DeflateSerializer::new(), started_ns, line: Vec::new() };
        Ok(Self(Arc::new(Mutex::new(log))))
    }

    /// Appends one interval of one metric. Times are nanoseconds since the Unix epoch; what the format cannot hold in a
    /// tag (commas, blanks) becomes `_`.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn record(
        &self,
        tag: &str,
        start_ns: u64,
        end_ns: u64,
        histogram: &Histogram<u64>,
    ) -> Result<(), DirectoryError> {
        let tag = super::tag_of(tag);
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.record(&tag, start_ns, end_ns, histogram).map_err(|source| DirectoryError::write(FILE, source))
    }
}

impl fmt::Debug for IntervalLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("IntervalLog")
    }
}

impl Log {
    fn record(&mut self, tag: &str, start_ns: u64, end_ns: u64, histogram: &Histogram<u64>) -> io::Result<()> {
        let start = Duration::from_nanos(start_ns.saturating_sub(self.started_ns));
        let length = Duration::from_nanos(end_ns.saturating_sub(start_ns));
        // The library's writer borrows its file and serialiser for life. A fresh one adds no header of its own, so a
        // line is made in memory and appended whole, which also keeps a killed run's log free of half lines.
        self.line.clear();
        IntervalLogWriterBuilder::new()
            .begin_log_with(&mut self.line, &mut self.serializer)?
            .write_histogram(histogram, start, length, Tag::new(tag))
            .map_err(|error| match error {
                IntervalLogWriterError::IoError(source) => source,
                IntervalLogWriterError::SerializeError(source) => io::Error::other(source.to_string()),
            })?;
        self.file.write_all(&self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn another_reader_finds_tags_times_and_values() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let log = IntervalLog::create(directory.path(), 1_000).expect("the log is created");
        let mut histogram = Histogram::<u64>::new(3).expect("three digits are allowed");
        histogram.record_n(8_100_000, 10).expect("the histogram resizes");
        log.record("ack", 3_000_000_000, 4_000_000_000, &histogram).expect("the interval is written");
        log.record("deliver:a b,c", 4_000_000_000, 5_500_000_000, &histogram).expect("the interval is written");

        let bytes = std::fs::read(directory.path().join(FILE)).expect("the log is there");
        let intervals: Vec<_> = IntervalLogIterator::new(&bytes)
            .map(|entry| entry.expect("every line parses"))
            .filter_map(|entry| match entry {
                LogEntry::Interval(interval) => Some(interval),
                _ => None,
            })
            .collect();
        let tags: Vec<_> = intervals.iter().map(|interval| interval.tag().map(|tag| tag.as_str())).collect();
        assert_eq!(tags, [Some("ack"), Some("deliver:a_b_c")]);
        assert_eq!(intervals[0].start_timestamp(), Duration::from_secs(2));
        assert_eq!(intervals[1].duration(), Duration::from_millis(1_500));
        let compressed = base64::engine::general_purpose::STANDARD
            .decode(intervals[0].encoded_histogram())
            .expect("the histogram is base64");
        let read: Histogram<u64> =
            Deserializer::new().deserialize(&mut compressed.as_slice()).expect("the histogram decompresses");
        assert_eq!(read, histogram);
    }
}
