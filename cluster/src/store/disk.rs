//! The disk of a node: its store, and what goes wrong with it on purpose.
//!
//! A layer over any store, shared by the node that writes and the shell that breaks it. Faults strike what the node asks of
//! the store: an error is the store's own error to the node. Whatever the store fails at, for a fault or in earnest, is
//! noted here: the shell then stops the node, as Kafka stops when its last log directory fails (`LogManager`'s
//! `handleLogDirFailure`).

use super::damage::Damage;
use bytes::Bytes;
use shakedown_broker::log::store::{Checkpoint, LogId, LogName, LogStore, ReadLimits, Slot, StorageError, StoredBatch};
use shakedown_broker::types::Offset;
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

/// What goes wrong with a disk from now on, until it is mended. Faults of different kinds go together; one of the same
/// kind takes the other's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// It takes so many more bytes of batches, and then no more (`ENOSPC`).
    Full {
        /// How many.
        after_bytes: u64,
    },
    /// Nothing can be written (`EIO`).
    WriteErrors,
    /// Nothing can be read (`EIO`).
    ReadErrors,
    /// Every sync takes this much longer. The node stands still meanwhile, and no other does.
    SlowSync {
        /// How much.
        by: Duration,
    },
}

impl DiskFault {
    /// The fault as scenarios call it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Full { .. } => "disk-full",
            Self::WriteErrors => "write-errors",
            Self::ReadErrors => "read-errors",
            Self::SlowSync { .. } => "slow-sync",
        }
    }
}

/// A node's disk over all its lives. Its clones are the same disk.
#[derive(Clone)]
pub(crate) struct Disk(Rc<Platter>);

struct Platter {
    state: RefCell<State>,
    /// Whether the shell has to look: something failed, or took time.
    attention: Cell<bool>,
}

struct State {
    store: Box<dyn LogStore>,
    /// Bytes until the disk is full.
    free: Option<u64>,
    writes_fail: bool,
    reads_fail: bool,
    sync_delay: Duration,
    /// How long the node's syncs have taken, and it has not stood still for yet.
    owed: Duration,
    /// What failed first in this life of the node.
    failure: Option<String>,
}

impl Disk {
    /// A disk that works.
    pub(crate) fn new(store: Box<dyn LogStore>) -> Self {
        let state = State {
            store,
            free: None,
            writes_fail: false,
            reads_fail: false,
            sync_delay: Duration::ZERO,
            owed: Duration::ZERO,
            failure: None,
        };
        Self(Rc::new(Platter { state: RefCell::new(state), attention: Cell::new(false) }))
    }

    /// A fault begins.
    pub(crate) fn fail(&self, fault: DiskFault) {
        let mut state = self.0.state.borrow_mut();
        match fault {
            DiskFault::Full { after_bytes } => state.free = Some(after_bytes),
            DiskFault::WriteErrors => state.writes_fail = true,
            DiskFault::ReadErrors => state.reads_fail = true,
            DiskFault::SlowSync { by } => state.sync_delay = by,
        }
    }

    /// All faults end; damage stays.
    pub(crate) fn mend(&self) {
        let mut state = self.0.state.borrow_mut();
        (state.free, state.writes_fail, state.reads_fail) = (None, false, false);
        state.sync_delay = Duration::ZERO;
    }

    /// A node begins a life on it, and has met no failure yet.
    pub(crate) fn begin_life(&self) {
        let mut state = self.0.state.borrow_mut();
        (state.failure, state.owed) = (None, Duration::ZERO);
        self.0.attention.set(false);
    }

    /// Whether there is a [`Self::failure`] or time to [`Self::take_owed`]. Asked after every step of the node.
    pub(crate) fn wants_attention(&self) -> bool {
        self.0.attention.get()
    }

    /// What has failed in this life.
    pub(crate) fn failure(&self) -> Option<String> {
        self.0.state.borrow().failure.clone()
    }

    /// How long the node has been syncing since this was last asked.
    pub(crate) fn take_owed(&self) -> Duration {
        let mut state = self.0.state.borrow_mut();
        self.0.attention.set(state.failure.is_some());
        std::mem::take(&mut state.owed)
    }

    /// Damages a log; whether anything of it was there. See [`Damage`].
    pub(crate) fn damage(&self, name: LogName, damage: Damage) -> Result<bool, StorageError> {
        damage.strike(&mut *self.0.state.borrow_mut().store, name)
    }

    /// Whether there is such a log.
    pub(crate) fn has(&self, name: LogName) -> bool {
        self.0.state.borrow().store.names().contains(&name)
    }

    fn note<T>(&self, state: &mut State, done: Result<T, StorageError>) -> Result<T, StorageError> {
        if let Err(error) = &done {
            state.failure.get_or_insert_with(|| error.to_string());
            self.0.attention.set(true);
        }
        done
    }

    /// Something that takes so much room and time, unless it fails.
    fn write<T>(
        &self,
        log: LogId,
        bytes: usize,
        is_synced: bool,
        act: impl FnOnce(&mut dyn LogStore) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let state = &mut *self.0.state.borrow_mut();
        let room = state.free.map(|free| free.checked_sub(bytes as u64));
        let done = match room {
            _ if state.writes_fail => Err(StorageError { log, reason: String::from("input/output error") }),
            Some(None) => Err(StorageError { log, reason: String::from("no space left on device") }),
            _ => act(&mut *state.store),
        };
        if done.is_ok() {
            state.free = room.flatten();
        }
        if is_synced && !state.sync_delay.is_zero() {
            state.owed += state.sync_delay;
            self.0.attention.set(true);
        }
        self.note(state, done)
    }

    /// As [`Self::write`], where nothing can be answered: it does not happen.
    fn note_write(&self, log: LogId, act: impl FnOnce(&mut dyn LogStore)) {
        // The failure is noted, and that is all that can be done about it here.
        let _ = self.write(log, 0, false, |store| {
            act(store);
            Ok(())
        });
    }

    fn look_up<T>(
        &self,
        log: LogId,
        act: impl FnOnce(&mut dyn LogStore) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let state = &mut *self.0.state.borrow_mut();
        let done = if state.reads_fail {
            Err(StorageError { log, reason: String::from("input/output error") })
        } else {
            act(&mut *state.store)
        };
        self.note(state, done)
    }
}

impl LogStore for Disk {
    fn open(&mut self, name: LogName) -> LogId {
        self.0.state.borrow_mut().store.open(name)
    }

    fn names(&self) -> Vec<LogName> {
        self.0.state.borrow().store.names()
    }

    fn remove(&mut self, log: LogId) {
        self.note_write(log, |store| store.remove(log));
    }

    fn append(&mut self, log: LogId, batch: StoredBatch) -> Result<(), StorageError> {
        self.write(log, batch.bytes.len(), false, |store| store.append(log, batch))
    }

    fn read(&mut self, log: LogId, limits: ReadLimits) -> Result<Vec<Bytes>, StorageError> {
        self.look_up(log, |store| store.read(log, limits))
    }

    fn find_timestamp(&mut self, log: LogId, from: Offset, timestamp_ms: i64) -> Result<Option<Bytes>, StorageError> {
        self.look_up(log, |store| store.find_timestamp(log, from, timestamp_ms))
    }

    fn max_timestamp(&self, log: LogId) -> Option<(i64, Offset)> {
        self.0.state.borrow().store.max_timestamp(log)
    }

    fn remove_before(&mut self, log: LogId, offset: Offset) {
        self.note_write(log, |store| store.remove_before(log, offset));
    }

    fn remove_all_before(&mut self, logs: &[(LogId, Offset)]) {
        if let Some((first, _)) = logs.first() {
            self.note_write(*first, |store| store.remove_all_before(logs));
        }
    }

    fn truncate(&mut self, log: LogId, end: Offset) -> Result<(), StorageError> {
        self.write(log, 0, true, |store| store.truncate(log, end))
    }

    fn file_end(&self, log: LogId, offset: Offset) -> Option<Offset> {
        self.0.state.borrow().store.file_end(log, offset)
    }

    fn replace(&mut self, log: LogId, range: Range<Offset>, batches: Vec<StoredBatch>) -> Result<(), StorageError> {
        let bytes = batches.iter().map(|batch| batch.bytes.len()).sum();
        self.write(log, bytes, true, |store| store.replace(log, range, batches))
    }

    fn size(&self, log: LogId) -> u64 {
        self.0.state.borrow().store.size(log)
    }

    fn sync(&mut self, log: LogId) -> Result<(), StorageError> {
        self.write(log, 0, true, |store| store.sync(log))
    }

    fn save(&mut self, slot: Slot, state: Bytes) -> Result<(), StorageError> {
        let bytes = state.len();
        self.write(LogId(0), bytes, true, |store| store.save(slot, state))
    }

    fn load(&self, slot: Slot) -> Option<Bytes> {
        self.0.state.borrow().store.load(slot)
    }

    fn checkpoint(&mut self, log: LogId, checkpoint: Checkpoint) {
        self.note_write(log, |store| store.checkpoint(log, checkpoint));
    }

    fn checkpointed(&self, log: LogId) -> Checkpoint {
        self.0.state.borrow().store.checkpointed(log)
    }

    fn lose_power(&mut self) {
        self.0.state.borrow_mut().store.lose_power();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Budget, SpillingStore};
    use shakedown_broker::MemoryStore;
    use shakedown_broker::batch::build::BatchBuilder;
    use shakedown_broker::batch::header::BatchHeader;
    use shakedown_broker::batch::{header, validate};
    use shakedown_broker::types::LeaderEpoch;

    const EVERYTHING: ReadLimits =
        ReadLimits { from: Offset(0), below: Offset(i64::MAX), max_bytes: usize::MAX, at_least_one: true };

    fn batch(base: i64) -> StoredBatch {
        let mut bytes = BatchBuilder::new(base).record(b"key", &[7; 100]).finish();
        header::patch(&mut bytes, Offset(base), LeaderEpoch(3));
        StoredBatch { base: Offset(base), last: Offset(base), max_timestamp: base, bytes: bytes.freeze() }
    }

    fn disk(store: impl LogStore + 'static, batches: i64) -> (Disk, LogId) {
        let mut disk = Disk::new(Box::new(store));
        let log = disk.open(LogName::Metadata);
        for base in 0..batches {
            disk.append(log, batch(base)).expect("it works");
        }
        (disk, log)
    }

    /// The first offsets of the batches, and whether each is sound.
    fn kept(disk: &mut Disk, log: LogId) -> Vec<(i64, bool)> {
        let batches = LogStore::read(disk, log, EVERYTHING).expect("it can be read");
        let judge = |batch: &Bytes| {
            let header = BatchHeader::read(batch)?;
            Some((header.base_offset.0, validate::is_sound(batch, &header)))
        };
        batches.iter().filter_map(judge).collect()
    }

    #[test]
    fn a_full_disk_takes_what_there_is_room_for_and_lets_go_of_the_rest() {
        let (mut disk, log) = disk(MemoryStore::default(), 0);
        let size = batch(0).bytes.len() as u64;
        disk.fail(DiskFault::Full { after_bytes: 2 * size + 1 });
        disk.append(log, batch(0)).expect("there is room");
        disk.append(log, batch(1)).expect("there is room");
        assert!(!disk.wants_attention());
        let error = disk.append(log, batch(2)).expect_err("there is no room");
        assert_eq!(error.reason, "no space left on device");
        disk.save(Slot::Quorum, Bytes::from_static(b"voted")).expect_err("there is no room");
        assert_eq!(LogStore::load(&disk, Slot::Quorum), None);
        let checkpoint = Checkpoint { log_start: Offset(0), high_watermark: Offset(2) };
        disk.checkpoint(log, checkpoint);
        assert_eq!(disk.checkpointed(log), checkpoint, "a note that has its place already takes no room");
        assert!(disk.wants_attention() && disk.failure().is_some_and(|reason| reason.contains("no space left")));
        disk.mend();
        disk.begin_life();
        assert!(!disk.wants_attention() && disk.failure().is_none());
        disk.append(log, batch(2)).expect("there is room again");
        assert_eq!(kept(&mut disk, log), [(0, true), (1, true), (2, true)]);
    }

    #[test]
    fn what_cannot_be_written_does_not_happen() {
        let (mut disk, log) = disk(MemoryStore::default(), 3);
        disk.fail(DiskFault::WriteErrors);
        disk.remove_before(log, Offset(2));
        assert!(disk.failure().is_some(), "though nobody could be told");
        disk.truncate(log, Offset(1)).expect_err("it fails");
        disk.sync(log).expect_err("it fails");
        disk.checkpoint(log, Checkpoint { log_start: Offset(0), high_watermark: Offset(2) });
        disk.remove(log);
        assert_eq!((kept(&mut disk, log).len(), disk.checkpointed(log)), (3, Checkpoint::default()));
        disk.mend();
        disk.fail(DiskFault::ReadErrors);
        let error = LogStore::read(&mut disk, log, EVERYTHING).expect_err("it fails");
        assert_eq!(error.reason, "input/output error");
        disk.find_timestamp(log, Offset(0), 0).expect_err("it fails");
        disk.append(log, batch(3)).expect("it can be written");
    }

    #[test]
    fn slow_syncs_add_up() {
        let (mut disk, log) = disk(MemoryStore::default(), 3);
        let by = Duration::from_millis(5);
        disk.fail(DiskFault::SlowSync { by });
        disk.append(log, batch(3)).expect("it works");
        assert!(!disk.wants_attention(), "an append waits for no disk");
        disk.sync(log).expect("it works");
        disk.save(Slot::Quorum, Bytes::new()).expect("it works");
        assert!(disk.wants_attention());
        assert_eq!((disk.take_owed(), disk.take_owed()), (2 * by, Duration::ZERO));
        assert!(!disk.wants_attention());
    }

    #[test]
    fn damage_strikes_one_disk_of_those_that_share_their_batches() {
        let budget = Rc::new(RefCell::new(Budget::new(u64::MAX)));
        let (mut other, followed) = disk(SpillingStore::new(Rc::clone(&budget)), 0);
        let (mut disk, log) = disk(SpillingStore::new(Rc::clone(&budget)), 0);
        for base in 0..4 {
            let batch = batch(base);
            disk.append(log, batch.clone()).expect("it works");
            other.append(followed, batch).expect("it works");
        }
        let strike = |damage| disk.damage(LogName::Metadata, damage).expect("it works");
        assert!(strike(Damage::FlippedBit { offset: 1 }));
        assert_eq!(kept(&mut disk.clone(), log), [(0, true), (1, false), (2, true), (3, true)]);
        assert!(strike(Damage::LostBatches { from: 0, below: 1 }));
        assert!(strike(Damage::TornTail { bytes: 3 }));
        assert_eq!(kept(&mut disk.clone(), log), [(1, false), (2, true), (3, false)]);
        assert!(!strike(Damage::FlippedBit { offset: 4 }) && !strike(Damage::LostBatches { from: 4, below: 9 }));
        disk.lose_power();
        assert_eq!(kept(&mut disk, log).len(), 3, "what lies behind the damage counts as synced");
        assert!(disk.damage(LogName::Metadata, Damage::LostLog).expect("it works"));
        assert!(!disk.damage(LogName::Metadata, Damage::LostLog).expect("there is none"));
        assert_eq!(kept(&mut other, followed), [(0, true), (1, true), (2, true), (3, true)]);
    }
}
