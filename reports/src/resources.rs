//! `resources.jsonl`: what a run cost the machine, one [`Reading`] a second, one line each.
//!
//! Owns the format, and the arithmetic over a span of readings ([`Usage`]). Who reads the figures off the system, and
//! what of them makes a run invalid, is the business of whoever runs it. A system that does not say (anything but Linux)
//! leaves no such file.

use crate::directory::DirectoryError;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// The file's name in the run directory.
pub const FILE: &str = "resources.jsonl";

/// What had been used up at one instant. Everything is cumulative since some instant before the run, but the share of the
/// busiest thread, which is of the time since the reading before, and the resident memory, which is of that moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reading {
    /// When, on the run's clock: nanoseconds since the Unix epoch that never go back.
    pub at_ns: u64,
    /// Processor time of the load generator's threads.
    pub generator_cpu_ns: u64,
    /// Processor time of the brokers: of their threads where they are embedded, of their processes otherwise. 0 where they
    /// run on machines that nobody can look at.
    pub brokers_cpu_ns: u64,
    /// Processor time of the services' processes.
    pub services_cpu_ns: u64,
    /// Processor time of the rest of the harness: taps, checks, recording.
    pub other_cpu_ns: u64,
    /// Processor time of everything on this machine, of strangers, too. 0 where nobody says.
    pub machine_cpu_ns: u64,
    /// How much of one processor the busiest thread of the generator took since the reading before: 1.0 is all of it.
    pub busiest_generator_thread: f64,
    /// Memory of the harness, brokers and services that is in use, in bytes.
    pub resident_bytes: u64,
    /// Time that the hypervisor gave to others while this machine wanted to run, over all processors.
    pub stolen_ns: u64,
    /// Time during which some task waited for a processor (Linux pressure stall information, `cpu some`). 0 where the
    /// kernel does not count it.
    pub pressure_cpu_ns: u64,
    /// Messages of the load that were acknowledged so far.
    pub messages: u64,
}

/// Appends readings to a run directory, a line each, at once.
#[derive(Debug)]
pub struct ResourceWriter(File);

impl ResourceWriter {
    /// Opens the file of a run directory; a run has one writer.
    ///
    /// # Errors
    /// When the file cannot be made, or was already.
    pub fn create(directory: &Path) -> Result<Self, DirectoryError> {
        let file = File::create_new(directory.join(FILE)).map_err(|source| DirectoryError::write(FILE, source))?;
        Ok(Self(file))
    }

    /// Appends a reading. It survives the death of this process.
    ///
    /// # Errors
    /// When the line cannot be written.
    pub fn write(&mut self, reading: &Reading) -> Result<(), DirectoryError> {
        let line = serde_json::to_vec(reading).map_err(io::Error::from);
        let written = line.and_then(|mut line| {
            line.push(b'\n');
            self.0.write_all(&line)
        });
        written.map_err(|source| DirectoryError::write(FILE, source))
    }
}

/// Reads what a run left behind.
#[derive(Debug)]
pub struct Resources;

impl Resources {
    /// All readings of a run directory in order; none where nobody could look. A last line that was torn by a killed
    /// harness is left out.
    ///
    /// # Errors
    /// When the file cannot be read, or a line before the last is no reading.
    pub fn read(directory: &Path) -> io::Result<Vec<Reading>> {
        let bytes = match fs::read(directory.join(FILE)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        let lines = bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).map_err(io::Error::from)).collect()
    }
}

/// What a span of a run cost: the difference between two readings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// How long the span is.
    pub span_ns: u64,
    /// Messages that were acknowledged in it.
    pub messages: u64,
    /// Processor time of the load generator.
    pub generator_cpu_ns: u64,
    /// Processor time of the brokers.
    pub brokers_cpu_ns: u64,
    /// Processor time of the services.
    pub services_cpu_ns: u64,
    /// Processor time of the rest of the harness.
    pub other_cpu_ns: u64,
    /// Processor time of everything on this machine.
    pub machine_cpu_ns: u64,
    /// The most that one thread of the generator took of its processor in any second, in thousandths.
    pub busiest_generator_thread_permille: u64,
    /// The most memory that was in use.
    pub resident_bytes_max: u64,
    /// Time that the hypervisor gave to others.
    pub stolen_ns: u64,
    /// Time during which some task waited for a processor.
    pub pressure_cpu_ns: u64,
}

impl Usage {
    /// What happened from the first of these readings to the last; `None` where there are not two.
    #[must_use]
    pub fn over(readings: &[Reading]) -> Option<Self> {
        let ([first, rest @ ..], Some(last)) = (readings, readings.last()) else { return None };
        if rest.is_empty() {
            return None;
        }
        let spent = |of: fn(&Reading) -> u64| of(last).saturating_sub(of(first));
        let busiest = rest.iter().map(|reading| reading.busiest_generator_thread).fold(0.0, f64::max);
        Some(Self {
            span_ns: spent(|reading| reading.at_ns),
            messages: spent(|reading| reading.messages),
            generator_cpu_ns: spent(|reading| reading.generator_cpu_ns),
            brokers_cpu_ns: spent(|reading| reading.brokers_cpu_ns),
            services_cpu_ns: spent(|reading| reading.services_cpu_ns),
            other_cpu_ns: spent(|reading| reading.other_cpu_ns),
            machine_cpu_ns: spent(|reading| reading.machine_cpu_ns),
            busiest_generator_thread_permille: permille(busiest),
            resident_bytes_max: readings.iter().map(|reading| reading.resident_bytes).max().unwrap_or_default(),
            stolen_ns: spent(|reading| reading.stolen_ns),
            pressure_cpu_ns: spent(|reading| reading.pressure_cpu_ns),
        })
    }

    /// Processor time of what has nothing to do with the run.
    #[must_use]
    pub fn strangers_cpu_ns(&self) -> u64 {
        let own = [self.generator_cpu_ns, self.brokers_cpu_ns, self.services_cpu_ns, self.other_cpu_ns];
        self.machine_cpu_ns.saturating_sub(own.iter().sum())
    }

    /// Nanoseconds of processor time for each acknowledged message; `None` where there was none, or nothing was measured.
    #[must_use]
    pub fn per_message_ns(&self, cpu_ns: u64) -> Option<f64> {
        (self.messages > 0 && cpu_ns > 0).then(|| cpu_ns as f64 / self.messages as f64)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what the type holds")]
fn permille(share: f64) -> u64 {
    (share * 1000.0).round().clamp(0.0, 1e9) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(second: u64) -> Reading {
        Reading {
            at_ns: second * 1_000_000_000,
            generator_cpu_ns: second * 300_000_000,
            brokers_cpu_ns: second * 400_000_000,
            busiest_generator_thread: if second == 2 { 0.91 } else { 0.25 },
            resident_bytes: 1_000 - second,
            messages: second * 10_000,
            ..Reading::default()
        }
    }

    #[test]
    fn what_is_written_is_read_and_a_torn_last_line_is_left_out() {
        let directory = tempfile::tempdir().expect("a folder");
        assert_eq!(Resources::read(directory.path()).expect("no file is no reading"), []);
        let mut writer = ResourceWriter::create(directory.path()).expect("a new file");
        for second in 1..=3 {
            writer.write(&reading(second)).expect("written");
        }
        let all = [reading(1), reading(2), reading(3)];
        assert_eq!(Resources::read(directory.path()).expect("good lines"), all);
        assert!(ResourceWriter::create(directory.path()).is_err(), "a run has one writer");

        let path = directory.path().join(FILE);
        let whole = fs::read(&path).expect("the file is there");
        let second_line_ends = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(1).expect("two").0;
        for length in second_line_ends + 1..whole.len() {
            fs::write(&path, &whole[..length]).expect("cut");
            assert_eq!(Resources::read(directory.path()).expect("torn"), all[..2], "cut at {length}");
        }
        fs::write(&path, "{\"at_ns\":1}\nnonsense\n{\"at_ns\":3}\n").expect("written");
        assert_eq!(Resources::read(directory.path()).expect_err("damaged").kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_span_is_the_difference_of_its_ends_and_its_busiest_second_inside() {
        assert_eq!(Usage::over(&[]), None);
        assert_eq!(Usage::over(&[reading(1)]), None, "one reading is no span");
        let usage = Usage::over(&[reading(1), reading(2), reading(4)]).expect("a span");
        assert_eq!((usage.span_ns, usage.messages), (3_000_000_000, 30_000));
        assert_eq!(usage.busiest_generator_thread_permille, 910);
        assert_eq!(usage.resident_bytes_max, 999);
        assert_eq!(usage.per_message_ns(usage.brokers_cpu_ns), Some(40_000.0));
        assert_eq!(usage.per_message_ns(usage.services_cpu_ns), None, "nothing was measured");
        // The share of the first reading is of a second before the span.
        let usage = Usage::over(&[reading(2), reading(3)]).expect("a span");
        assert_eq!(usage.busiest_generator_thread_permille, 250);
    }
}
