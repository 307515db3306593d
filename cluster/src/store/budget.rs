//! What all nodes of a cluster keep in memory together, and the file that takes the rest.
//!
//! Replicas of one process hold clones of the same [`Bytes`]. A batch is therefore recognised by where its bytes lie,
//! counted once, and moved to the file once for all of its replicas. An address means something only while its bytes are
//! alive: it is in the table exactly as long as the budget itself holds them.
//!
//! What is read back from the file is in memory again, as the youngest batch: a follower that catches up from there
//! stores the very bytes its leader has read, and shares them, too. When it leaves again nothing has to be written.
//!
//! Batches that no log holds any more make room in the file for others ([`super::space`]), and what is free at its end is
//! given back: the file is as large as what logs hold and memory does not, and not as all that ever went through.

use super::space::Space;
use bytes::{Bytes, BytesMut};
use shakedown_broker::log::store::logs::{Body, Entry};
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// How much moves to the file at once: enough to make a write worth its call.
pub(super) const SPILL_BYTES: usize = 1024 * 1024;

/// What stays in memory however small the budget is, so that followers still share what their leader just appended.
pub(super) const MEMORY_MIN: u64 = 2 * SPILL_BYTES as u64;

/// The file is cut once so much at its end is free: a queue in it moves its end all the time.
const SLACK_BYTES: u64 = 8 * SPILL_BYTES as u64;

/// What a batch in memory takes besides its bytes: its place in the table, and what `Bytes` and the allocator add.
const IN_MEMORY_EXTRA: u64 = 96;

/// A batch of the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct BatchId(u32);

impl BatchId {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// How a log refers to a batch.
#[derive(Debug)]
pub(super) struct Kept {
    id: BatchId,
    size: u32,
}

impl Body for Kept {
    fn size(&self) -> usize {
        self.size as usize
    }
}

/// A batch, for all logs that hold it. Those in memory are a list from the oldest to the newest.
#[derive(Debug, Default)]
struct Shared {
    /// While it is in memory.
    bytes: Option<Bytes>,
    /// Where in the file it is, once it has been there.
    place: Option<u64>,
    older: Option<BatchId>,
    newer: Option<BatchId>,
    /// How many logs hold it.
    references: u32,
}

/// What all nodes of a cluster may keep in memory together.
#[derive(Debug)]
pub struct Budget {
    allowed: u64,
    /// A write that failed is tried again once this much is used.
    retry_at: u64,
    batches: Vec<Shared>,
    /// Batches that no log holds any more.
    free: Vec<BatchId>,
    by_address: HashMap<(usize, usize), BatchId>,
    oldest: Option<BatchId>,
    newest: Option<BatchId>,
    /// Bytes of the batches in memory.
    in_memory: u64,
    /// How often logs refer to batches.
    references: u64,
    file: Option<File>,
    /// Which places of the file are taken.
    space: Space,
    /// Where the file ends.
    file_length: u64,
}

impl Budget {
    /// Bytes in memory, at most: those of batches, and those that it takes to remember where batches are.
    #[must_use]
    pub fn new(allowed: u64) -> Self {
        Self {
            allowed,
            retry_at: 0,
            batches: Vec::new(),
            free: Vec::new(),
            by_address: HashMap::new(),
            oldest: None,
            newest: None,
            in_memory: 0,
            references: 0,
            file: None,
            space: Space::default(),
            file_length: 0,
        }
    }

    /// Takes a batch for one log. `None` if it is larger than the wire can carry, or one of too many.
    pub(super) fn keep(&mut self, bytes: Bytes) -> Option<Kept> {
        let size = u32::try_from(bytes.len()).ok()?;
        let id = match self.by_address.get(&address(&bytes)) {
            Some(id) => *id,
            None => self.add(bytes)?,
        };
        self.batches[id.index()].references += 1;
        self.references += 1;
        self.make_room();
        Some(Kept { id, size })
    }

    /// A log no longer holds a batch.
    pub(super) fn release(&mut self, kept: &Kept) {
        self.references -= 1;
        let shared = &mut self.batches[kept.id.index()];
        shared.references -= 1;
        if shared.references == 0 {
            let place = shared.place.take();
            self.leave_memory(kept.id);
            self.free.push(kept.id);
            if let Some(at) = place {
                self.space.give(at, kept.size.into());
                self.shrink();
            }
        }
    }

    /// The bytes of a batch, read back if need be.
    pub(super) fn bytes(&mut self, kept: &Kept) -> std::io::Result<Bytes> {
        let shared = &self.batches[kept.id.index()];
        if let Some(bytes) = &shared.bytes {
            return Ok(bytes.clone());
        }
        let bytes = self.read(shared.place.ok_or(std::io::ErrorKind::NotFound)?, kept.size())?;
        self.enter_memory(kept.id, bytes.clone());
        self.make_room();
        Ok(bytes)
    }

    fn add(&mut self, bytes: Bytes) -> Option<BatchId> {
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                let id = BatchId(u32::try_from(self.batches.len()).ok()?);
                self.batches.push(Shared::default());
                id
            }
        };
        self.enter_memory(id, bytes);
        Some(id)
    }

    fn enter_memory(&mut self, id: BatchId, bytes: Bytes) {
        self.by_address.insert(address(&bytes), id);
        self.in_memory += bytes.len() as u64;
        let older = self.newest.replace(id);
        match older {
            Some(older) => self.batches[older.index()].newer = Some(id),
            None => self.oldest = Some(id),
        }
        let shared = &mut self.batches[id.index()];
        shared.older = older;
        shared.bytes = Some(bytes);
    }

    fn leave_memory(&mut self, id: BatchId) {
        let shared = &mut self.batches[id.index()];
        let Some(bytes) = shared.bytes.take() else { return };
        let (older, newer) = (shared.older.take(), shared.newer.take());
        match older {
            Some(older) => self.batches[older.index()].newer = newer,
            None => self.oldest = newer,
        }
        match newer {
            Some(newer) => self.batches[newer.index()].older = older,
            None => self.newest = older,
        }
        self.in_memory -= bytes.len() as u64;
        self.by_address.remove(&address(&bytes));
    }

    /// Everything that grows with the batches.
    fn used(&self) -> u64 {
        let held = self.by_address.len() as u64 * IN_MEMORY_EXTRA + self.in_memory;
        let known = self.batches.len() * size_of::<Shared>();
        held + known as u64 + self.references * size_of::<Entry<Kept>>() as u64
    }

    fn make_room(&mut self) {
        while self.in_memory > MEMORY_MIN && self.used() > self.allowed.max(self.retry_at) {
            match self.spill() {
                Ok(()) => self.retry_at = 0,
                Err(error) => {
                    // Better above the budget than a batch that is acknowledged and gone.
                    tracing::warn!(%error, "cannot move batches to a temporary file");
                    self.retry_at = self.used() + SPILL_BYTES as u64;
                }
            }
        }
    }

    /// Moves the oldest batches out of memory; those that the file does not have yet are written, as many at once as lie
    /// behind each other. They all stay where they are if that fails.
    fn spill(&mut self) -> std::io::Result<()> {
        let mut moving = Vec::new();
        let mut unwritten = Vec::new();
        let mut freed = 0;
        let mut next = self.oldest;
        while let Some(id) = next
            && freed < SPILL_BYTES
        {
            let shared = &self.batches[id.index()];
            let bytes = shared.bytes.as_ref().expect("a batch in the list is in memory");
            match shared.place {
                Some(_) => moving.push(id),
                None => unwritten.push((id, self.space.take(bytes.len() as u64))),
            }
            freed += bytes.len();
            next = shared.newer;
        }
        if let Err(error) = self.write(&unwritten) {
            for (id, at) in unwritten {
                let size = self.batches[id.index()].bytes.as_ref().map_or(0, Bytes::len);
                self.space.give(at, size as u64);
            }
            return Err(error);
        }
        for (id, at) in unwritten {
            self.batches[id.index()].place = Some(at);
            moving.push(id);
        }
        moving.into_iter().for_each(|id| self.leave_memory(id));
        Ok(())
    }

    /// Writes batches to their places.
    fn write(&mut self, batches: &[(BatchId, u64)]) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        let mut run = Vec::with_capacity(SPILL_BYTES);
        let mut begins = 0;
        for (nth, (id, at)) in batches.iter().enumerate() {
            if run.is_empty() {
                begins = *at;
            }
            run.extend_from_slice(self.batches[id.index()].bytes.as_ref().expect("it has not left memory yet"));
            let end = begins + run.len() as u64;
            if batches.get(nth + 1).is_none_or(|(_, next)| *next != end) {
                file.write_all_at(&run, begins)?;
                self.file_length = self.file_length.max(end);
                run.clear();
            }
        }
        Ok(())
    }

    /// Gives back what is free at the file's end, if it is worth a call.
    fn shrink(&mut self) {
        let end = self.space.end();
        let slack = self.file_length - end.min(self.file_length);
        if slack >= SLACK_BYTES || (end == 0 && slack > 0) {
            // A file that stays too long holds nothing wrong.
            if self.file.as_ref().is_some_and(|file| file.set_len(end).is_ok()) {
                self.file_length = end;
            }
        }
    }

    fn read(&self, at: u64, length: usize) -> std::io::Result<Bytes> {
        let mut bytes = BytesMut::zeroed(length);
        let file = self.file.as_ref().ok_or(std::io::ErrorKind::NotFound)?;
        file.read_exact_at(&mut bytes, at)?;
        Ok(bytes.freeze())
    }
}

/// Two batches with the same are the same, as long as both are alive.
fn address(bytes: &Bytes) -> (usize, usize) {
    (bytes.as_ptr().addr(), bytes.len())
}

#[cfg(test)]
impl Budget {
    /// Bytes of the batches in memory, and where the last one in the file ends.
    pub(super) fn spread(&self) -> (u64, u64) {
        (self.in_memory, self.space.end())
    }

    /// Bytes of the file, as the system has it.
    pub(super) fn file_length(&self) -> u64 {
        let length = self.file.as_ref().map_or(0, |file| file.metadata().expect("an open file").len());
        assert_eq!(length, self.file_length);
        length
    }

    /// Everything that the budget counts.
    pub(super) fn counted(&self) -> u64 {
        self.used()
    }

    /// Makes every read and write fail from here on.
    pub(super) fn break_file(&mut self) -> std::io::Result<()> {
        self.file = Some(File::open("/dev/null")?);
        Ok(())
    }

    /// Everything that is said twice agrees.
    pub(super) fn check(&self) {
        let mut listed = Vec::new();
        let mut next = self.oldest;
        while let Some(id) = next {
            let shared = &self.batches[id.index()];
            let bytes = shared.bytes.as_ref().expect("a batch in the list is in memory");
            assert_eq!(shared.older, listed.last().copied());
            assert_eq!(self.by_address.get(&address(bytes)), Some(&id));
            assert!(shared.references > 0);
            listed.push(id);
            next = shared.newer;
        }
        assert_eq!(self.newest, listed.last().copied());
        assert_eq!(self.by_address.len(), listed.len());
        let in_memory = self.batches.iter().filter_map(|shared| shared.bytes.as_ref());
        assert_eq!(self.in_memory, in_memory.clone().map(|bytes| bytes.len() as u64).sum::<u64>());
        assert_eq!(in_memory.count(), listed.len());
        assert_eq!(self.references, self.batches.iter().map(|shared| u64::from(shared.references)).sum::<u64>());
        let unheld = self.batches.iter().filter(|shared| shared.references == 0);
        assert_eq!(unheld.count(), self.free.len());
    }
}
