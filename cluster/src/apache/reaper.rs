//! No child outlives this process: a watcher that kills what is left when the process is gone.
//!
//! Dropping and signal handlers cover a panic or Ctrl-C, but not `kill -9`. The watcher reads the groups that are running
//! from a pipe; the kernel closes that pipe however this process ends, and then the watcher kills what was not taken off
//! its list. It is a POSIX shell, because this may be a library inside anybody's test binary, which has no executable of
//! its own to offer. A signal at the parent's death, which Linux has, would come with the end of the thread that started
//! the child, and not only with that of the process.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// What the watcher runs. Signals of a terminal are not for it: it ends with the pipe.
const WATCH: &str = r#"trap '' INT TERM HUP
groups=""
while read -r verb group; do
  case "$verb" in
    start) groups="$groups $group" ;;
    stop) kept=""; for g in $groups; do [ "$g" = "$group" ] || kept="$kept $g"; done; groups="$kept" ;;
  esac
done
for g in $groups; do kill -s KILL -- "-$g" 2>/dev/null; done
exit 0"#;

/// The watcher, and the pipe to it.
#[derive(Debug)]
pub struct Reaper {
    pipe: Mutex<Option<ChildStdin>>,
    watcher: Mutex<Child>,
}

impl Reaper {
    /// Starts the watcher.
    ///
    /// # Errors
    /// When there is no `sh`, or no process to be had.
    pub fn start() -> std::io::Result<Self> {
        let mut watcher = Command::new("sh")
            .args(["-c", WATCH])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let pipe = watcher.stdin.take();
        Ok(Self { pipe: Mutex::new(pipe), watcher: Mutex::new(watcher) })
    }

    /// This process group is running.
    pub fn started(&self, group: u32) {
        self.tell("start", group);
    }

    /// This process group has ended; its number may belong to somebody else soon.
    pub fn stopped(&self, group: u32) {
        self.tell("stop", group);
    }

    fn tell(&self, verb: &str, group: u32) {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipe) = pipe.as_mut() {
            // A watcher that somebody killed costs the safety net, never the run.
            let _ = writeln!(pipe, "{verb} {group}");
        }
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        drop(self.pipe.lock().unwrap_or_else(PoisonError::into_inner).take());
        let _ = self.watcher.lock().unwrap_or_else(PoisonError::into_inner).wait();
    }
}

#[cfg(test)]
mod tests {
    use super::Reaper;
    use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
    use std::process::Command;
    use std::time::{Duration, Instant};

    fn sleeper() -> std::process::Child {
        Command::new("sleep").arg("600").process_group(0).spawn().expect("sleep exists")
    }

    #[test]
    fn what_is_still_running_dies_with_the_pipe_and_what_was_stopped_is_left_alone() {
        let (mut left, mut stopped) = (sleeper(), sleeper());
        let reaper = Reaper::start().expect("sh exists");
        reaper.started(left.id());
        reaper.started(stopped.id());
        reaper.stopped(stopped.id());
        drop(reaper);
        let deadline = Instant::now() + Duration::from_secs(10);
        let status = loop {
            if let Some(status) = left.try_wait().expect("a child can be waited for") {
                break status;
            }
            assert!(Instant::now() < deadline, "the group is still running");
            std::thread::sleep(Duration::from_millis(5));
        };
        assert_eq!(status.signal(), Some(9));
        assert!(stopped.try_wait().expect("a child can be waited for").is_none(), "the other group was hit as well");
        stopped.kill().expect("still there");
        stopped.wait().expect("a child can be waited for");
    }
}
