//! Committed offsets expire (KIP-211), and groups without offsets and members go.
//!
//! - A group whose members have all left keeps its offsets for `offsets.retention.minutes` from then on.
//! - Consumers that only commit, without ever joining, keep each offset for as long from its commit on.
//! - A stable group of consumers keeps the offsets of topics that a member subscribes to for ever, others for as long
//!   from their commit on. A group that rebalances keeps everything.
//! - An old client that says how long its offset is to be kept is believed, wherever the offset may go at all
//!   (`OffsetExpirationConditionImpl`).
//!
//! Whatever goes goes by tombstones in `__consumer_offsets`, so that every later coordinator agrees. What has a write
//! under way is left alone until the next look (`GroupCoordinatorShard.cleanupExpiredOffsets`).

use super::changes::Change;
use super::partition_of;
use super::pending::{self, Then};
use super::state::{Committed, Group, GroupState};
use crate::node::Node;
use crate::timers::Timer;
use crate::types::{Now, PartitionId, TopicPartition};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeSet;

/// Milliseconds of a minute.
const MINUTE_MS: i64 = 60_000;

/// It is time to look which offsets have expired.
pub(crate) fn on_timer(node: &mut Node, now: Now) {
    let interval_ms = node.config.offsets_retention_check_interval_ms;
    node.timers.set(Timer::OffsetExpiry, now.after_ms(interval_ms));
    let loaded = node.groups.shards.iter().filter(|(_, shard)| shard.is_loaded());
    let loaded: Vec<PartitionId> = loaded.map(|(id, _)| *id).collect();
    for id in loaded {
        for changes in expired_in(node, now, id) {
            // Where they cannot be written the next look tries again.
            pending::write(node, now, id, changes, Then::Nothing).ok();
        }
    }
}

/// What is to be forgotten of each group of a partition.
fn expired_in(node: &Node, now: Now, id: PartitionId) -> Vec<Vec<Change>> {
    let Some(shard) = node.groups.shards.get(&id) else { return Vec::new() };
    let busy: BTreeSet<&StrBytes> = shard.uncommitted().map(Change::group).collect();
    let total = node.config.offsets_partitions;
    let retention_ms = i64::from(node.config.offsets_retention_minutes).saturating_mul(MINUTE_MS);
    let here = node.groups.groups.iter();
    let idle = here.filter(|(name, _)| partition_of(name, total) == id.index && !busy.contains(name));
    idle.map(|(name, group)| forget(name, group, retention_ms, now)).filter(|changes| !changes.is_empty()).collect()
}

/// The tombstones of a group's expired offsets; of the group, too, where nothing is left of it.
fn forget(name: &StrBytes, group: &Group, retention_ms: i64, now: Now) -> Vec<Change> {
    let is_expired = |(partition, committed): &(&TopicPartition, &Committed)| {
        kept_since(group, partition, committed).is_some_and(|since| match committed.expires_ms {
            Some(at) => now.wall_ms >= at,
            None => now.wall_ms.saturating_sub(since) >= retention_ms,
        })
    };
    let expired = group.offsets.iter().filter(is_expired);
    let tombstone = |(partition, _): (&TopicPartition, &Committed)| Change::Offset {
        group: name.clone(),
        partition: partition.clone(),
        committed: None,
    };
    let mut changes: Vec<Change> = expired.map(tombstone).collect();
    let nothing_left = changes.len() == group.offsets.len();
    if nothing_left && group.state == GroupState::Empty && group.pending.is_empty() {
        changes.push(Change::Group { group: name.clone(), stored: None });
    }
    changes
}

/// From when on the time counts after which an offset expires; `None` for one that does not
/// (`ClassicGroup.offsetExpirationCondition`).
fn kept_since(group: &Group, partition: &TopicPartition, committed: &Committed) -> Option<i64> {
    match group.state {
        _ if group.protocol_type.is_none() => Some(committed.committed_ms),
        GroupState::Empty => Some(group.since_ms.unwrap_or(committed.committed_ms)),
        GroupState::Stable if group.knows_subscriptions() && !group.subscribes_to(&partition.topic) => {
            Some(committed.committed_ms)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::Member;
    use super::*;
    use bytes::{BufMut, Bytes, BytesMut};
    use std::collections::BTreeMap;

    const RETENTION_MS: i64 = 1000;

    fn text(text: &'static str) -> StrBytes {
        StrBytes::from_static_str(text)
    }

    /// Offsets of two topics, committed at 500 and at 900.
    fn group(state: GroupState, protocol_type: Option<&'static str>) -> Group {
        let offset = |topic, committed_ms| {
            let metadata = StrBytes::default();
            let committed = Committed { offset: 7, leader_epoch: -1, metadata, committed_ms, expires_ms: None };
            (TopicPartition { topic: text(topic), partition: 0 }, committed)
        };
        let offsets = BTreeMap::from([offset("orders", 500), offset("payments", 900)]);
        Group { state, protocol_type: protocol_type.map(text), since_ms: Some(1200), offsets, ..Group::default() }
    }

    fn member(metadata: Bytes) -> Member {
        Member {
            instance: None,
            client_id: text("app"),
            client_host: text("/127.0.0.1"),
            session_timeout_ms: 6000,
            rebalance_timeout_ms: 3000,
            protocols: vec![(text("range"), metadata)],
            assignment: Bytes::new(),
            joining: None,
            syncing: None,
        }
    }

    fn subscription(topic: &str) -> Bytes {
        let mut metadata = BytesMut::new();
        metadata.put_i16(0);
        metadata.put_i32(1);
        metadata.put_i16(i16::try_from(topic.len()).expect("short"));
        metadata.put_slice(topic.as_bytes());
        metadata.freeze()
    }

    fn stable(protocol_type: &'static str, metadata: Bytes) -> Group {
        let members = BTreeMap::from([(text("a"), member(metadata))]);
        Group { members, protocol: Some(text("range")), ..group(GroupState::Stable, Some(protocol_type)) }
    }

    /// The topics whose offsets are forgotten at an instant, and whether the group is.
    fn forgotten(group: &Group, wall_ms: i64) -> (Vec<String>, bool) {
        let changes = forget(&text("billing"), group, RETENTION_MS, Now { monotonic_ns: 0, wall_ms });
        let topic = |change: &Change| match change {
            Change::Offset { partition, committed: None, .. } => Some(partition.topic.to_string()),
            _ => None,
        };
        let is_group = |change: &Change| matches!(change, Change::Group { stored: None, .. });
        (changes.iter().filter_map(topic).collect(), changes.iter().any(is_group))
    }

    #[test]
    fn who_only_commits_keeps_each_offset_from_its_commit_on() {
        let simple = group(GroupState::Empty, None);
        assert_eq!(forgotten(&simple, 1499), (vec![], false));
        assert_eq!(forgotten(&simple, 1500), (vec![String::from("orders")], false));
        assert_eq!(forgotten(&simple, 1900), (vec![String::from("orders"), String::from("payments")], true));
    }

    #[test]
    fn an_empty_group_keeps_its_offsets_from_when_it_became_empty() {
        let empty = group(GroupState::Empty, Some("consumer"));
        assert_eq!(forgotten(&empty, 2199), (vec![], false));
        assert_eq!(forgotten(&empty, 2200), (vec![String::from("orders"), String::from("payments")], true));
        let unknown = Group { since_ms: None, ..empty };
        assert_eq!(forgotten(&unknown, 1500), (vec![String::from("orders")], false), "by its commits then");
    }

    #[test]
    fn a_stable_group_forgets_only_topics_that_nobody_subscribes_to() {
        let consumers = stable("consumer", subscription("orders"));
        assert_eq!(forgotten(&consumers, i64::MAX), (vec![String::from("payments")], false));
        assert_eq!(forgotten(&consumers, 1899), (vec![], false));
        for group in [stable("connect", subscription("orders")), stable("consumer", Bytes::from_static(b"?"))] {
            assert_eq!(forgotten(&group, i64::MAX), (vec![], false), "nobody knows what its members subscribe to");
        }
        for state in [GroupState::PreparingRebalance, GroupState::CompletingRebalance] {
            let rebalancing = Group { state, ..stable("consumer", subscription("orders")) };
            assert_eq!(forgotten(&rebalancing, i64::MAX), (vec![], false));
        }
    }

    #[test]
    fn an_offset_that_came_with_a_time_goes_by_that_alone() {
        let mut simple = group(GroupState::Empty, None);
        simple.offsets.values_mut().for_each(|committed| committed.expires_ms = Some(committed.committed_ms + 10));
        assert_eq!(forgotten(&simple, 509), (vec![], false));
        assert_eq!(forgotten(&simple, 510), (vec![String::from("orders")], false));
        simple.offsets.values_mut().for_each(|committed| committed.expires_ms = Some(committed.committed_ms + 5000));
        assert_eq!(forgotten(&simple, 5499), (vec![], false), "longer than others are kept");
        let offsets = simple.offsets;
        let consumers = Group { offsets, ..stable("consumer", subscription("orders")) };
        assert_eq!(
            forgotten(&consumers, i64::MAX),
            (vec![String::from("payments")], false),
            "orders are subscribed to"
        );
    }

    #[test]
    fn a_group_without_offsets_goes_unless_somebody_is_about_to_join() {
        let empty = Group { offsets: BTreeMap::new(), ..group(GroupState::Empty, Some("consumer")) };
        assert_eq!(forgotten(&empty, 0), (vec![], true));
        let joining = Group { pending: BTreeSet::from([text("a")]), ..empty };
        assert_eq!(forgotten(&joining, 0), (vec![], false));
    }
}
