//! Watching groups and logs beside the messages: a thread that looks ten times a second, and a tap of
//! `__consumer_offsets`. Both only where some expectation needs them.

use super::error::RunError;
use super::look::Looker;
use super::session::Session;
use shakedown_loadgen::tap::high_watermarks;
use shakedown_loadgen::tap_commits::TOPIC;
use shakedown_loadgen::{CommitTap, StopFlag};
use shakedown_reports::ReadingWriter;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between the beginnings of two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long the last commits may take to be read.
const LAST_READ: Duration = Duration::from_secs(10);

/// Between two looks at how far the tap is.
const READ_POLL: Duration = Duration::from_millis(10);

/// What watches.
pub struct Watching {
    /// Dropped to end the looks; `None` once they have ended.
    looks: Option<(Sender<()>, JoinHandle<ReadingWriter>)>,
    commits: CommitTap,
    commits_stop: StopFlag,
}

impl Watching {
    /// Begins to watch what the plan says; nothing where it watches nothing.
    ///
    /// # Errors
    /// When the cluster does not answer, or the record cannot be written.
    pub fn start(session: &Session, bootstrap: &str) -> Result<Option<Self>, RunError> {
        let watches = &session.plan.watches;
        if watches.is_empty() {
            return Ok(None);
        }
        let commits_stop = StopFlag::new();
        let writer = session.directory.commit_writer()?;
        let commits = CommitTap::start(watches, bootstrap, session.clock, writer, commits_stop.clone())?;
        let looker = Looker::new(watches, bootstrap, session.clock)
            .map_err(RunError::kafka("make a client to watch groups and logs"))?;
        let readings = session.directory.reading_writer()?;
        let (live, watched) = (session.options.live.clone(), watches.clone());
        let (stop, stopped) = mpsc::channel();
        let look = move || {
            let mut readings = readings;
            let mut due = Instant::now();
            loop {
                // The last look comes after the wish to end: nothing that happened before it goes unseen.
                let last = stopped.recv_timeout(due.saturating_duration_since(Instant::now()));
                looker.look(|reading| {
                    let watch = &watched[usize::from(reading.watch)];
                    if let Some(group) = &watch.group {
                        live.note_lag(group, &watch.topic, reading.partition, reading.lag());
                    }
                    readings.push(reading);
                });
                if last != Err(RecvTimeoutError::Timeout) {
                    return readings;
                }
                // A look that took long is not made up for by two in a row.
                due = (due + LOOK_EVERY).max(Instant::now());
            }
        };
        let thread = std::thread::Builder::new().name("shakedown-look".to_owned()).spawn(look);
        let thread = thread.map_err(RunError::io("start the thread that watches groups and logs"))?;
        Ok(Some(Self { looks: Some((stop, thread)), commits, commits_stop }))
    }

    /// Looks once more and then no longer: a group without its services stands still, and that is nobody's finding.
    ///
    /// # Errors
    /// When the record could not be written.
    pub fn stop_looking(&mut self) -> Result<(), RunError> {
        let Some((stop, thread)) = self.looks.take() else { return Ok(()) };
        drop(stop);
        let panicked = || std::io::Error::other("the thread that watches groups and logs panicked");
        let readings = thread.join().map_err(|_| RunError::io("watch groups and logs")(panicked()))?;
        readings.finish()?;
        Ok(())
    }

    /// Reads what services committed while they stopped, unless somebody interrupts, and ends. What could not be read, in
    /// words.
    ///
    /// # Errors
    /// When the record could not be written.
    pub fn finish(mut self, bootstrap: &str, interrupt: &StopFlag) -> Result<Option<String>, RunError> {
        self.stop_looking()?;
        let unread = if interrupt.is_stopped() { None } else { self.read_to_the_end(bootstrap, interrupt).err() };
        self.commits_stop.stop();
        let summary = self.commits.join()?;
        let first = summary.unreadable_samples.first();
        Ok(unread.or(first.map(|first| format!("{} records of {TOPIC} cannot be read: {first}", summary.unreadable))))
    }

    fn read_to_the_end(&self, bootstrap: &str, interrupt: &StopFlag) -> Result<(), String> {
        let ends = high_watermarks(bootstrap, TOPIC).map_err(|error| error.to_string())?;
        let deadline = Instant::now() + LAST_READ;
        while !self.commits.drained(&ends) && !interrupt.is_stopped() {
            if self.commits.is_finished() || Instant::now() >= deadline {
                return Err(format!("the last commits in {TOPIC} were not read"));
            }
            std::thread::sleep(READ_POLL);
        }
        Ok(())
    }
}
