//! Reads an interval log, also that of a killed run.

use super::FILE;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogHistogram, IntervalLogIterator, LogEntry};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, ErrorKind};
use std::path::Path;
use std::time::Duration;

/// One interval of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Interval {
    /// Which metric; see [`super::metric_of`]. Empty where the log has no tag.
    pub tag: String,
    /// When it began, in nanoseconds since the Unix epoch. The format counts in milliseconds.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// What was measured in it, in nanoseconds.
    pub histogram: Histogram<u64>,
}

/// The intervals of a run directory in the order in which they were written; none where there is no log. A last line that
/// was torn by a killed harness is left out. All of them are held in memory; [`visit`] holds one.
///
/// # Errors
/// When the log cannot be read, or a line before the last is no interval.
pub fn read(directory: &Path) -> io::Result<Vec<Interval>> {
    let mut intervals = Vec::new();
    visit(directory, &mut |interval| intervals.push(interval))?;
    Ok(intervals)
}

/// As [`read`], interval by interval, for logs of any length.
///
/// # Errors
/// As [`read`].
pub fn visit(directory: &Path, visit: &mut dyn FnMut(Interval)) -> io::Result<()> {
    let file = match File::open(directory.join(FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let (mut lines, mut line) = (BufReader::with_capacity(1 << 16, file), Vec::new());
    let mut parser = Parser { base: Duration::ZERO, deserializer: Deserializer::new() };
    for number in 1_u64.. {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 || line.last() != Some(&b'\n') {
            break;
        }
        let damaged = |what: String| io::Error::new(ErrorKind::InvalidData, format!("{FILE}: line {number}: {what}"));
        if let Some(interval) = parser.line(&line).map_err(damaged)? {
            visit(interval);
        }
    }
    Ok(())
}

/// What has to be known of earlier lines.
struct Parser {
    /// What the times of intervals count from.
    base: Duration,
    deserializer: Deserializer,
}

impl Parser {
    fn line(&mut self, line: &[u8]) -> Result<Option<Interval>, String> {
        let mut interval = None;
        for entry in IntervalLogIterator::new(line) {
            match entry.map_err(|error| format!("{error:?}"))? {
                LogEntry::BaseTime(time) => self.base = time,
                LogEntry::StartTime(_) => {}
                LogEntry::Interval(line) => {
                    let start = self.base.saturating_add(line.start_timestamp());
                    interval = Some(Interval {
                        tag: line.tag().map(|tag| tag.as_str().to_owned()).unwrap_or_default(),
                        start_ns: nanoseconds(start),
                        end_ns: nanoseconds(start.saturating_add(line.duration())),
                        histogram: histogram(&mut self.deserializer, &line)?,
                    });
                }
            }
        }
        Ok(interval)
    }
}

fn histogram(deserializer: &mut Deserializer, line: &IntervalLogHistogram<'_>) -> Result<Histogram<u64>, String> {
    let bytes = STANDARD.decode(line.encoded_histogram()).map_err(|error| error.to_string())?;
    deserializer.deserialize(&mut bytes.as_slice()).map_err(|error| error.to_string())
}

/// The format has whole milliseconds, and reading them as a fraction of seconds leaves some nanoseconds too many or too few.
fn nanoseconds(time: Duration) -> u64 {
    let milliseconds = time.saturating_add(Duration::from_micros(500)).as_millis();
    u64::try_from(milliseconds).unwrap_or(u64::MAX).saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervals::IntervalLog;
    use std::fs;

    fn of(values: &[u64]) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).expect("three digits are allowed");
        values.iter().for_each(|value| histogram.record(*value).expect("it resizes"));
        histogram
    }

    #[test]
    fn what_was_written_is_read_and_a_torn_last_line_is_left_out() {
        let directory = tempfile::tempdir().expect("a folder");
        assert_eq!(read(directory.path()).expect("no log is no interval"), []);
        let log = IntervalLog::create(directory.path(), 1_795_262_594_123).expect("a new log");
        let second = 1_000_000_000;
        let start = 1_795_262_594_123_000_000;
        let (one, two) = (of(&[1, 8_100_000, 99_000_000_000]), of(&[7; 40]));
        log.record("ack", start + second, start + 2 * second, &one).expect("written");
        log.record("deliver:a b", start + second, start + 2 * second, &two).expect("written");
        let interval = |tag: &str, histogram| {
            let (start_ns, end_ns) = (start + second, start + 2 * second);
            Interval { tag: tag.to_owned(), start_ns, end_ns, histogram }
        };
        let expected = [interval("ack", one), interval("deliver:a_b", two)];
        assert_eq!(read(directory.path()).expect("a good log"), expected);

        let path = directory.path().join(FILE);
        let whole = fs::read(&path).expect("the log is there");
        let lines: Vec<usize> = (0..whole.len()).filter(|place| whole[*place] == b'\n').collect();
        for length in [lines[lines.len() - 2] + 1, whole.len() - 30, whole.len() - 1] {
            fs::write(&path, &whole[..length]).expect("cut");
            assert_eq!(read(directory.path()).expect("torn"), expected[..1], "cut at {length} of {}", whole.len());
        }
        let text = String::from_utf8(whole).expect("text");
        fs::write(&path, text.replacen("Tag=ack,1.000,1.000", "Tag=ack,1.000,x", 1)).expect("damaged");
        assert_eq!(read(directory.path()).expect_err("a damaged line").kind(), ErrorKind::InvalidData);
    }
}
