//! One node over all its lives: a process, its configuration, its data and its log.

use super::error::ApacheError;
use super::java::Java;
use super::reaper::Reaper;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};

/// How much of a log is told when a node does not serve.
const LOG_LINES: usize = 30;

/// The class that runs a node.
const KAFKA: &str = "kafka.Kafka";

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: i32,
    /// Where clients find it.
    pub(super) address: SocketAddr,
    /// Its `server.properties`.
    pub(super) properties: PathBuf,
    process: Option<Child>,
    is_paused: bool,
    /// Whether it was started, and not killed since.
    is_meant_to_run: bool,
}

impl Node {
    pub(super) fn new(id: i32, address: SocketAddr, properties: PathBuf) -> Self {
        Self { id, address, properties, process: None, is_paused: false, is_meant_to_run: false }
    }

    /// Starts its process, with what it says behind what earlier ones have said.
    pub(super) fn start(&mut self, java: &Java, reaper: &Reaper) -> Result<(), ApacheError> {
        let path = self.log();
        let cannot_write = |source| ApacheError::Folder { path: path.clone(), source };
        let log = OpenOptions::new().create(true).append(true).open(&path).map_err(cannot_write)?;
        let same = log.try_clone().map_err(cannot_write)?;
        let mut command = java.run(KAFKA);
        // In a group of its own, a Ctrl-C of a terminal does not reach it before whoever started it.
        command.arg(&self.properties).stdin(Stdio::null()).stdout(log).stderr(same).process_group(0);
        let process = command.spawn().map_err(|source| ApacheError::Spawn { program: java.program(), source })?;
        reaper.started(process.id());
        self.process = Some(process);
        self.is_paused = false;
        self.is_meant_to_run = true;
        Ok(())
    }

    /// How its process ended, if it has by itself since it was asked last.
    pub(super) fn ended(&mut self, reaper: &Reaper) -> Option<ExitStatus> {
        let status = self.process.as_mut()?.try_wait().ok().flatten()?;
        self.forget(reaper);
        Some(status)
    }

    /// Whether it runs, stopped or not.
    pub(super) fn is_up(&mut self, reaper: &Reaper) -> bool {
        self.ended(reaper);
        self.process.is_some()
    }

    /// Whether it runs and is not stopped.
    pub(super) fn answers(&mut self, reaper: &Reaper) -> bool {
        self.is_up(reaper) && !self.is_paused
    }

    /// Whether it should answer: nobody has killed or stopped it.
    pub(super) fn is_wanted(&self) -> bool {
        self.is_meant_to_run && !self.is_paused
    }

    /// SIGKILL, and its end; whether there was anything to kill.
    pub(super) fn kill(&mut self, reaper: &Reaper) -> bool {
        let was_up = self.is_up(reaper);
        self.is_meant_to_run = false;
        if let Some(process) = &mut self.process {
            // It may have ended by itself since, which is as good.
            let _ = process.kill();
            let _ = process.wait();
            self.forget(reaper);
        }
        was_up
    }

    /// SIGSTOP or SIGCONT.
    pub(super) fn pause(&mut self, paused: bool, reaper: &Reaper) -> Result<(), ApacheError> {
        let id = self.id;
        if !self.is_up(reaper) {
            return Err(ApacheError::Down { id });
        }
        let process = self.process.as_ref().and_then(|process| Pid::from_raw(i32::try_from(process.id()).ok()?));
        let Some(process) = process else { return Err(ApacheError::Down { id }) };
        let signal = if paused { Signal::STOP } else { Signal::CONT };
        kill_process(process, signal).map_err(|error| ApacheError::Signal { id, source: error.into() })?;
        self.is_paused = paused;
        Ok(())
    }

    /// The process, while there is one.
    pub(super) fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// The end of its log.
    pub(super) fn last_lines(&self) -> String {
        let log = std::fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        match &lines[lines.len().saturating_sub(LOG_LINES)..] {
            [] => "(it says nothing)".to_owned(),
            last => last.join("\n"),
        }
    }

    fn log(&self) -> PathBuf {
        self.properties.with_extension("log")
    }

    fn forget(&mut self, reaper: &Reaper) {
        if let Some(process) = self.process.take() {
            reaper.stopped(process.id());
        }
    }
}
