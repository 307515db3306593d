//! Reads once a second what a run costs the machine, and writes it into `resources.jsonl` of the run directory.
//!
//! Owns the thread and its pace; where figures come from is the business of `accounts.rs`, and what they mean of
//! [`crate::honesty`]. Linux tells all of this in `/proc`; other systems have no sampler, and their runs no such file.

#[cfg(target_os = "linux")]
mod accounts;
mod threads;

use crate::clock::RunClock;
use crate::live::Live;
use shakedown_reports::{DirectoryError, ResourceWriter};
use std::fmt;
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

pub use threads::Bystanders;

/// Between two readings.
pub const EVERY: Duration = Duration::from_secs(1);

/// Says which processes there are at this moment: numbers of processes, or of groups of them.
pub type Processes = Box<dyn Fn() -> Vec<u32> + Send>;

/// Where the brokers run.
pub enum BrokersAt {
    /// In this process, on threads of the embedded cluster.
    ThisProcess,
    /// As processes of this machine.
    Processes(Processes),
    /// Where nobody can look.
    Elsewhere,
}

/// What is looked at.
pub struct Watched {
    /// The brokers.
    pub brokers: BrokersAt,
    /// The services.
    pub services: Processes,
    /// Threads of this process that are not the load generator's, whatever they are called.
    pub bystanders: Bystanders,
}

impl Watched {
    /// A load alone, against brokers of which nothing is known.
    #[must_use]
    pub fn load_alone(bystanders: Bystanders) -> Self {
        Self { brokers: BrokersAt::Elsewhere, services: Box::new(Vec::new), bystanders }
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Watched")
    }
}

/// Why there are no readings, or not all of them.
#[derive(Debug, thiserror::Error)]
pub enum SamplerError {
    /// The system does not tell.
    #[error("this system does not say what the run costs: {0}")]
    Unknown(String),
    /// A reading could not be written.
    #[error(transparent)]
    Record(#[from] DirectoryError),
    /// The thread could not be started.
    #[error("the sampler's thread cannot be started: {0}")]
    Spawn(std::io::Error),
    /// The thread panicked: a bug in the sampler.
    #[error("the sampler's thread panicked")]
    Panicked,
}

/// A sampler that runs. Without [`Sampler::finish`] it ends when it is dropped, some moment later.
#[derive(Debug)]
pub struct Sampler {
    finish: Sender<()>,
    thread: JoinHandle<Result<(), SamplerError>>,
}

impl Sampler {
    /// Takes the first reading, and begins. What it reads is also noted in `live`, which tells it how many messages were
    /// acknowledged.
    ///
    /// # Errors
    /// When the system does not tell ([`SamplerError::Unknown`], anywhere but on Linux), or the file or the thread cannot be
    /// made.
    #[cfg(target_os = "linux")]
    pub fn start(watched: Watched, clock: RunClock, directory: &Path, live: Live) -> Result<Self, SamplerError> {
        use std::sync::mpsc::RecvTimeoutError;
        use std::time::Instant;

        let mut accounts = accounts::Accounts::open(watched)?;
        let mut writer = ResourceWriter::create(directory)?;
        let mut take = move || -> Result<(), SamplerError> {
            let reading = accounts.reading(clock, live.acknowledged())?;
            live.note_reading(reading);
            Ok(writer.write(&reading)?)
        };
        take()?;
        let (finish, finished) = mpsc::channel();
        let run = move || {
            let mut due = Instant::now() + EVERY;
            loop {
                let last = finished.recv_timeout(due.saturating_duration_since(Instant::now()));
                take()?;
                if last != Err(RecvTimeoutError::Timeout) {
                    return Ok(());
                }
                // A reading that came late is not made up for by two in a row.
                due = (due + EVERY).max(Instant::now());
            }
        };
        let thread = std::thread::Builder::new().name("shakedown-sampler".to_owned()).spawn(run);
        Ok(Self { finish, thread: thread.map_err(SamplerError::Spawn)? })
    }

    /// There is nothing to read here.
    ///
    /// # Errors
    /// Always [`SamplerError::Unknown`].
    #[cfg(not(target_os = "linux"))]
    pub fn start(_: Watched, _: RunClock, _: &Path, _: Live) -> Result<Self, SamplerError> {
        let why = format!("it is {}, and figures come from Linux's /proc", std::env::consts::OS);
        Err(SamplerError::Unknown(why))
    }

    /// Takes the last reading, and ends.
    ///
    /// # Errors
    /// When a reading could not be taken or written.
    pub fn finish(self) -> Result<(), SamplerError> {
        drop(self.finish);
        self.thread.join().map_err(|_| SamplerError::Panicked)?
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::load::Progress;
    use rustix::process::{Pid, Signal, kill_process_group};
    use shakedown_reports::resources::{Reading, Resources, Usage};
    use std::hint::black_box;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;

    /// A thread of this name that works for so long.
    fn work(name: &str, until: &Arc<AtomicBool>) -> JoinHandle<Duration> {
        let until = Arc::clone(until);
        let body = move || {
            let began = Instant::now();
            while !until.load(Ordering::Relaxed) {
                black_box((0..1_000_u64).sum::<u64>());
            }
            began.elapsed()
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(body).expect("a thread")
    }

    fn readings(brokers: BrokersAt, services: Processes, body: impl FnOnce(&Live)) -> Vec<Reading> {
        let directory = tempfile::tempdir().expect("a folder");
        let (live, clock) = (Live::default(), RunClock::start());
        let watched = Watched { brokers, services, bystanders: Bystanders::now() };
        let sampler = Sampler::start(watched, clock, directory.path(), live.clone()).expect("Linux tells");
        body(&live);
        sampler.finish().expect("every reading is written");
        Resources::read(directory.path()).expect("good readings")
    }

    #[test]
    fn work_is_booked_to_whom_the_thread_belongs() {
        let done = Arc::new(AtomicBool::new(false));
        let readings = readings(BrokersAt::ThisProcess, Box::new(Vec::new), |live| {
            let threads = ["load-pacer", "shakedown-cluster", "tap-orders"].map(|name| work(name, &done));
            std::thread::sleep(Duration::from_millis(1_200));
            live.note_progress(Progress { acknowledged: 77, ..Progress::default() });
            // They are looked at while they live.
            std::thread::sleep(Duration::from_millis(900));
            done.store(true, Ordering::Relaxed);
            for thread in threads {
                thread.join().expect("it ends");
            }
        });
        assert!(readings.len() >= 3, "{readings:?}");
        assert!(readings.windows(2).all(|pair| pair[0].at_ns < pair[1].at_ns), "{readings:?}");
        let usage = Usage::over(&readings).expect("a span");
        let figures = [usage.generator_cpu_ns, usage.brokers_cpu_ns, usage.other_cpu_ns];
        // Three threads share whatever processors there are, and this machine may have other work.
        assert!(figures.iter().all(|cpu_ns| *cpu_ns > 50_000_000), "{usage:?}");
        assert!(usage.machine_cpu_ns >= usage.generator_cpu_ns, "{usage:?}");
        assert!((1..=1_050).contains(&usage.busiest_generator_thread_permille), "{usage:?}");
        assert!(usage.resident_bytes_max > 1_000_000, "{usage:?}");
        assert_eq!((readings[0].messages, usage.messages), (0, 77));
        assert_eq!(usage.services_cpu_ns, 0);
    }

    #[test]
    fn processes_are_looked_at_with_all_that_they_start() {
        use std::os::unix::process::CommandExt as _;
        let busy = || {
            let mut command = std::process::Command::new("sh");
            // A shell that waits, and a child of it that works.
            command.args(["-c", "(while :; do :; done) & wait"]).process_group(0);
            command.spawn().expect("a shell")
        };
        let mut children = [busy(), busy()];
        let (broker, service) = (children[0].id(), children[1].id());
        let brokers = BrokersAt::Processes(Box::new(move || vec![broker]));
        let readings = readings(brokers, Box::new(move || vec![service]), |_| {
            std::thread::sleep(Duration::from_millis(1_500));
        });
        for child in &mut children {
            // By the system call: `kill` of some distributions reads the number of a group as that of everybody.
            kill_process_group(Pid::from_child(child), Signal::KILL).expect("the group is there");
            child.wait().expect("it ends");
        }
        let usage = Usage::over(&readings).expect("a span");
        assert!(usage.brokers_cpu_ns > 50_000_000 && usage.services_cpu_ns > 50_000_000, "{usage:?}");
    }
}
