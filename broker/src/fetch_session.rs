//! Incremental fetch sessions (KIP-227): a client names its partitions once, then only what changed, and is answered
//! only where something is new.
//!
//! Owns the sessions and their epochs; reading partitions belongs to `api/fetch.rs`.

use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A partition as a client asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchTarget {
    /// The topic's name; empty where a topic id is unknown.
    pub topic: StrBytes,
    /// The topic's id; nil where a name is unknown.
    pub topic_id: Uuid,
    /// The partition's index.
    pub partition: i32,
    /// The first offset that the client wants.
    pub offset: i64,
    /// Most bytes from this partition.
    pub max_bytes: i32,
    /// The epoch that the client believes in, -1 for none.
    pub leader_epoch: i32,
    /// The epoch of the last record that the client has, -1 for none.
    pub last_epoch: i32,
}

impl FetchTarget {
    fn is_same_partition(&self, other: &Self) -> bool {
        self.partition == other.partition && self.topic_id == other.topic_id && self.topic == other.topic
    }
}

/// What the client was told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// High watermark.
    pub high_watermark: i64,
    /// Log start offset.
    pub log_start_offset: i64,
}

#[derive(Debug)]
struct Session {
    epoch: i32,
    targets: Vec<(FetchTarget, Option<Told>)>,
}

/// How the session changes what is fetched and answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The session's id, 0 for none.
    pub session_id: i32,
    /// Everything to fetch, in order.
    pub targets: Vec<FetchTarget>,
    /// Whether partitions without news are left out of the answer.
    pub incremental: bool,
}

/// The sessions of a node.
#[derive(Debug)]
pub struct FetchSessions {
    sessions: BTreeMap<i32, Session>,
    next: i32,
    max: usize,
}

/// Epoch of a request that wants no session, or ends the one it names.
const FINAL_EPOCH: i32 = -1;

impl FetchSessions {
    /// At most `max` sessions (`max.incremental.fetch.session.cache.slots`); the oldest makes room.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { sessions: BTreeMap::new(), next: 1, max }
    }

    /// Brings the session up to date with a request and tells what to fetch.
    ///
    /// # Errors
    /// `FETCH_SESSION_ID_NOT_FOUND` and `INVALID_FETCH_SESSION_EPOCH`, upon which a client starts anew.
    pub fn resolve(
        &mut self,
        session_id: i32,
        epoch: i32,
        named: Vec<FetchTarget>,
        forgotten: &[FetchTarget],
    ) -> Result<Resolved, ResponseError> {
        if epoch == FINAL_EPOCH || epoch == 0 {
            self.sessions.remove(&session_id);
            let new = if epoch == 0 && self.max > 0 { self.open(&named) } else { 0 };
            return Ok(Resolved { session_id: new, targets: named, incremental: false });
        }
        let session = self.sessions.get_mut(&session_id).ok_or(ResponseError::FetchSessionIdNotFound)?;
        if session.epoch != epoch {
            return Err(ResponseError::InvalidFetchSessionEpoch);
        }
        session.epoch = if epoch == i32::MAX { 1 } else { epoch + 1 };
        session.targets.retain(|(target, _)| !forgotten.iter().any(|other| target.is_same_partition(other)));
        for target in named {
            match session.targets.iter_mut().find(|(known, _)| known.is_same_partition(&target)) {
                Some((known, _)) => *known = target,
                None => session.targets.push((target, None)),
            }
        }
        let targets = session.targets.iter().map(|(target, _)| target.clone()).collect();
        Ok(Resolved { session_id, targets, incremental: true })
    }

    /// What a session has; nothing for one that there is not.
    pub fn targets(&self, session_id: i32) -> impl Iterator<Item = &FetchTarget> {
        self.sessions.get(&session_id).into_iter().flat_map(|session| session.targets.iter().map(|(target, _)| target))
    }

    /// Whether an answer without records is news to the client, and remembers what it is told.
    pub fn is_news(&mut self, session_id: i32, nth: usize, told: Told) -> bool {
        let Some((_, known)) = self.sessions.get_mut(&session_id).and_then(|session| session.targets.get_mut(nth))
        else {
            return true;
        };
        let news = *known != Some(told);
        *known = Some(told);
        news
    }

    fn open(&mut self, targets: &[FetchTarget]) -> i32 {
        if self.sessions.len() >= self.max {
            self.sessions.pop_first();
        }
        let id = self.next;
        self.next = if id == i32::MAX { 1 } else { id + 1 };
        let targets = targets.iter().map(|target| (target.clone(), None)).collect();
        self.sessions.insert(id, Session { epoch: 1, targets });
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(partition: i32, offset: i64) -> FetchTarget {
        let topic = StrBytes::from_static_str("orders");
        let topic_id = Uuid::from_u128(1);
        FetchTarget { topic, topic_id, partition, offset, max_bytes: 100, leader_epoch: -1, last_epoch: -1 }
    }

    #[test]
    fn a_session_remembers_updates_and_forgets_partitions() {
        let mut sessions = FetchSessions::new(10);
        let first = sessions.resolve(0, 0, vec![target(0, 5), target(1, 7)], &[]).expect("a new session");
        assert!(first.session_id > 0 && !first.incremental);
        let second = sessions.resolve(first.session_id, 1, vec![target(1, 9)], &[target(0, 0)]).expect("its epoch");
        assert_eq!(second.targets, [target(1, 9)]);
        assert!(second.incremental);
        let third = sessions.resolve(first.session_id, 2, vec![], &[]).expect("its epoch");
        assert_eq!(third.targets, [target(1, 9)]);
    }

    #[test]
    fn wrong_sessions_and_epochs_are_told() {
        let mut sessions = FetchSessions::new(1);
        assert_eq!(sessions.resolve(7, 1, vec![], &[]), Err(ResponseError::FetchSessionIdNotFound));
        let id = sessions.resolve(0, 0, vec![target(0, 5)], &[]).expect("a new session").session_id;
        assert_eq!(sessions.resolve(id, 2, vec![], &[]), Err(ResponseError::InvalidFetchSessionEpoch));
        let other = sessions.resolve(0, 0, vec![target(0, 5)], &[]).expect("a new session").session_id;
        assert_ne!(id, other);
        assert_eq!(sessions.resolve(id, 1, vec![], &[]), Err(ResponseError::FetchSessionIdNotFound), "it made room");
    }

    #[test]
    fn only_changes_are_news() {
        let mut sessions = FetchSessions::new(10);
        let id = sessions.resolve(0, 0, vec![target(0, 5)], &[]).expect("a new session").session_id;
        let told = Told { high_watermark: 5, log_start_offset: 0 };
        assert!(sessions.is_news(id, 0, told));
        assert!(!sessions.is_news(id, 0, told));
        assert!(sessions.is_news(id, 0, Told { high_watermark: 6, ..told }));
    }
}
