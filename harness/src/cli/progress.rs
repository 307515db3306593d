//! The live line on a terminal. Without one, a line for whatever takes longer than people like.

use super::doing::{Doing, Kind};
use super::output;
use crate::exit::Exit;
use crate::report::Report;
use crate::run::journal::Observer;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal as _, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two looks at whether something takes long.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What is said of a run that is over and stays up.
pub(super) const KEPT: &str = "everything stays up until Ctrl-C";

/// A spinner with what is going on beside it.
pub(super) struct Progress {
    bar: ProgressBar,
    doing: Doing,
    /// Dropped to end the thread that speaks up where there is no terminal.
    speaker: Mutex<Option<(Sender<()>, JoinHandle<()>)>>,
    /// What came of printing the report, if it had to be printed before the end.
    printed: OnceLock<Exit>,
}

impl Progress {
    /// Begins; what goes on is noted in `doing`, too.
    pub(super) fn new(title: &str, doing: &Doing) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {elapsed}  {wide_msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(title.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        let speaker = if std::io::stderr().is_terminal() { None } else { speak_up(doing.clone()) };
        Self { bar, doing: doing.clone(), speaker: Mutex::new(speaker), printed: OnceLock::new() }
    }

    /// Takes the line away, so that the report can take its place.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
        if let Some((alive, thread)) = self.speaker.lock().unwrap_or_else(PoisonError::into_inner).take() {
            drop(alive);
            // Whether it said everything decides nothing.
            let _ = thread.join();
        }
    }

    /// What came of printing the report, if it has been printed.
    pub(super) fn printed(&self) -> Option<Exit> {
        self.printed.get().copied()
    }

    fn show(&self, kind: Kind, text: &str) {
        self.doing.note(kind, text, Instant::now());
        self.bar.set_message(text.to_owned());
    }
}

/// A thread that says on standard error what takes long, until its sender is dropped; none where the system gives none.
fn speak_up(doing: Doing) -> Option<(Sender<()>, JoinHandle<()>)> {
    let (alive, gone) = mpsc::channel();
    let speak = move || {
        while gone.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            if let Some(text) = doing.overdue(Instant::now()) {
                // Nobody has to listen.
                let _ = writeln!(std::io::stderr(), "{text}");
            }
        }
    };
    let thread = std::thread::Builder::new().name("shakedown-speaker".to_owned()).spawn(speak).ok()?;
    Some((alive, thread))
}

impl Observer for Progress {
    fn phase(&self, text: &str) {
        self.show(Kind::Phase, text);
    }

    fn progress(&self, text: &str) {
        self.show(Kind::Progress, text);
    }

    fn waiting(&self, text: &str) {
        self.show(Kind::Waiting, text);
    }

    fn kept(&self, report: &Report, places: &[String]) {
        self.clear();
        self.doing.note(Kind::Progress, KEPT, Instant::now());
        self.printed.get_or_init(|| output::print(&report.text(std::io::stdout().is_terminal())));
        // Nobody has to listen.
        let _ = writeln!(std::io::stderr(), "\n  {}\n{KEPT}", places.join("\n  "));
    }
}
