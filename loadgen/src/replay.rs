//! Recorded arrivals: instants that somebody else saw, offered again at their own speed or another.
//!
//! A recording is a text file or the run directory of an earlier load. The file has an arrival a line, in any order: a whole
//! number of nanoseconds, or a JSON object with one as its `at_ns` or `intended_ns`. Empty lines and those that begin with
//! `#` are skipped. It does not matter where the clock of the recording began: the first arrival is due at the start of the
//! load, the others as long after it as they were.

use serde::{Deserialize, Serialize};
use shakedown_reports::RunRecord;
use shakedown_reports::record::{Record, RecordError};
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// The most arrivals of one recording: each is held in memory, in 8 bytes.
pub const ARRIVALS_MAX: usize = 1 << 24;
/// The longest line of a recording, in bytes.
const LINE_MAX: u64 = 64 << 10;
/// A speed is a whole number of thousandths.
const THOUSANDTHS: u32 = 1_000;
/// The highest speed.
const SPEED_MAX: u32 = 1_000;

/// Recorded arrivals, in nanoseconds from the first of them, in order. There is at least one. Clones share them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u64>", into = "Vec<u64>")]
pub struct Recording(Arc<[u64]>);

/// A recording that cannot be offered again.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It cannot be read.
    #[error("the recording {} cannot be read: {source}", path.display())]
    Unreadable {
        /// Where it is.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// It is a directory, and no run's.
    #[error("the recording {} is no run directory that can be read: {source}", path.display())]
    Run {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        source: RecordError,
    },
    /// A line is no instant.
    #[error(
        "line {line} of the recording {} is {received:?}: allowed are a whole number of nanoseconds, or a JSON object \
         with one as its `at_ns` or `intended_ns`",
        path.display()
    )]
    Line {
        /// Where the recording is.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// How it begins.
        received: String,
    },
    /// There is nothing in it.
    #[error("the recording has no arrivals")]
    Empty,
    /// There is too much in it.
    #[error("the recording has more than {ARRIVALS_MAX} arrivals: replay a part of it")]
    TooMany,
}

/// A line that is JSON; what else it says is nobody's business.
#[derive(Debug, Deserialize)]
struct Line {
    #[serde(alias = "intended_ns")]
    at_ns: u64,
}

impl Recording {
    /// Of these instants, in any order.
    ///
    /// # Errors
    /// When there are none, or more than [`ARRIVALS_MAX`].
    pub fn new(mut instants_ns: Vec<u64>) -> Result<Self, RecordingError> {
        if instants_ns.len() > ARRIVALS_MAX {
            return Err(RecordingError::TooMany);
        }
        instants_ns.sort_unstable();
        let first = *instants_ns.first().ok_or(RecordingError::Empty)?;
        Ok(Self(instants_ns.into_iter().map(|instant| instant - first).collect()))
    }

    /// Reads a file of instants, or the intended instants of an earlier run's load from its directory.
    ///
    /// # Errors
    /// When it cannot be read, a line is no instant, or there are none or too many.
    pub fn read(path: &Path) -> Result<Self, RecordingError> {
        Self::new(if path.is_dir() { of_run(path)? } else { of_file(path)? })
    }

    /// In nanoseconds from the first, in order.
    #[must_use]
    pub fn offsets_ns(&self) -> &[u64] {
        &self.0
    }
}

impl TryFrom<Vec<u64>> for Recording {
    type Error = RecordingError;

    fn try_from(instants_ns: Vec<u64>) -> Result<Self, RecordingError> {
        Self::new(instants_ns)
    }
}

impl From<Recording> for Vec<u64> {
    fn from(recording: Recording) -> Self {
        recording.0.to_vec()
    }
}

fn of_run(path: &Path) -> Result<Vec<u64>, RecordingError> {
    let error = |source| RecordingError::Run { path: path.to_owned(), source };
    let record = RunRecord::open(path).map_err(error)?;
    let mut instants_ns = Vec::new();
    let collect = &mut |operation: &shakedown_reports::record::Operation| {
        // One more than are allowed, so that the excess is noticed and memory is not.
        if instants_ns.len() <= ARRIVALS_MAX {
            instants_ns.push(operation.intended_ns);
        }
    };
    record.operations(collect).map_err(error)?;
    Ok(instants_ns)
}

fn of_file(path: &Path) -> Result<Vec<u64>, RecordingError> {
    let unreadable = |source| RecordingError::Unreadable { path: path.to_owned(), source };
    let mut reader = BufReader::new(File::open(path).map_err(unreadable)?);
    let (mut instants_ns, mut buffer) = (Vec::new(), Vec::new());
    for line in 1.. {
        buffer.clear();
        if reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut buffer).map_err(unreadable)? == 0 {
            break;
        }
        let text = buffer.trim_ascii();
        if text.is_empty() || text[0] == b'#' {
            continue;
        }
        let received = || String::from_utf8_lossy(text).chars().take(80).collect();
        let instant =
            instant(text).ok_or_else(|| RecordingError::Line { path: path.to_owned(), line, received: received() })?;
        if instants_ns.len() == ARRIVALS_MAX {
            return Err(RecordingError::TooMany);
        }
        instants_ns.push(instant);
    }
    Ok(instants_ns)
}

fn instant(text: &[u8]) -> Option<u64> {
    if text.first() == Some(&b'{') {
        return serde_json::from_slice::<Line>(text).ok().map(|line| line.at_ns);
    }
    text.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten()
}

/// How fast a recording is offered: 2 is twice as fast. Exact, to a thousandth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speed {
    thousandths: u32,
}

/// A speed that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a speed: allowed are 0.001 to {SPEED_MAX} with at most three decimals, as in \"2\" or \"0.5\""
)]
pub struct SpeedError {
    /// What was received.
    pub text: String,
}

impl Speed {
    /// As it was recorded.
    pub const RECORDED: Self = Self { thousandths: THOUSANDTHS };

    /// When something is due that came so long after the first arrival; `None` past 584 years.
    pub(crate) fn scale(self, offset_ns: u64) -> Option<u64> {
        let scaled = u128::from(offset_ns) * u128::from(THOUSANDTHS) / u128::from(self.thousandths);
        u64::try_from(scaled).ok()
    }
}

impl FromStr for Speed {
    type Err = SpeedError;

    fn from_str(text: &str) -> Result<Self, SpeedError> {
        let error = || SpeedError { text: text.to_owned() };
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits =
            |part: &str, most| (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole, 4) || !digits(decimals, 3) {
            return Err(error());
        }
        let whole: u32 = whole.parse().map_err(|_| error())?;
        let decimals: u32 = format!("{decimals:0<3}").parse().map_err(|_| error())?;
        let thousandths = whole * THOUSANDTHS + decimals;
        let allowed = 1..=SPEED_MAX * THOUSANDTHS;
        if allowed.contains(&thousandths) { Ok(Self { thousandths }) } else { Err(error()) }
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, decimals) = (self.thousandths / THOUSANDTHS, self.thousandths % THOUSANDTHS);
        if decimals == 0 {
            return write!(formatter, "{whole}");
        }
        let decimals = format!("{decimals:03}");
        write!(formatter, "{whole}.{}", decimals.trim_end_matches('0'))
    }
}

impl Serialize for Speed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Speed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_reports::identity::{Identity, Key};
    use shakedown_reports::record::{Operation, Outcome, StreamInfo, StreamKind};
    use shakedown_reports::{RunDirectory, RunInfo};

    fn read(text: &str) -> Result<Recording, RecordingError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("arrivals");
        std::fs::write(&path, text).expect("a file");
        Recording::read(&path)
    }

    #[test]
    fn a_file_may_have_numbers_and_json_in_any_order() {
        let text = "# seen by somebody\n1700000000000000500\n\n{\"at_ns\": 1700000000000000100, \"who\": 1}\r\n\
                    {\"intended_ns\":1700000000000000100}\n  1700000000000000300";
        assert_eq!(read(text).expect("a recording").offsets_ns(), [0, 0, 200, 400]);
    }

    #[test]
    fn wrong_lines_are_named() {
        for (text, line) in [
            ("1\n-2\n", "line 2 of the recording"),
            ("1.5", "line 1 of the recording"),
            ("1\n2\n\n{\"at\": 3}", "line 4 of the recording"),
            ("18446744073709551616", "line 1 of the recording"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.starts_with(line), "{error}");
        }
        assert_eq!(read("# nothing\n").expect_err("empty").to_string(), "the recording has no arrivals");
        assert!(matches!(Recording::read(Path::new("no/such/file")), Err(RecordingError::Unreadable { .. })));
        assert!(matches!(Recording::new(vec![0; ARRIVALS_MAX + 1]), Err(RecordingError::TooMany)));
    }

    #[test]
    fn a_run_is_read_by_its_intended_instants() {
        let root = tempfile::tempdir().expect("a temporary folder");
        assert!(matches!(Recording::read(root.path()), Err(RecordingError::Run { .. })));
        let mut info = RunInfo::new("earlier", 1);
        info.streams.push(StreamInfo { name: "load".to_owned(), kind: StreamKind::Load });
        let directory = RunDirectory::create(root.path(), &info).expect("a run directory");
        let mut operations = directory.operation_writer().expect("one load a run");
        for (sequence, intended_ns) in [(1, 5_000), (0, 4_000), (2, 9_000)] {
            let operation = Operation {
                identity: Identity::planned(sequence),
                key: Key::planned(0),
                key_sequence: 0,
                outcome: Outcome::Ok,
                error: 0,
                partition: 0,
                offset: 0,
                value: 0,
                intended_ns,
                sent_ns: intended_ns + 1,
                completed_ns: intended_ns + 2,
            };
            operations.push(&operation);
        }
        operations.finish().expect("closed");
        assert_eq!(Recording::read(directory.path()).expect("a recording").offsets_ns(), [0, 1_000, 5_000]);
    }

    #[test]
    fn speeds_are_exact() {
        for (text, offset_ns) in [("1", 3_000), ("2", 1_500), ("0.5", 6_000), ("0.001", 3_000_000), ("1000", 3)] {
            let speed: Speed = text.parse().expect(text);
            assert_eq!((speed.scale(3_000), speed.to_string().as_str()), (Some(offset_ns), text));
        }
        assert_eq!("0.001".parse::<Speed>().expect("slow").scale(u64::MAX), None);
        for text in ["", "0", "0.0001", "-1", "1001", "1.", ".5", "1e3", "NaN", "2x"] {
            let error = text.parse::<Speed>().expect_err(text).to_string();
            assert!(error.contains("0.001 to 1000"), "{error}");
        }
    }
}
