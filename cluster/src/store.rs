//! Batches in memory up to a budget, and beyond it in a temporary file that has no name and goes with the process.
//!
//! The oldest batches of the cluster move first. Their places stay in memory, their bytes are read back by position.
//! Replicas of a batch share its bytes, in memory and in the file: see [`budget`].

mod budget;

pub use self::budget::Budget;

use self::budget::Kept;
use bytes::Bytes;
use shakedown_broker::log::store::logs::{Entry, Logs};
use shakedown_broker::log::store::{Checkpoint, LogId, LogName, LogStore, ReadLimits, Slot, StorageError, StoredBatch};
use shakedown_broker::types::Offset;
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

/// The logs of one node. Power loss is an exercise here as it is in memory: the file goes with the process anyway.
#[derive(Debug)]
pub struct SpillingStore {
    budget: Rc<RefCell<Budget>>,
    logs: Logs<Kept>,
}

impl SpillingStore {
    /// A store of a node, within the budget of its cluster.
    #[must_use]
    pub fn new(budget: Rc<RefCell<Budget>>) -> Self {
        Self { budget, logs: Logs::default() }
    }

    fn keep(&self, log: LogId, batch: StoredBatch) -> Result<Entry<Kept>, StorageError> {
        let StoredBatch { base, last, max_timestamp, bytes } = batch;
        let size = bytes.len();
        let body = self.budget.borrow_mut().keep(bytes);
        let body = body.ok_or_else(|| StorageError { log, reason: format!("no place for {size} bytes") })?;
        Ok(Entry { base, last, max_timestamp, body })
    }

    fn release(&self, batches: &[Kept]) {
        let mut budget = self.budget.borrow_mut();
        batches.iter().for_each(|batch| budget.release(batch));
    }
}

impl Drop for SpillingStore {
    fn drop(&mut self) {
        // The last store takes the budget with it, and with that everything at once.
        if Rc::strong_count(&self.budget) > 1 {
            for name in self.logs.names() {
                let log = self.logs.open(name);
                let removed = self.logs.remove(log);
                self.release(&removed);
            }
        }
    }
}

fn failed(log: LogId, error: &std::io::Error) -> StorageError {
    StorageError { log, reason: error.to_string() }
}

impl LogStore for SpillingStore {
    fn open(&mut self, name: LogName) -> LogId {
        self.logs.open(name)
    }

    fn names(&self) -> Vec<LogName> {
        self.logs.names()
    }

    fn remove(&mut self, log: LogId) {
        let removed = self.logs.remove(log);
        self.release(&removed);
    }

    fn append(&mut self, log: LogId, batch: StoredBatch) -> Result<(), StorageError> {
        let entry = self.keep(log, batch)?;
        self.logs.append(log, entry);
        Ok(())
    }

    fn read(&mut self, log: LogId, limits: ReadLimits) -> Result<Vec<Bytes>, StorageError> {
        let selected = self.logs.select(log, limits);
        let mut budget = self.budget.borrow_mut();
        let mut taken = Vec::with_capacity(selected.len());
        for entry in selected {
            taken.push(budget.bytes(&entry.body).map_err(|error| failed(log, &error))?);
        }
        Ok(taken)
    }

    fn find_timestamp(&mut self, log: LogId, from: Offset, timestamp_ms: i64) -> Result<Option<Bytes>, StorageError> {
        let found = self.logs.find_timestamp(log, from, timestamp_ms);
        let bytes = found.map(|entry| self.budget.borrow_mut().bytes(&entry.body));
        bytes.transpose().map_err(|error| failed(log, &error))
    }

    fn max_timestamp(&self, log: LogId) -> Option<(i64, Offset)> {
        self.logs.max_timestamp(log)
    }

    fn remove_before(&mut self, log: LogId, offset: Offset) {
        let removed = self.logs.remove_before(log, offset);
        self.release(&removed);
    }

    fn truncate(&mut self, log: LogId, end: Offset) -> Result<(), StorageError> {
        let removed = self.logs.truncate(log, end);
        self.release(&removed);
        Ok(())
    }

    fn replace(&mut self, log: LogId, range: Range<Offset>, batches: Vec<StoredBatch>) -> Result<(), StorageError> {
        let mut entries = Vec::with_capacity(batches.len());
        for batch in batches {
            match self.keep(log, batch) {
                Ok(entry) => entries.push(entry),
                Err(error) => {
                    entries.iter().for_each(|entry| self.budget.borrow_mut().release(&entry.body));
                    return Err(error);
                }
            }
        }
        let removed = self.logs.replace(log, range, entries);
        self.release(&removed);
        Ok(())
    }

    fn size(&self, log: LogId) -> u64 {
        self.logs.size(log)
    }

    fn sync(&mut self, log: LogId) -> Result<(), StorageError> {
        self.logs.sync(log);
        Ok(())
    }

    fn save(&mut self, slot: Slot, state: Bytes) -> Result<(), StorageError> {
        self.logs.save(slot, state);
        Ok(())
    }

    fn load(&self, slot: Slot) -> Option<Bytes> {
        self.logs.load(slot)
    }

    fn checkpoint(&mut self, log: LogId, checkpoint: Checkpoint) {
        self.logs.checkpoint(log, checkpoint);
    }

    fn checkpointed(&self, log: LogId) -> Checkpoint {
        self.logs.checkpointed(log)
    }

    fn lose_power(&mut self) {
        let lost = self.logs.lose_power();
        self.release(&lost);
    }
}

#[cfg(test)]
mod tests {
    use super::budget::{MEMORY_MIN, SPILL_BYTES};
    use super::*;
    use shakedown_broker::MemoryStore;

    const SIZE: usize = 100_000;

    /// How far above its limit memory may get: by one batch.
    const LIMIT: u64 = MEMORY_MIN + SIZE as u64;

    /// Stores of one cluster with the smallest budget, or one that nothing exceeds.
    fn stores<const N: usize>(allowed: u64) -> (Rc<RefCell<Budget>>, [(SpillingStore, LogId); N]) {
        let budget = Rc::new(RefCell::new(Budget::new(allowed)));
        let stores = [(); N].map(|()| {
            let mut store = SpillingStore::new(Rc::clone(&budget));
            let log = store.open(LogName::Metadata);
            (store, log)
        });
        (budget, stores)
    }

    fn batch(n: i64) -> StoredBatch {
        let bytes = Bytes::from(vec![u8::try_from(n % 251).expect("below 251"); SIZE]);
        StoredBatch { base: Offset(n), last: Offset(n), max_timestamp: n, bytes }
    }

    fn everything(from: i64) -> ReadLimits {
        ReadLimits { from: Offset(from), below: Offset(i64::MAX), max_bytes: usize::MAX, at_least_one: true }
    }

    /// The first byte of each batch; all others have to equal it.
    fn contents(store: &mut SpillingStore, log: LogId) -> Vec<i64> {
        let batches = store.read(log, everything(0)).expect("all is there");
        let content = |bytes: &Bytes| {
            assert!(bytes.len() == SIZE && bytes.iter().all(|byte| *byte == bytes[0]));
            i64::from(bytes[0])
        };
        batches.iter().map(content).collect()
    }

    #[test]
    fn what_moved_to_the_file_reads_back_and_memory_stays_within_the_budget() {
        let (budget, [(mut store, first)]) = stores(0);
        let second = store
            .open(LogName::Partition(shakedown_broker::types::PartitionId { topic: Default::default(), index: 0 }));
        for n in 0..200 {
            let log = if n % 2 == 0 { first } else { second };
            store.append(log, batch(n)).expect("a temporary file has room");
            assert!(budget.borrow().spread().0 <= LIMIT);
        }
        assert!(budget.borrow().spread().1 > 15 * SPILL_BYTES as u64);
        for (log, parity) in [(first, 0), (second, 1)] {
            assert_eq!(contents(&mut store, log), (0..100).map(|nth| 2 * nth + parity).collect::<Vec<_>>());
            assert!(budget.borrow().spread().0 <= LIMIT, "what is read back is within the budget, too");
            budget.borrow().check();
        }
    }

    #[test]
    fn three_replicas_cost_one_in_memory_and_in_the_file() {
        let (budget, mut replicas) = stores::<3>(0);
        for n in 0..100_u32 {
            let batch = batch(n.into());
            for (store, log) in &mut replicas {
                store.append(*log, batch.clone()).expect("a temporary file has room");
            }
            let (in_memory, in_file) = budget.borrow().spread();
            assert!(in_memory <= LIMIT);
            assert_eq!(in_memory + in_file, u64::from(n + 1) * SIZE as u64, "every batch is there once");
        }
        for (store, log) in &mut replicas {
            assert_eq!(contents(store, *log), (0..100).collect::<Vec<_>>());
        }
        assert!(budget.borrow().spread().1 <= 100 * SIZE as u64, "what the file has is not written again");
        budget.borrow().check();
    }

    #[test]
    fn a_follower_that_catches_up_from_the_file_shares_what_its_leader_reads() {
        let (budget, [(mut leader, led), (mut follower, followed)]) = stores(0);
        for n in 0..100 {
            leader.append(led, batch(n)).expect("a temporary file has room");
        }
        for n in 0..100 {
            let limits = ReadLimits { max_bytes: 1, ..everything(n) };
            let read = leader.read(led, limits).expect("all is there");
            let [bytes] = &read[..] else { panic!("one batch") };
            follower.append(followed, StoredBatch { bytes: bytes.clone(), ..batch(n) }).expect("it is there already");
        }
        let (in_memory, in_file) = budget.borrow().spread();
        assert!(in_memory <= LIMIT && in_file <= 100 * SIZE as u64);
        assert_eq!(contents(&mut follower, followed), (0..100).collect::<Vec<_>>());
        budget.borrow().check();
    }

    #[test]
    fn a_batch_stays_until_its_last_replica_is_gone() {
        let (budget, [(mut leader, led), (mut follower, followed)]) = stores(u64::MAX);
        for n in 0..4 {
            let batch = batch(n);
            leader.append(led, batch.clone()).expect("memory");
            follower.append(followed, batch).expect("memory");
        }
        leader.remove(led);
        assert_eq!(budget.borrow().spread(), (4 * SIZE as u64, 0));
        follower.truncate(followed, Offset(3)).expect("memory");
        follower.remove_before(followed, Offset(1));
        assert_eq!(contents(&mut follower, followed), [1, 2]);
        assert_eq!((budget.borrow().spread().0, follower.size(followed)), (2 * SIZE as u64, 2 * SIZE as u64));
        budget.borrow().check();
        drop(follower);
        assert_eq!(budget.borrow().spread(), (0, 0));
        budget.borrow().check();
    }

    #[test]
    fn an_address_that_is_used_again_is_another_batch() {
        let (budget, [(mut store, log)]) = stores(0);
        let mut offset = 0;
        // The allocator hands the same places out again and again; what went to the file must not answer for them.
        for round in 0..20 {
            for _ in 0..5 {
                store.append(log, batch(offset)).expect("a temporary file has room");
                offset += 1;
            }
            if round % 4 == 3 {
                store.truncate(log, Offset(offset - 3)).expect("memory");
                offset -= 3;
            }
            budget.borrow().check();
        }
        assert_eq!(contents(&mut store, log), (0..offset).collect::<Vec<_>>());
    }

    #[test]
    fn removing_a_log_gives_its_memory_back() {
        let (budget, [(mut store, log)]) = stores(u64::MAX);
        store.append(log, batch(1)).expect("memory");
        store.remove(log);
        assert_eq!(budget.borrow().spread(), (0, 0));
        assert!(store.names().is_empty());
        let again = store.open(LogName::Metadata);
        assert_ne!(again, log);
        assert!(contents(&mut store, again).is_empty());
    }

    #[test]
    fn a_log_that_lost_its_beginning_spills_and_reads_the_rest() {
        let (budget, [(mut store, log)]) = stores(0);
        for n in 0..15 {
            store.append(log, batch(n)).expect("a temporary file has room");
        }
        store.remove_before(log, Offset(10));
        assert_eq!((budget.borrow().spread().0, store.size(log)), (5 * SIZE as u64, 5 * SIZE as u64));
        for n in 15..60 {
            store.append(log, batch(n)).expect("a temporary file has room");
        }
        assert!(budget.borrow().spread().1 > 2 * SPILL_BYTES as u64);
        assert_eq!(contents(&mut store, log), (10..60).collect::<Vec<_>>());
        let found = store.find_timestamp(log, Offset(30), 0).expect("all is there").expect("it is there");
        assert_eq!(found[0], 30);
    }

    #[test]
    fn power_loss_takes_what_was_not_synced_wherever_it_is() {
        let (budget, [(mut store, log)]) = stores(0);
        for n in 0..60 {
            store.append(log, batch(n)).expect("a temporary file has room");
            if n == 49 {
                store.sync(log).expect("memory");
            }
        }
        store.lose_power();
        assert_eq!(contents(&mut store, log), (0..50).collect::<Vec<_>>());
        store.truncate(log, Offset(5)).expect("memory");
        store.append(log, batch(5)).expect("a temporary file has room");
        store.lose_power();
        assert_eq!(contents(&mut store, log), (0..5).collect::<Vec<_>>());
        budget.borrow().check();
    }

    /// Does one thing of many to a log whose timestamps are its offsets.
    fn act(store: &mut dyn LogStore, log: LogId, action: u64, bytes: &Bytes) {
        let end = store.max_timestamp(log).map_or(0, |(last, _)| last + 1);
        let batch = StoredBatch { base: Offset(end), last: Offset(end), max_timestamp: end, bytes: bytes.clone() };
        match action {
            0..80 => store.append(log, batch).expect("a temporary file has room"),
            80..85 => store.truncate(log, Offset(end - 3)).expect("memory"),
            85..88 => store.remove_before(log, Offset(end - 50)),
            88..90 if end > 30 => {
                let range = Offset(end - 30)..Offset(end - 10);
                let batch = StoredBatch { base: range.start, last: range.start, max_timestamp: end - 30, ..batch };
                store.replace(log, range, vec![batch]).expect("a temporary file has room");
            }
            90..98 => store.sync(log).expect("memory"),
            _ => store.lose_power(),
        }
    }

    #[test]
    fn whatever_is_done_to_it_reads_like_memory() {
        let (budget, mut replicas) = stores::<3>(0);
        let mut models = [(); 3].map(|()| MemoryStore::default());
        let model_log = models.each_mut().map(|model| model.open(LogName::Metadata))[0];
        // A linear congruential generator mixes well enough what is done.
        let mut state = 1_u64;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for step in 0..3000 {
            let (action, only, bytes) = (draw(100), draw(3), batch(step).bytes);
            for (((store, log), model), nth) in replicas.iter_mut().zip(&mut models).zip(0..) {
                // All replicas get what is appended; everything else happens to one of them.
                if action < 80 || nth == only {
                    act(store, *log, action, &bytes);
                    act(model, model_log, action, &bytes);
                }
                assert_eq!(store.size(*log), model.size(model_log));
            }
            if step % 50 == 0 {
                for ((store, log), model) in replicas.iter_mut().zip(&mut models) {
                    let read = store.read(*log, everything(0)).expect("all is there");
                    assert!(read == model.read(model_log, everything(0)).expect("memory"), "step {step}");
                }
                budget.borrow().check();
            }
            assert!(budget.borrow().spread().0 <= LIMIT);
        }
        assert!(budget.borrow().spread().1 > 20 * MEMORY_MIN);
    }

    #[test]
    fn a_file_that_takes_nothing_costs_the_budget_but_no_batch() {
        let (budget, [(mut store, log)]) = stores(0);
        budget.borrow_mut().break_file().expect("a device that every system has");
        for n in 0..60 {
            store.append(log, batch(n)).expect("memory");
        }
        assert_eq!(budget.borrow().spread(), (60 * SIZE as u64, 0));
        assert_eq!(contents(&mut store, log), (0..60).collect::<Vec<_>>());
        budget.borrow().check();
    }
}
