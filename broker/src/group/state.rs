//! A classic group and its members: what is, not what happens.

use crate::api::Call;
use crate::types::TopicPartition;
use bytes::Bytes;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, BTreeSet};

/// Where a group is in its life, by Kafka's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupState {
    /// No members; offsets may remain.
    Empty,
    /// Waiting for members to join.
    PreparingRebalance,
    /// Waiting for the leader's assignment.
    CompletingRebalance,
    /// Everybody has an assignment.
    Stable,
}

impl GroupState {
    /// The name in DescribeGroups and ListGroups.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A member.
#[derive(Debug, Clone)]
pub struct Member {
    /// `group.instance.id`, for static members.
    pub instance: Option<StrBytes>,
    /// The client's name for itself.
    pub client_id: StrBytes,
    /// The client's address.
    pub client_host: StrBytes,
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// How long it may take to join again.
    pub rebalance_timeout_ms: i32,
    /// What it can do, best first: protocol name and metadata.
    pub protocols: Vec<(StrBytes, Bytes)>,
    /// What the leader gave it.
    pub assignment: Bytes,
    /// Its JoinGroup that waits for an answer.
    pub joining: Option<Call>,
    /// Its SyncGroup that waits for an answer.
    pub syncing: Option<Call>,
}

impl Member {
    /// Its metadata for a protocol.
    #[must_use]
    pub fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| &**name == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }
}

/// What a group committed for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to consume.
    pub offset: i64,
    /// The leader epoch of the last consumed record, -1 for unknown.
    pub leader_epoch: i32,
    /// The client's own note.
    pub metadata: StrBytes,
}

/// A group.
#[derive(Debug)]
pub struct Group {
    /// Where it is in its life.
    pub state: GroupState,
    /// Counts rebalances.
    pub generation: i32,
    /// `consumer`, `connect`, ...; `None` before the first member.
    pub protocol_type: Option<StrBytes>,
    /// The protocol of this generation.
    pub protocol: Option<StrBytes>,
    /// The member that assigns.
    pub leader: Option<StrBytes>,
    /// Members by id.
    pub members: BTreeMap<StrBytes, Member>,
    /// Ids that were handed out and not yet joined with (KIP-394).
    pub pending: BTreeSet<StrBytes>,
    /// Member ids by instance id.
    pub statics: BTreeMap<StrBytes, StrBytes>,
    /// Committed offsets.
    pub offsets: BTreeMap<TopicPartition, Committed>,
    /// Whether the first rebalance of an empty group is still held open for more members.
    pub initial_delay: bool,
}

impl Default for Group {
    fn default() -> Self {
        Self {
            state: GroupState::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            pending: BTreeSet::new(),
            statics: BTreeMap::new(),
            offsets: BTreeMap::new(),
            initial_delay: false,
        }
    }
}

impl Group {
    /// Whether a member with these protocols could join: of the same type, with a protocol that all others know.
    #[must_use]
    pub fn supports(&self, protocol_type: &str, protocols: &[(StrBytes, Bytes)]) -> bool {
        if self.members.is_empty() {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|(name, _)| self.members.values().all(|member| knows(member, name)))
    }

    /// The protocol that all members know and most like best; the first by name of several.
    #[must_use]
    pub fn elect_protocol(&self) -> Option<StrBytes> {
        let candidate = |name: &StrBytes| self.members.values().all(|member| knows(member, name));
        let mut votes: BTreeMap<&StrBytes, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some((name, _)) = member.protocols.iter().find(|(name, _)| candidate(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.clone())
    }

    /// Whether the members are all there: everybody has joined again and no handed-out id is outstanding.
    #[must_use]
    pub fn all_joined(&self) -> bool {
        self.pending.is_empty() && self.members.values().all(|member| member.joining.is_some())
    }

    /// The longest that any member may take to join again.
    #[must_use]
    pub fn rebalance_timeout_ms(&self) -> i32 {
        self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0)
    }

    /// The members as their leader is told them.
    #[must_use]
    pub fn roster(&self) -> Vec<JoinGroupResponseMember> {
        let protocol = self.protocol.clone().unwrap_or_default();
        let describe = |(id, member): (&StrBytes, &Member)| {
            JoinGroupResponseMember::default()
                .with_member_id(id.clone())
                .with_group_instance_id(member.instance.clone())
                .with_metadata(member.metadata(&protocol))
        };
        self.members.iter().map(describe).collect()
    }

    /// Whether any member of a consumer group subscribes to the topic, by the subscriptions that they sent.
    #[must_use]
    pub fn subscribes_to(&self, topic: &str) -> bool {
        let protocol = self.protocol.clone().unwrap_or_default();
        self.protocol_type.as_deref() == Some("consumer")
            && self.members.values().any(|member| subscription_names(&member.metadata(&protocol), topic))
    }
}

fn knows(member: &Member, protocol: &StrBytes) -> bool {
    member.protocols.iter().any(|(name, _)| name == protocol)
}

/// Whether a `ConsumerProtocolSubscription` lists a topic: a version, then the topics.
fn subscription_names(metadata: &[u8], topic: &str) -> bool {
    let Some((count, mut left)) = metadata.get(2..).and_then(|left| left.split_first_chunk::<4>()) else {
        return false;
    };
    for _ in 0..i32::from_be_bytes(*count) {
        let Some((length, rest)) = left.split_first_chunk::<2>() else {
            return false;
        };
        let length = usize::try_from(i16::from_be_bytes(*length)).unwrap_or(0);
        let Some((name, rest)) = rest.split_at_checked(length) else {
            return false;
        };
        if name == topic.as_bytes() {
            return true;
        }
        left = rest;
    }
    false
}
