//! One child process with everything it starts: a process group of its own, its output captured, never left behind.

use super::service_log::ServiceLog;
use rustix::process::{Pid, Signal, kill_process_group};
use shakedown_cluster::apache::reaper::Reaper;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often an ended process is looked for while it is waited for.
const POLL: Duration = Duration::from_millis(5);

/// How long the output of an ended process is waited for; a grandchild that left the group may hold the pipe open.
const OUTPUT_WAIT: Duration = Duration::from_millis(500);

/// A running child. Dropping it kills its whole group.
#[derive(Debug)]
pub struct Process {
    child: Child,
    readers: Vec<JoinHandle<()>>,
    reaper: Arc<Reaper>,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts the command with its output going to `log`.
    ///
    /// # Errors
    /// When the system cannot start it.
    pub fn start(mut command: Command, log: &Arc<ServiceLog>, reaper: &Arc<Reaper>) -> std::io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn()?;
        reaper.started(child.id());
        let mut readers = Vec::new();
        if let Some(stream) = child.stdout.take() {
            let log = Arc::clone(log);
            readers.push(std::thread::spawn(move || log.copy(stream)));
        }
        if let Some(stream) = child.stderr.take() {
            let log = Arc::clone(log);
            readers.push(std::thread::spawn(move || log.copy(stream)));
        }
        Ok(Self { child, readers, reaper: Arc::clone(reaper), status: None })
    }

    /// Its number, which is that of its group.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
            if self.status.is_some() {
                // Whatever it started and left behind goes with it.
                self.signal_group(Signal::KILL);
                self.reaper.stopped(self.child.id());
                let deadline = Instant::now() + OUTPUT_WAIT;
                while Instant::now() < deadline && !self.readers.iter().all(JoinHandle::is_finished) {
                    std::thread::sleep(POLL);
                }
            }
        }
        self.status
    }

    /// Sends a signal to the whole group; nothing once the end is known, since the number of the group may belong to
    /// somebody else by then. Whether there was anybody to send it to.
    pub fn signal(&mut self, signal: Signal) -> bool {
        let running = self.ended().is_none();
        if running {
            self.signal_group(signal);
        }
        running
    }

    fn signal_group(&self, signal: Signal) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // The group may have ended on its own in the meantime, which is what was wanted.
            let _ = kill_process_group(group, signal);
        }
    }

    /// Waits for its end for so long at most.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(POLL);
        }
    }

    /// Kills the whole group and waits for the child; how it ended, unless that takes too long.
    pub fn kill(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.signal_group(Signal::KILL);
            self.wait(Duration::from_secs(10));
        }
        self.status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `exited with code 3`, `was killed by signal 9`.
#[must_use]
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Process, Reaper, ServiceLog, Signal, describe};
    use std::process::Command;
    use std::sync::Arc;
    use std::time::Duration;

    fn shell(script: &str) -> (Process, Arc<ServiceLog>, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = Arc::new(ServiceLog::create(&folder.path().join("log"), None).expect("a log"));
        let reaper = Arc::new(Reaper::start().expect("sh exists"));
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        (Process::start(command, &log, &reaper).expect("sh starts"), log, folder)
    }

    #[test]
    fn the_end_and_the_last_words_are_seen() {
        let (mut process, log, _folder) = shell("echo to stdout; echo to stderr >&2; exit 3");
        let status = process.wait(Duration::from_secs(10)).expect("it ends");
        assert_eq!(describe(status), "exited with code 3");
        assert!(
            log.last_lines().contains("to stdout") && log.last_lines().contains("to stderr"),
            "{}",
            log.last_lines()
        );
    }

    #[test]
    fn a_signal_goes_to_nobody_once_the_end_is_known() {
        let (mut process, _log, _folder) = shell("sleep 600");
        assert!(process.signal(Signal::CONT), "it is running");
        let status = process.kill().expect("it ends");
        assert_eq!(describe(status), "was killed by signal 9");
        assert!(!process.signal(Signal::CONT), "its number may be somebody else's");
        let (mut process, _log, _folder) = shell("exit 3");
        process.wait(Duration::from_secs(10)).expect("it ends");
        assert_eq!(process.kill().map(describe).as_deref(), Some("exited with code 3"), "a kill does not hide the end");
    }

    #[test]
    fn dropping_kills_the_grandchildren_as_well() {
        let (process, log, _folder) = shell("sleep 600 & echo $!; wait");
        let pid = loop {
            if let Ok(pid) = log.last_lines().trim().parse::<i32>() {
                break rustix::process::Pid::from_raw(pid).expect("a process id");
            }
            std::thread::yield_now();
        };
        drop(process);
        // Nobody is left to reap the grandchild but init, so it may be a zombie for a moment: wait for its end.
        let gone = (0..1_000).any(|_| {
            std::thread::sleep(Duration::from_millis(5));
            let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
            state.map_or(true, |stat| stat.contains(") Z "))
        });
        assert!(gone, "the grandchild is still running");
    }
}
