//! One run of a comparison, in a process of its own: what one run leaves behind in memory, the next one does not find.

use super::error::CompareError;
use super::folder::ComparisonFolder;
use super::plan::{ComparisonPlan, SidePlan};
use rustix::process::{Pid, Signal, kill_process};
use shakedown_loadgen::StopFlag;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Between two looks at whether a run has ended, or somebody wants it to.
const POLL: Duration = Duration::from_millis(20);
/// How much of what a failed run said is told.
const SAID_BYTES: usize = 4_000;
/// Exit codes of runs that were judged: they passed, failed, or proved nothing. Failing is no obstacle: an expectation may be
/// about the very thing that is compared, and whether the run counts is decided by what it recorded.
const JUDGED: [i32; 3] = [0, 1, 3];

/// Runs this side of this pair, unless it is there already; where its run directory is.
///
/// # Errors
/// When it came to no verdict, or somebody interrupted it.
pub fn run(
    folder: &ComparisonFolder,
    plan: &ComparisonPlan,
    pair: usize,
    is_a: bool,
    stop: &StopFlag,
) -> Result<PathBuf, CompareError> {
    if let Some(finished) = folder.finished(pair, is_a)? {
        return Ok(finished);
    }
    let (side, out) = (if is_a { &plan.a } else { &plan.b }, folder.side(pair, is_a));
    // What is left of a run that was killed says nothing.
    if out.exists() {
        fs::remove_dir_all(&out).map_err(CompareError::io("empty", &out))?;
    }
    fs::create_dir_all(&out).map_err(CompareError::io("make the folder", &out))?;
    let said = out.join("stderr.txt");
    let mut command = command(side, plan, pair, &out);
    let log = File::create(&said).map_err(CompareError::io("write", &said))?;
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0).spawn();
    let child = child.map_err(CompareError::io("start", &side.program))?;
    let interrupted = || CompareError::Interrupted { folder: folder.path().to_owned() };
    let status = wait(child, stop).map_err(CompareError::io("wait for", &side.program))?;
    if stop.is_stopped() {
        return Err(interrupted());
    }
    let finished = folder.finished(pair, is_a)?;
    match finished.filter(|_| status.code().is_some_and(|code| JUDGED.contains(&code))) {
        Some(run) => Ok(run),
        None => Err(CompareError::Run {
            label: side.label.clone(),
            pair,
            status: status.to_string(),
            said: last_words(&said),
        }),
    }
}

fn command(side: &SidePlan, plan: &ComparisonPlan, pair: usize, out: &Path) -> Command {
    let mut command = Command::new(&side.program);
    command.arg("run").arg(&side.scenario).arg("--out").arg(out);
    command.arg("--seed").arg(plan.seed.saturating_add(pair as u64).to_string());
    for setting in &side.settings {
        command.arg("--set").arg(setting);
    }
    command.args(&plan.arguments);
    command
}

/// Waits for its end. Whoever interrupts the comparison interrupts the run, which ends in good order.
fn wait(mut child: Child, stop: &StopFlag) -> std::io::Result<ExitStatus> {
    let mut is_told = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if stop.is_stopped() && !is_told {
            is_told = true;
            if let Some(process) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                // It is not waited for yet, so the number is still its own.
                let _ = kill_process(process, Signal::TERM);
            }
        }
        std::thread::sleep(POLL);
    }
}

fn last_words(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let from = text.len().saturating_sub(SAID_BYTES);
    let from = (from..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    text[from..].trim_end().to_owned()
}
