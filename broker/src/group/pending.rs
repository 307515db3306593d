//! What a coordinator wrote and what waits for it to be committed.
//!
//! Writes of a partition are queued in log order. Once the high watermark has passed one, its changes are applied and then
//! whoever waits for it is answered: whatever a client was told, the next coordinator knows too. The queue belongs to the
//! partition, not to the clients: what is in the log is applied even if the client that asked for it has gone.
//!
//! A write that fails at once changes nothing. One that is not committed in time is answered with an error, but stays in the
//! queue: it may be committed yet.

use super::changes::{self, Change};
use super::loading::{self, Loading};
use super::rebalance;
use crate::api::{Call, Effect, delete_groups};
use crate::batch::build::BatchBuilder;
use crate::io::RequestToken;
use crate::node::Node;
use crate::purgatory::{WaitId, Waiting, Wake};
use crate::timers::Timer;
use crate::types::{Now, Offset, PartitionId};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{DeleteGroupsResponse, ResponseKind};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, VecDeque};

/// `offsets.commit.timeout.ms`, Kafka's default.
const WRITE_TIMEOUT_MS: i64 = 5000;

/// What a node keeps for a partition of `__consumer_offsets` that it leads.
#[derive(Debug)]
pub(crate) struct Shard {
    /// What has been read so far, until everything has been.
    pub(super) loading: Option<Loading>,
    /// Writes that are not committed yet, in log order.
    writes: VecDeque<Write>,
    /// The queue's place among those who wait for the high watermark, while there is anything to wait for.
    wait: Option<WaitId>,
}

impl Shard {
    /// A partition that is being read.
    pub(super) fn new(loading: Loading) -> Self {
        Self { loading: Some(loading), writes: VecDeque::new(), wait: None }
    }

    /// Whether its groups are known.
    pub(crate) fn is_loaded(&self) -> bool {
        self.loading.is_none()
    }

    /// Whether a generation of the group is on its way into the log.
    pub(crate) fn stores(&self, name: &StrBytes) -> bool {
        self.uncommitted().any(|change| matches!(change, Change::Group { group, .. } if group == name))
    }

    /// The changes that are in the log and not committed, oldest first.
    pub(crate) fn uncommitted(&self) -> impl Iterator<Item = &Change> {
        self.writes.iter().flat_map(|write| &write.changes)
    }

    /// Whether this assignment of a group's leader is on its way into the log.
    pub(crate) fn assigns(&self, name: &StrBytes, asked: i32) -> bool {
        let is_it =
            |then: &Then| matches!(then, Then::Assigned { group, generation } if group == name && *generation == asked);
        self.writes.iter().any(|write| is_it(&write.then))
    }
}

/// Some records that were appended together.
#[derive(Debug)]
struct Write {
    /// What the high watermark has to reach.
    end: Offset,
    changes: Vec<Change>,
    then: Then,
    /// When whoever waits gives up.
    deadline_ns: u64,
}

/// What happens once a write is committed, or cannot be.
#[derive(Debug)]
pub(crate) enum Then {
    /// Nobody waits, or not any more.
    Nothing,
    /// A client is answered; `refuse` makes the answer for an error out of the one for success.
    Reply { token: RequestToken, response: Box<ResponseKind>, refuse: Refuse },
    /// The members of a generation learn what their leader assigned.
    Assigned { group: StrBytes, generation: i32 },
    /// A static member that came back is answered. Who led before it came back is for old clients.
    Replaced { group: StrBytes, member: StrBytes, leader: Option<StrBytes> },
    /// A group of a DeleteGroups request, by the place of its answer.
    Deleted { request: u64, at: usize },
}

/// Makes the answer for an error out of the one for success.
pub(crate) type Refuse = fn(ResponseKind, ResponseError) -> ResponseKind;

/// The queue of a partition, as it waits for the high watermark. It stands for all writes of the partition, so it has no
/// client of its own.
#[derive(Debug, Clone, Copy)]
pub struct WaitingGroup {
    partition: PartitionId,
}

impl WaitingGroup {
    /// The partition whose high watermark it waits for.
    #[must_use]
    pub fn partition(&self) -> PartitionId {
        self.partition
    }
}

/// DeleteGroups requests that wait: their groups may lie in several partitions.
#[derive(Debug, Default)]
pub(crate) struct Deletions {
    pub(crate) waiting: BTreeMap<u64, Deletion>,
    pub(crate) next: u64,
}

/// A DeleteGroups request that waits.
#[derive(Debug)]
pub(crate) struct Deletion {
    pub(crate) token: RequestToken,
    pub(crate) response: DeleteGroupsResponse,
    /// How many groups are not deleted yet.
    pub(crate) left: usize,
}

/// What clients of a coordinator are told where its log says this (`CoordinatorOperationExceptionHelper`).
#[must_use]
pub(crate) fn coordinator_error(error: ResponseError) -> ResponseError {
    match error {
        ResponseError::UnknownTopicOrPartition
        | ResponseError::NotEnoughReplicas
        | ResponseError::NotEnoughReplicasAfterAppend
        | ResponseError::RequestTimedOut => ResponseError::CoordinatorNotAvailable,
        ResponseError::NotLeaderOrFollower | ResponseError::KafkaStorageError => ResponseError::NotCoordinator,
        ResponseError::MessageTooLarge | ResponseError::RecordListTooLarge | ResponseError::InvalidFetchSize => {
            ResponseError::UnknownServerError
        }
        other => other,
    }
}

/// Appends changes; `then` happens once they are committed. Without changes it happens once everything that was written
/// before is committed.
///
/// # Errors
/// As [`coordinator_error`] has them, where nothing was appended.
pub(crate) fn write(
    node: &mut Node,
    now: Now,
    id: PartitionId,
    changes: Vec<Change>,
    then: Then,
) -> Result<(), ResponseError> {
    let end = append(node, now, id, &changes)?;
    queue(node, id, Write { end, changes, then, deadline_ns: now.after_ms(WRITE_TIMEOUT_MS) });
    Ok(())
}

/// As [`write()`], for a request that is answered with `response` then.
pub(crate) fn write_and_reply(
    node: &mut Node,
    call: &Call,
    id: PartitionId,
    changes: Vec<Change>,
    response: ResponseKind,
    refuse: Refuse,
) -> Effect {
    match append(node, call.now, id, &changes) {
        Err(error) => refuse(response, error).into(),
        Ok(end) => {
            let then = Then::Reply { token: call.token, response: Box::new(response), refuse };
            let deadline_ns = call.now.after_ms(WRITE_TIMEOUT_MS);
            queue(node, id, Write { end, changes, then, deadline_ns });
            Effect::Wait
        }
    }
}

/// Where the high watermark has to get to: behind the changes or, without any, behind what was written last.
fn append(node: &mut Node, now: Now, id: PartitionId, changes: &[Change]) -> Result<Offset, ResponseError> {
    let shard = node.groups.shards.get(&id).ok_or(ResponseError::NotCoordinator)?;
    if changes.is_empty() {
        return Ok(shard.writes.back().map(|write| write.end).unwrap_or_default());
    }
    if !changes.iter().all(Change::fits) {
        return Err(ResponseError::UnknownServerError);
    }
    let batch = BatchBuilder::new(now.wall_ms);
    let batch = changes.iter().fold(batch, |batch, change| change.add_to(batch));
    let partition = node.partitions.get_mut(&id).filter(|partition| partition.leads());
    let partition = partition.ok_or(ResponseError::NotCoordinator)?;
    let appended = partition.append_own(&mut *node.store, batch.finish(), now);
    appended.map_err(|refusal| coordinator_error(refusal.error))?;
    Ok(partition.log_end())
}

fn queue(node: &mut Node, id: PartitionId, write: Write) {
    let Some(shard) = node.groups.shards.get_mut(&id) else { return };
    shard.writes.push_back(write);
    arm(node, id);
    // The end of this step looks at the queue again: with one replica everything is committed by then.
    node.moved.push(id);
}

/// The high watermark of a partition of `__consumer_offsets` moved, its writes have waited long enough, or it is not this
/// node's any more.
pub(crate) fn complete(node: &mut Node, now: Now, id: WaitId, wake: Wake) {
    let Some(Waiting::Group(waiting)) = node.purgatory.take(id) else { return };
    node.timers.cancel(&Timer::Wait(id));
    let partition = waiting.partition;
    node.unwatch(id, &Waiting::Group(waiting));
    if let Some(shard) = node.groups.shards.get_mut(&partition) {
        shard.wait = None;
    }
    match wake {
        Wake::Moved => {
            loading::go_on(node, now, partition);
            settle(node, now, partition);
        }
        Wake::TimedOut => expire(node, now, partition),
        // A leader that is elected again has lost nothing: what it wrote may be committed in its new epoch.
        Wake::NotLeader if node.led(&partition).is_some() => {}
        Wake::NotLeader | Wake::Gone => loading::resign(node, now, partition),
    }
    arm(node, partition);
}

/// Applies what is committed, in log order.
fn settle(node: &mut Node, now: Now, id: PartitionId) {
    while let Some(high_watermark) = node.led(&id).map(|partition| partition.high_watermark())
        && let Some(shard) = node.groups.shards.get_mut(&id)
        && shard.writes.front().is_some_and(|write| write.end <= high_watermark)
        && let Some(write) = shard.writes.pop_front()
    {
        for change in write.changes {
            changes::apply(&mut node.groups.groups, change);
        }
        finish(node, now, write.then, Ok(()));
    }
}

/// Tells those who have waited long enough.
fn expire(node: &mut Node, now: Now, id: PartitionId) {
    let Some(shard) = node.groups.shards.get_mut(&id) else { return };
    let late = shard.writes.iter_mut().take_while(|write| write.deadline_ns <= now.monotonic_ns);
    let late: Vec<Then> = late.map(|write| std::mem::replace(&mut write.then, Then::Nothing)).collect();
    for then in late {
        finish(node, now, then, Err(coordinator_error(ResponseError::RequestTimedOut)));
    }
}

/// Takes a partition's queue out of the purgatory and fails what is in it.
pub(super) fn abandon(node: &mut Node, now: Now, shard: Shard) {
    if let Some(wait) = shard.wait
        && let Some(waiting) = node.purgatory.take(wait)
    {
        node.timers.cancel(&Timer::Wait(wait));
        node.unwatch(wait, &waiting);
    }
    for write in shard.writes {
        finish(node, now, write.then, Err(ResponseError::NotCoordinator));
    }
}

fn finish(node: &mut Node, now: Now, then: Then, outcome: Result<(), ResponseError>) {
    match then {
        Then::Nothing => {}
        Then::Reply { token, response, refuse } => {
            let response = match outcome {
                Ok(()) => *response,
                Err(error) => refuse(*response, error),
            };
            node.reply(token, response);
        }
        Then::Assigned { group, generation } => rebalance::assigned(node, now, &group, generation, outcome),
        Then::Replaced { group, member, leader } => rebalance::replaced(node, now, &group, &member, leader, outcome),
        Then::Deleted { request, at } => delete_groups::deleted(node, request, at, outcome),
    }
}

/// Waits for the high watermark if there is anything to wait for, and no longer than the first client does.
pub(super) fn arm(node: &mut Node, id: PartitionId) {
    let Some(shard) = node.groups.shards.get(&id) else { return };
    if shard.is_loaded() && shard.writes.is_empty() {
        return;
    }
    let asked = shard.writes.iter().find(|write| !matches!(write.then, Then::Nothing));
    let deadline = asked.map(|write| write.deadline_ns);
    let wait = shard.wait.unwrap_or_else(|| {
        let wait = node.purgatory.insert(Waiting::Group(WaitingGroup { partition: id }));
        node.watch(wait, &[id]);
        wait
    });
    if let Some(shard) = node.groups.shards.get_mut(&id) {
        shard.wait = Some(wait);
    }
    match deadline {
        Some(at) => node.timers.set(Timer::Wait(wait), at),
        None => node.timers.cancel(&Timer::Wait(wait)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_log_says_becomes_what_clients_of_a_coordinator_understand() {
        for (log, told) in [
            (ResponseError::NotEnoughReplicas, ResponseError::CoordinatorNotAvailable),
            (ResponseError::RequestTimedOut, ResponseError::CoordinatorNotAvailable),
            (ResponseError::NotLeaderOrFollower, ResponseError::NotCoordinator),
            (ResponseError::KafkaStorageError, ResponseError::NotCoordinator),
            (ResponseError::MessageTooLarge, ResponseError::UnknownServerError),
            (ResponseError::InvalidRecord, ResponseError::InvalidRecord),
        ] {
            assert_eq!(coordinator_error(log), told);
        }
    }
}
