//! A writer for those who measure: what is pushed goes to the disk on a thread of its own.
//!
//! Whoever stamps answers with the time at which they came must not stand in `write` meanwhile: a disk that is busy for 50 ms
//! would be 50 ms of latency of everything that is answered then, and nobody could tell whose they are.

use super::entry::Entry;
use super::writer::EntryWriter;
use crate::directory::DirectoryError;
use std::mem;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// Entries that are handed over at once.
const CHUNK: usize = 1_024;
/// Chunks that may wait for the disk. Only then does it hold up whoever pushes: memory is bounded.
const CHUNKS: usize = 256;

/// An [`EntryWriter`] on a thread of its own.
///
/// What was pushed is on its way at the latest when the owner calls [`BackgroundWriter::flush`]. Dropping it writes what waits,
/// as with any other writer.
#[derive(Debug)]
pub struct BackgroundWriter<E: Entry + Send + 'static> {
    chunk: Vec<E>,
    /// What to write, and when it is empty, that what was written so far goes to the operating system.
    chunks: Option<SyncSender<Vec<E>>>,
    thread: Option<JoinHandle<EntryWriter<E>>>,
}

impl<E: Entry + Send + 'static> BackgroundWriter<E> {
    /// Takes a writer to a thread of its own.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(writer: EntryWriter<E>) -> Result<Self, DirectoryError> {
        let (chunks, written) = sync_channel(CHUNKS);
        let name = writer.name().to_owned();
        let thread = thread::Builder::new()
            .name("record".to_owned())
            .spawn(move || write(writer, &written))
            .map_err(|source| DirectoryError::write(&name, source))?;
        Ok(Self { chunk: Vec::with_capacity(CHUNK), chunks: Some(chunks), thread: Some(thread) })
    }

    /// Appends one entry. Never fails, and waits for the disk only when that is a quarter of a million entries behind.
    pub fn push(&mut self, entry: &E) {
        self.chunk.push(*entry);
        if self.chunk.len() >= CHUNK {
            self.hand_over();
        }
    }

    /// Hands what waits to the operating system, soon.
    pub fn flush(&mut self) {
        if !self.chunk.is_empty() {
            self.hand_over();
        }
        self.send(Vec::new());
    }

    /// Writes what waits and the closing mark, and returns the number of entries.
    ///
    /// # Errors
    /// When any write failed since the writer was created.
    pub fn finish(mut self) -> Result<u64, DirectoryError> {
        match self.join() {
            Some(Ok(writer)) => writer.finish(),
            Some(Err(panic)) => resume_unwind(panic),
            None => Ok(0),
        }
    }

    fn hand_over(&mut self) {
        let chunk = mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK));
        self.send(chunk);
    }

    fn send(&self, chunk: Vec<E>) {
        if let Some(chunks) = &self.chunks {
            // Only a thread that panicked takes nothing more, and whoever joins it is told.
            drop(chunks.send(chunk));
        }
    }

    fn join(&mut self) -> Option<thread::Result<EntryWriter<E>>> {
        let thread = self.thread.take()?;
        let last = mem::take(&mut self.chunk);
        self.send(last);
        self.chunks = None;
        Some(thread.join())
    }
}

impl<E: Entry + Send + 'static> Drop for BackgroundWriter<E> {
    fn drop(&mut self) {
        drop(self.join());
    }
}

fn write<E: Entry>(mut writer: EntryWriter<E>, chunks: &Receiver<Vec<E>>) -> EntryWriter<E> {
    for chunk in chunks {
        if chunk.is_empty() {
            writer.flush();
        }
        chunk.iter().for_each(|entry| writer.push(entry));
    }
    writer
}
