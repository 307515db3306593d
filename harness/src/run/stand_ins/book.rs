//! A stand-in's book as it is written: facts numbered and timed in the order in which they happened.

use crate::run::error::RunError;
use shakedown_reports::DirectoryError;
use shakedown_reports::books::{BookWriter, Fact};
use std::path::Path;

/// A book that is being written. What goes wrong is told at its end: no request is refused because of it.
pub(super) struct Book {
    writer: BookWriter,
    last: u64,
    failure: Option<DirectoryError>,
    /// What happens after its end is no part of the record.
    is_finished: bool,
}

impl Book {
    /// Begins the book of this name.
    pub(super) fn create(directory: &Path, name: &str) -> Result<Self, RunError> {
        Ok(Self { writer: BookWriter::create(directory, name)?, last: 0, failure: None, is_finished: false })
    }

    /// Something happened at this instant, in nanoseconds since the Unix epoch.
    pub(super) fn enter(&mut self, at_ns: u64, fact: Fact) {
        if self.is_finished {
            return;
        }
        self.last += 1;
        let at_us = i64::try_from(at_ns / 1_000).unwrap_or(i64::MAX);
        let written = self.writer.write(&Fact { position: self.last, at_us, ..fact });
        self.note(written);
    }

    /// Hands what was written to the operating system.
    pub(super) fn flush(&mut self) {
        let flushed = self.writer.flush();
        self.note(flushed);
    }

    /// Ends it.
    ///
    /// # Errors
    /// The first thing that went wrong.
    pub(super) fn finish(&mut self) -> Result<(), RunError> {
        self.flush();
        self.is_finished = true;
        self.failure.take().map_or(Ok(()), |failure| Err(failure.into()))
    }

    fn note(&mut self, outcome: Result<(), DirectoryError>) {
        if let (Err(failure), None) = (outcome, &self.failure) {
            self.failure = Some(failure);
        }
    }
}
