//! Takes the folder of the servers away when the run is over, also when the harness was killed.

use crate::run::error::RunError;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Waits for the end of its input, which comes with that of the harness. A server that is about to end may still write.
/// Signals of a terminal are not for it.
const SWEEP: &str = r#"trap '' INT TERM HUP
read -r word
[ "$word" = keep ] && exit 0
for try in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$1" 2>/dev/null && exit 0; sleep 1; done"#;

/// A process that outlives the harness, for a moment.
pub(super) struct Sweeper {
    shell: Child,
    input: Option<ChildStdin>,
    keeps: bool,
}

impl Sweeper {
    /// Begins to wait; with `keeps` an end in order leaves the folder where it is.
    pub(super) fn start(folder: &Path, keeps: bool) -> Result<Self, RunError> {
        let mut command = Command::new("sh");
        command.args(["-c", SWEEP, "sweeper"]).arg(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let mut shell = command.spawn().map_err(RunError::io("start who takes the servers' folder away (sh)"))?;
        let input = shell.stdin.take();
        Ok(Self { shell, input, keeps })
    }

    /// Whether the folder is to stay.
    pub(super) fn keeps(&self) -> bool {
        self.keeps
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        if let (true, Some(input)) = (self.keeps, self.input.as_mut()) {
            // Nobody reads it only if somebody has killed the shell, and then nothing is taken away.
            let _ = writeln!(input, "keep");
        }
        self.input = None;
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::Sweeper;

    #[test]
    fn the_folder_goes_unless_it_is_to_stay() {
        for keeps in [false, true] {
            let folder = tempfile::tempdir().expect("a temporary folder");
            std::fs::create_dir(folder.path().join("data")).expect("a folder within");
            let sweeper = Sweeper::start(folder.path(), keeps).expect("sh exists");
            assert!(folder.path().exists(), "it is needed");
            drop(sweeper);
            assert_eq!(folder.path().exists(), keeps);
        }
    }
}
