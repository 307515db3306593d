//! Guards of what was made over HTTP, by number: they live until they are asked to end, or with the server.

use super::routes::Refusal;
use axum::http::StatusCode;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Guards of one kind.
pub(super) struct Held<T> {
    /// What one of them is called.
    kind: &'static str,
    table: Mutex<Table<T>>,
}

struct Table<T> {
    last: u64,
    guards: BTreeMap<u64, Arc<T>>,
}

impl<T> Held<T> {
    pub(super) fn new(kind: &'static str) -> Self {
        Self { kind, table: Mutex::new(Table { last: 0, guards: BTreeMap::new() }) }
    }

    /// A panic elsewhere leaves the table as it is: it is changed in one step.
    fn lock(&self) -> MutexGuard<'_, Table<T>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a guard; its number, from 1.
    pub(super) fn add(&self, guard: T) -> u64 {
        let mut table = self.lock();
        table.last += 1;
        let id = table.last;
        table.guards.insert(id, Arc::new(guard));
        id
    }

    pub(super) fn get(&self, id: u64) -> Result<Arc<T>, Refusal> {
        self.lock().guards.get(&id).cloned().ok_or_else(|| self.unknown(id))
    }

    pub(super) fn remove(&self, id: u64) -> Result<Arc<T>, Refusal> {
        self.lock().guards.remove(&id).ok_or_else(|| self.unknown(id))
    }

    /// Ends all of them, in this way and by dropping them: a request that looks at one may have it still. Not while the table
    /// is locked: an end waits for the cluster.
    pub(super) fn end_all(&self, end: impl Fn(&T)) {
        let all = std::mem::take(&mut self.lock().guards);
        all.values().for_each(|guard| end(guard));
    }

    fn unknown(&self, id: u64) -> Refusal {
        let kind = self.kind;
        Refusal(StatusCode::NOT_FOUND, format!("there is no {kind} {id}: it has ended, or was never made"))
    }
}
