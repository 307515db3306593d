//! A classic group and its members: what is, not what happens.

use super::group_records::{StoredGroup, StoredMember};
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

    /// The member as it is stored in a generation with this protocol.
    fn to_stored(&self, protocol: &str) -> StoredMember {
        StoredMember {
            instance: self.instance.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            session_timeout_ms: self.session_timeout_ms,
            subscription: self.metadata(protocol),
            assignment: self.assignment.clone(),
        }
    }

    /// A member of a stored generation. Of its protocols only the one that was elected is known.
    fn from_stored(stored: &StoredMember, protocol: &StrBytes) -> Self {
        Self {
            instance: stored.instance.clone(),
            client_id: stored.client_id.clone(),
            client_host: stored.client_host.clone(),
            session_timeout_ms: stored.session_timeout_ms,
            rebalance_timeout_ms: match stored.rebalance_timeout_ms {
                -1 => stored.session_timeout_ms,
                timeout => timeout,
            },
            protocols: vec![(protocol.clone(), stored.subscription.clone())],
            assignment: stored.assignment.clone(),
            joining: None,
            syncing: None,
        }
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
    /// When, by the coordinator's wall clock.
    pub committed_ms: i64,
    /// When it expires, by the same clock, where the client said so: OffsetCommit up to version 4 could.
    pub expires_ms: Option<i64>,
}

/// A group. Its members are what this coordinator knows of them at the moment; its offsets and its stored generation are
/// what the log says up to the high watermark.
#[derive(Debug, Clone)]
pub struct Group {
    /// Where it is in its life.
    pub state: GroupState,
    /// Counts rebalances.
    pub generation: i32,
    /// When the generation began, by the coordinator's wall clock; of an empty group, since when it is empty. `None` before
    /// the first generation.
    pub since_ms: Option<i64>,
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
    /// The last generation that the log keeps, with its members and their assignments.
    pub stored: Option<StoredGroup>,
    /// Whether the first rebalance of an empty group is still held open for more members.
    pub initial_delay: bool,
    /// Whether a member has founded it and the log does not say so yet, up to the high watermark. It works as any other, but is
    /// neither listed nor described: Kafka looks at its groups as of the committed offset then.
    pub is_uncommitted: bool,
}

impl Default for Group {
    fn default() -> Self {
        Self {
            state: GroupState::Empty,
            generation: 0,
            since_ms: None,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            pending: BTreeSet::new(),
            statics: BTreeMap::new(),
            offsets: BTreeMap::new(),
            stored: None,
            initial_delay: false,
            is_uncommitted: false,
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

    /// The present generation, as it is to be stored.
    #[must_use]
    pub fn to_stored(&self) -> StoredGroup {
        let protocol = self.protocol.clone().unwrap_or_default();
        StoredGroup {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            since_ms: self.since_ms,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            members: self.members.iter().map(|(id, member)| (id.clone(), member.to_stored(&protocol))).collect(),
        }
    }

    /// Goes on from the stored generation, as a coordinator that has just loaded it.
    pub fn resume(&mut self) {
        let Some(stored) = &self.stored else { return };
        let protocol = stored.protocol.clone().unwrap_or_default();
        self.state = if stored.members.is_empty() { GroupState::Empty } else { GroupState::Stable };
        self.generation = stored.generation;
        self.since_ms = stored.since_ms;
        self.protocol_type = Some(stored.protocol_type.clone()).filter(|protocol_type| !protocol_type.is_empty());
        self.protocol = stored.protocol.clone();
        self.leader = stored.leader.clone();
        self.members =
            stored.members.iter().map(|(id, one)| (id.clone(), Member::from_stored(one, &protocol))).collect();
        let instance = |(id, member): (&StrBytes, &Member)| Some((member.instance.clone()?, id.clone()));
        self.statics = self.members.iter().filter_map(instance).collect();
    }

    /// A static member comes back under a new id, which takes the place of the old one: what the old one was.
    pub fn replace_member(&mut self, before: &StrBytes, id: &StrBytes, mut member: Member) -> Option<Member> {
        let old = self.members.remove(before)?;
        if self.leader.as_ref() == Some(before) {
            self.leader = Some(id.clone());
        }
        member.assignment = old.assignment.clone();
        self.statics.extend(member.instance.clone().map(|instance| (instance, id.clone())));
        self.members.insert(id.clone(), member);
        Some(old)
    }

    /// Whether any member of a consumer group subscribes to the topic, by the subscriptions that they sent.
    #[must_use]
    pub fn subscribes_to(&self, topic: &str) -> bool {
        let protocol = self.protocol.clone().unwrap_or_default();
        let names = |member: &Member| subscription_names(&member.metadata(&protocol), topic).unwrap_or(false);
        self.protocol_type.as_deref() == Some("consumer") && self.members.values().any(names)
    }

    /// Whether there are consumers of which nobody can tell to which topics they subscribe.
    #[must_use]
    pub fn has_unreadable_subscriptions(&self) -> bool {
        self.protocol_type.as_deref() == Some("consumer") && !self.members.is_empty() && !self.knows_subscriptions()
    }

    /// Whether it is known to which topics the members subscribe: they are consumers, and what they sent can be read.
    #[must_use]
    pub fn knows_subscriptions(&self) -> bool {
        let protocol = self.protocol.clone().unwrap_or_default();
        let is_read = |member: &Member| subscription_names(&member.metadata(&protocol), "").is_some();
        self.protocol_type.as_deref() == Some("consumer") && self.members.values().all(is_read)
    }
}

fn knows(member: &Member, protocol: &StrBytes) -> bool {
    member.protocols.iter().any(|(name, _)| name == protocol)
}

/// Whether a `ConsumerProtocolSubscription` lists a topic: a version, then the topics. `None` where it is none.
fn subscription_names(metadata: &[u8], topic: &str) -> Option<bool> {
    let (count, mut left) = metadata.get(2..)?.split_first_chunk::<4>()?;
    let mut found = false;
    for _ in 0..i32::from_be_bytes(*count) {
        let (length, rest) = left.split_first_chunk::<2>()?;
        let length = usize::try_from(i16::from_be_bytes(*length)).ok()?;
        let (name, rest) = rest.split_at_checked(length)?;
        found |= name == topic.as_bytes();
        left = rest;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(instance: Option<&'static str>, protocols: &[&'static str]) -> Member {
        let text = StrBytes::from_static_str;
        Member {
            instance: instance.map(text),
            client_id: text("app"),
            client_host: text("/127.0.0.1"),
            session_timeout_ms: 6000,
            rebalance_timeout_ms: 3000,
            protocols: protocols.iter().map(|name| (text(name), Bytes::from_static(name.as_bytes()))).collect(),
            assignment: Bytes::from_static(b"share"),
            joining: None,
            syncing: None,
        }
    }

    fn stable() -> Group {
        let text = StrBytes::from_static_str;
        Group {
            state: GroupState::Stable,
            generation: 4,
            since_ms: Some(700),
            protocol_type: Some(text("consumer")),
            protocol: Some(text("range")),
            leader: Some(text("a")),
            members: BTreeMap::from([
                (text("a"), member(None, &["sticky", "range"])),
                (text("b"), member(Some("pod-1"), &["range"])),
            ]),
            statics: BTreeMap::from([(text("pod-1"), text("b"))]),
            ..Group::default()
        }
    }

    #[test]
    fn a_stable_group_goes_on_from_what_was_stored() {
        let group = stable();
        let mut loaded = Group { stored: Some(group.to_stored()), ..Group::default() };
        loaded.resume();
        assert_eq!(loaded.to_stored(), group.to_stored());
        assert_eq!((loaded.state, &loaded.statics), (GroupState::Stable, &group.statics));
        assert_eq!(loaded.members.values().map(|member| member.protocols.len()).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn a_group_without_members_is_loaded_empty_and_keeps_its_generation() {
        let empty = Group { members: BTreeMap::new(), protocol: None, leader: None, ..stable() };
        let mut loaded = Group { stored: Some(empty.to_stored()), ..Group::default() };
        loaded.resume();
        assert_eq!((loaded.state, loaded.generation), (GroupState::Empty, 4));
        let mut unnamed = Group { stored: Some(StoredGroup::default()), ..Group::default() };
        unnamed.resume();
        assert_eq!(unnamed.protocol_type, None, "no member has said what kind of group this is");
    }

    #[test]
    fn a_static_member_takes_its_place_and_its_share_along() {
        let text = StrBytes::from_static_str;
        let mut group = Group { leader: Some(text("b")), ..stable() };
        let returned = Member { assignment: Bytes::new(), ..member(Some("pod-1"), &["range"]) };
        assert!(group.replace_member(&text("b"), &text("c"), returned).is_some());
        assert_eq!(group.statics, BTreeMap::from([(text("pod-1"), text("c"))]));
        assert_eq!(group.leader, Some(text("c")));
        assert_eq!(group.members.get("c".as_bytes()).map(|member| &member.assignment[..]), Some(&b"share"[..]));
        assert!(!group.members.contains_key("b".as_bytes()));
    }
}
