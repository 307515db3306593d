//! Random histories of what a node does to its logs: in files as in memory, and a process that ends at any of their changes.

use super::tests::{batch, note, open};
use super::*;
use shakedown_broker::MemoryStore;
use shakedown_broker::batch::header;
use shakedown_broker::types::PartitionId;
use uuid::Uuid;

/// What a node does to its logs, each step as the core takes it.
#[derive(Debug, Clone, Copy)]
enum Step {
    Append {
        log: usize,
        records: i64,
    },
    Truncate {
        log: usize,
        back: i64,
    },
    Begin {
        log: usize,
        ahead: i64,
    },
    Restart {
        log: usize,
        ahead: i64,
    },
    Commit {
        log: usize,
        ahead: i64,
    },
    Sync {
        log: usize,
    },
    Save {
        state: u8,
    },
    Remove {
        log: usize,
    },
    /// Keeps every other batch of a range, as compaction does.
    Replace {
        log: usize,
        from: i64,
        count: i64,
    },
    LosePower,
    Reopen,
}

const LOGS: [LogName; 2] = [LogName::Metadata, LogName::Partition(PartitionId { topic: Uuid::nil(), index: 4 })];

/// A linear congruential generator mixes well enough what is done.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn number(&mut self, bound: u64) -> i64 {
        i64::try_from(self.below(bound)).expect("small")
    }

    fn step(&mut self, reopens: bool) -> Step {
        let log = usize::try_from(self.below(LOGS.len() as u64)).expect("small");
        match self.below(100) {
            0..50 => Step::Append { log, records: 1 + self.number(4) },
            50..58 => Step::Truncate { log, back: self.number(12) },
            58..64 => Step::Begin { log, ahead: self.number(15) },
            64..66 => Step::Restart { log, ahead: self.number(5) },
            66..78 => Step::Commit { log, ahead: self.number(6) },
            78..85 => Step::Sync { log },
            85..89 => Step::Save { state: u8::try_from(self.below(256)).expect("small") },
            // The log of the quorum is never removed.
            89..90 => Step::Remove { log: 1 },
            90..95 => Step::Replace { log, from: self.number(20), count: self.number(20) },
            95..97 if reopens => Step::LosePower,
            97..100 if reopens => Step::Reopen,
            _ => Step::Append { log, records: 1 },
        }
    }
}

/// Where a log begins, ends, and is committed to.
fn bounds(store: &mut dyn LogStore, log: LogId) -> (i64, i64, i64) {
    let Checkpoint { log_start, high_watermark } = store.checkpointed(log);
    let last = store.max_timestamp(log).map(|(_, base)| {
        let limits = ReadLimits { from: base, ..EVERYTHING };
        let read = store.read(log, limits).expect("it can be read");
        read.last().and_then(|batch| header::BatchHeader::read(batch)).map_or(0, |header| header.last_offset().0 + 1)
    });
    (log_start.0, last.unwrap_or(log_start.0).max(log_start.0), high_watermark.0)
}

/// Takes a step whose bounds were looked up beforehand: after a crash nothing can be.
fn take(store: &mut dyn LogStore, step: Step, known: &Known) -> Result<(), StorageError> {
    let Known { bounds: known, batches } = known;
    let id = |store: &mut dyn LogStore, log: usize| store.open(LOGS[log]);
    match step {
        Step::Append { log, records } => {
            let id = id(store, log);
            store.append(id, batch(known[log].1, records))
        }
        Step::Truncate { log, back } => {
            let id = id(store, log);
            let (start, end, committed) = known[log];
            let to = (end - back).max(start);
            store.truncate(id, Offset(to))?;
            note(store, id, start, committed.min(to));
            Ok(())
        }
        Step::Begin { log, ahead } => {
            let id = id(store, log);
            let (start, end, committed) = known[log];
            let to = (start + ahead).min(end);
            store.remove_before(id, Offset(to));
            note(store, id, to, committed.max(to));
            Ok(())
        }
        Step::Restart { log, ahead } => {
            let id = id(store, log);
            let to = known[log].1 + ahead;
            store.truncate(id, Offset(0))?;
            note(store, id, to, to);
            Ok(())
        }
        Step::Commit { log, ahead } => {
            let id = id(store, log);
            let (start, end, committed) = known[log];
            note(store, id, start, (committed + ahead).min(end).max(committed));
            Ok(())
        }
        Step::Sync { log } => {
            let id = id(store, log);
            store.sync(id)
        }
        Step::Save { state } => store.save(Slot::Quorum, Bytes::from(vec![state; 8])),
        Step::Remove { log } => {
            let id = id(store, log);
            store.remove(id);
            Ok(())
        }
        Step::Replace { log, from, count } => {
            let id = id(store, log);
            let from = known[log].0 + from;
            let range = Offset(from)..Offset(from + count);
            let within = batches[log].iter().filter(|batch| batch.base >= range.start && batch.last < range.end);
            store.replace(id, range.clone(), within.step_by(2).cloned().collect())?;
            // How much of what lies behind is synced with it is a store's own affair.
            store.sync(id)
        }
        Step::LosePower => {
            store.lose_power();
            Ok(())
        }
        Step::Reopen => Ok(()),
    }
}

/// What a step goes by.
#[derive(Debug, Clone)]
struct Known {
    /// Where each log begins, ends, and is committed to.
    bounds: [(i64, i64, i64); 2],
    batches: [Vec<StoredBatch>; 2],
}

fn known(store: &mut dyn LogStore) -> Known {
    let logs = LOGS.map(|name| store.open(name));
    let stored = |bytes: Bytes| {
        let header = header::BatchHeader::read(&bytes).expect("a whole header");
        let (base, last) = (header.base_offset, header.last_offset());
        StoredBatch { base, last, max_timestamp: header.max_timestamp, bytes }
    };
    Known {
        bounds: logs.map(|log| bounds(store, log)),
        batches: logs.map(|log| store.read(log, EVERYTHING).expect("it can be read").into_iter().map(stored).collect()),
    }
}

/// Everything that a store answers.
#[derive(Debug, Clone, PartialEq)]
struct Answers {
    batches: [Vec<Bytes>; 2],
    sizes: [u64; 2],
    checkpoints: [Checkpoint; 2],
    state: Option<Bytes>,
}

fn answers(store: &mut dyn LogStore) -> Answers {
    let ids = LOGS.map(|name| store.open(name));
    Answers {
        batches: ids.map(|log| store.read(log, EVERYTHING).expect("it can be read")),
        sizes: ids.map(|log| store.size(log)),
        checkpoints: ids.map(|log| store.checkpointed(log)),
        state: store.load(Slot::Quorum),
    }
}

#[test]
fn it_answers_like_memory_whatever_is_done_to_it() {
    for seed in 1..=6 {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (mut store, mut model) = (open(folder.path()), MemoryStore::default());
        let mut chance = Chance(seed);
        for number in 0..400 {
            let step = chance.step(true);
            let known = known(&mut model);
            take(&mut model, step, &known).expect("memory");
            take(&mut store, step, &known).expect("a disk");
            if matches!(step, Step::Reopen) {
                drop(store);
                store = open(folder.path());
                // What is found on a disk is synced before anybody relies on it.
                for name in LOGS {
                    let log = model.open(name);
                    model.sync(log).expect("memory");
                }
            }
            assert_eq!(answers(&mut store), answers(&mut model), "seed {seed}, step {number}: {step:?}");
        }
    }
}

/// The process ends at every change that a history makes to its folder; whatever step it was in has happened or has not.
#[test]
fn a_process_may_end_at_any_change() {
    for seed in 1..=3 {
        let mut chance = Chance(seed);
        let steps: Vec<Step> = (0..40).map(|_| chance.step(false)).collect();
        let mut changes = 0;
        while lives_through(&steps, changes, seed) {
            changes += 1;
        }
        assert!(changes > 60, "only {changes} changes");
    }
}

/// Whether the history ended before so many changes did; if it did not, what is found is sound.
fn lives_through(steps: &[Step], changes: u64, seed: u64) -> bool {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut store, mut model) = (open(folder.path()), MemoryStore::default());
    answers(&mut store);
    store.drive.io.fuse.set(changes);
    for (number, step) in steps.iter().enumerate() {
        let known = known(&mut model);
        let before = answers(&mut model);
        take(&mut model, *step, &known).expect("memory");
        let after = answers(&mut model);
        let taken = take(&mut store, *step, &known);
        if store.drive.io.fuse.has_blown() {
            drop(store);
            let mut found = open(folder.path());
            let place = format!("seed {seed}, {changes} changes, step {number}: {step:?} -> {taken:?}");
            check_found(&mut found, &before, &after, &place);
            return true;
        }
        taken.expect("the process lives");
    }
    assert!(store.drive.io.fuse.left().is_some());
    false
}

/// The store is as it was before or after, each log, checkpoint and slot; of a log that was being cut a part may be left.
fn check_found(store: &mut FileStore, before: &Answers, after: &Answers, place: &str) {
    let found = answers(store);
    assert!([&before.state, &after.state].contains(&&found.state), "{place}");
    for (nth, name) in LOGS.into_iter().enumerate() {
        let (was, is, has) = (&before.batches[nth], &after.batches[nth], &found.batches[nth]);
        let between = was.starts_with(has) && has.starts_with(is);
        assert!(has == was || has == is || between, "{place}: {} of {} or {}", has.len(), was.len(), is.len());
        let checkpoint = &found.checkpoints[nth];
        assert!([&before.checkpoints[nth], &after.checkpoints[nth]].contains(&checkpoint), "{place}: {checkpoint:?}");
        // And it goes on.
        let log = store.open(name);
        let (_, end, _) = bounds(store, log);
        store.append(log, batch(end, 1)).expect("room");
        assert_eq!(store.read(log, EVERYTHING).expect("it can be read").len(), has.len() + 1, "{place}");
    }
}
