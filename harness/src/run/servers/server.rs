//! One server behind services: a process that is started, asked whether it answers, hit by faults, and started again on the
//! same port with what it had.

use crate::run::error::RunError;
use crate::run::process::{Process, describe};
use crate::run::service_log::ServiceLog;
use rustix::process::{Pid, Signal, kill_process};
use shakedown_cluster::apache::reaper::Reaper;
use shakedown_loadgen::StopFlag;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between two looks at whether it answers.
const POLL: Duration = Duration::from_millis(20);

/// How long it may take to end when it is told to.
const END_LIMIT: Duration = Duration::from_secs(10);

/// What kind of server it is.
pub(super) trait Program: Send + Sync {
    /// What people call it.
    fn name(&self) -> &'static str;
    /// Starts it on a port.
    fn command(&self, port: u16) -> Command;
    /// Whether it takes requests.
    fn answers(&self, port: u16) -> bool;
    /// Has it end in order, without waiting for its clients.
    fn end(&self) -> Signal;
    /// Has it end this moment, with all processes that it has: nothing is finished, and its next start recovers.
    fn crash(&self) -> Signal;
}

/// A server.
pub struct Server {
    label: String,
    port: u16,
    program: Arc<dyn Program>,
    log: Arc<ServiceLog>,
    reaper: Arc<Reaper>,
    /// Nothing while it is down on purpose.
    life: Mutex<Option<Process>>,
}

impl Server {
    pub(super) fn new(
        (label, port): (String, u16),
        program: Arc<dyn Program>,
        log: Arc<ServiceLog>,
        reaper: Arc<Reaper>,
    ) -> Self {
        Self { label, port, program, log, reaper, life: Mutex::new(None) }
    }

    /// `PostgreSQL`, or `PostgreSQL of payment` where there are several.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Its process, while there is one and nobody is busy with it.
    pub(super) fn process_id(&self) -> Option<u32> {
        self.life.try_lock().ok()?.as_ref().map(Process::id)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Starts it, unless it runs.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn start(&self) -> Result<(), RunError> {
        let mut life = self.life();
        if life.is_some() {
            return Ok(());
        }
        self.log.begin(None);
        let command = self.program.command(self.port);
        let text = format!("{command:?}");
        let started = Process::start(command, &self.log, &self.reaper);
        let process =
            started.map_err(|source| RunError::Spawn { service: self.label.clone(), command: text, source })?;
        *life = Some(process);
        Ok(())
    }

    /// Waits until it answers, or nobody wants to know any more.
    ///
    /// # Errors
    /// When it ends, or the limit passes, both with its last lines.
    pub fn await_answer(&self, limit: Duration, give_up: &StopFlag) -> Result<(), RunError> {
        let deadline = Instant::now() + limit;
        let failed =
            |reason: String| RunError::Server { server: self.label.clone(), reason, last_lines: self.log.last_lines() };
        while !give_up.is_stopped() {
            let answers = self.program.answers(self.port);
            // Somebody else may answer at a port that this one did not get.
            if let Some(status) = self.life().as_mut().and_then(Process::ended) {
                return Err(failed(describe(status)));
            }
            if answers {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(failed(format!("does not answer after {limit:?}")));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Ends it this moment, as if it had crashed. Whether it was there.
    pub fn kill(&self) -> bool {
        self.end_by(self.program.crash())
    }

    /// Asks it to end, and waits. Whether it was there.
    pub fn stop(&self) -> bool {
        self.end_by(self.program.end())
    }

    fn end_by(&self, signal: Signal) -> bool {
        let mut life = self.life();
        // One that has ended by itself stays what it is, and is told of.
        let Some(mut process) = life.take_if(|process| process.ended().is_none()) else { return false };
        // What stands still takes no signal but this one.
        signal_all(&mut process, Signal::CONT);
        process.signal(signal);
        if process.wait(END_LIMIT).is_none() {
            process.kill();
        }
        true
    }

    /// Stops it in its tracks, with all processes that it has. Whether it was there.
    pub fn pause(&self) -> bool {
        self.life().as_mut().is_some_and(|process| signal_all(process, Signal::STOP))
    }

    /// Has it go on.
    pub fn resume(&self) {
        if let Some(process) = self.life().as_mut() {
            signal_all(process, Signal::CONT);
        }
    }

    /// How it ended, with its last lines, if it did so on its own.
    pub(super) fn obituary(&self) -> Option<String> {
        let status = self.life().as_mut().and_then(Process::ended)?;
        Some(format!("{} {}; its last lines:\n{}", self.label, describe(status), self.log.last_lines()))
    }

    fn life(&self) -> MutexGuard<'_, Option<Process>> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends a signal to a server and to those that it has started: PostgreSQL has a process for every connection, each in a group
/// of its own. The server comes first, so that one that is stopped starts no others meanwhile.
fn signal_all(process: &mut Process, signal: Signal) -> bool {
    let running = process.signal(signal);
    if running {
        for child in children(process.id()) {
            // It may have ended in the meantime.
            let _ = kill_process(child, signal);
        }
    }
    running
}

/// The children of a process, where there is a `/proc` to look them up.
fn children(parent: u32) -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |id: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // The name of a program, in parentheses, may have anything in it: the fields behind it are its state and its parent.
        let parent_of = stat.rsplit(')').next().and_then(|fields| fields.split_whitespace().nth(1)?.parse().ok());
        parent_of == Some(parent)
    };
    ids.filter(is_child).filter_map(Pid::from_raw).collect()
}

#[cfg(test)]
mod tests {
    use super::{Pid, Program, Server, Signal, StopFlag, kill_process};
    use crate::run::service_log::ServiceLog;
    use shakedown_cluster::apache::reaper::Reaper;
    use std::process::Command;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A shell with a child in a session of its own, as PostgreSQL has; it answers when it is told to.
    struct Shell {
        script: &'static str,
        answers: AtomicBool,
    }

    impl Program for Shell {
        fn name(&self) -> &'static str {
            "Shell"
        }

        fn command(&self, _port: u16) -> Command {
            let mut command = Command::new("sh");
            command.args(["-c", self.script]);
            command
        }

        fn answers(&self, _port: u16) -> bool {
            self.answers.load(Ordering::Relaxed)
        }

        fn end(&self) -> Signal {
            Signal::TERM
        }

        fn crash(&self) -> Signal {
            Signal::KILL
        }
    }

    fn server(script: &'static str, answers: bool) -> (Server, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = Arc::new(ServiceLog::create(&folder.path().join("log"), None).expect("a log"));
        let program = Arc::new(Shell { script, answers: AtomicBool::new(answers) });
        let reaper = Arc::new(Reaper::start().expect("sh exists"));
        (Server::new(("Shell".to_owned(), 1), program, log, reaper), folder)
    }

    #[cfg(target_os = "linux")]
    fn state_of(pid: &str) -> Option<char> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit(')').next()?.trim().chars().next()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_server_and_its_children_stand_still_together() {
        let (server, folder) = server("setsid sleep 600 & echo $!; wait", true);
        assert!(!server.pause() && !server.kill(), "it is not there yet");
        server.start().expect("it starts");
        let deadline = Instant::now() + PATIENCE;
        let child = loop {
            let said = std::fs::read_to_string(folder.path().join("log")).expect("its log");
            if said.ends_with('\n') {
                break said.trim().to_owned();
            }
            assert!(Instant::now() < deadline, "it says nothing");
            std::thread::yield_now();
        };
        let comes_to = |states: &[char]| {
            while !state_of(&child).is_some_and(|state| states.contains(&state)) {
                assert!(Instant::now() < deadline, "its child never comes to {states:?}");
                std::thread::yield_now();
            }
        };
        assert!(server.pause());
        comes_to(&['T']);
        server.resume();
        comes_to(&['S', 'R']);
        assert!(server.kill() && server.obituary().is_none(), "its end was planned");
        let child = child.parse().ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(child, Signal::KILL).expect("it is this test's own");
    }

    #[test]
    fn one_that_ends_or_never_answers_is_told_of_with_its_last_lines() {
        let (ended, _folder) = server("echo no room; exit 3", false);
        ended.start().expect("it starts");
        let error = ended.await_answer(PATIENCE, &StopFlag::new()).expect_err("it is gone").to_string();
        assert!(error.contains("exited with code 3") && error.contains("no room"), "{error}");
        assert!(ended.obituary().is_some_and(|told| told.contains("no room")));
        let (silent, _folder) = server("exec sleep 600", false);
        silent.start().expect("it starts");
        let error = silent.await_answer(Duration::from_millis(50), &StopFlag::new()).expect_err("it is silent");
        assert!(error.to_string().contains("does not answer after 50ms"), "{error}");
        let stopped = StopFlag::new();
        stopped.stop();
        assert!(silent.await_answer(PATIENCE, &stopped).is_ok(), "nobody wants to know");
    }
}
