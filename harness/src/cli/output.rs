//! Standard output, which may be a closed pipe or a full disk: a verdict is worth an exit code even if nobody reads it.

use crate::exit::Exit;
use std::io::Write as _;

/// Prints the text. Whoever has closed the pipe does not want it, which is no failure; anything else is one of ours.
pub(super) fn print(text: &str) -> Exit {
    let mut stdout = std::io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("error: cannot write to standard output: {error}");
            Exit::Broken
        }
        _ => Exit::Pass,
    }
}
