//! Nodes by what they do at the moment, which is how faults name them: who leads a partition, who is the controller.
//!
//! Answered from the newest metadata that any node has, and only with nodes that are up; a role that nobody plays at the
//! moment, because an election is under way, is nobody's.

use crate::chance::Draws;
use crate::shell::Shell;
use crate::slot::Slot;
use shakedown_broker::BrokerId;
use shakedown_broker::group::{Groups, partition_of};
use shakedown_broker::metadata::CONSUMER_OFFSETS;
use shakedown_broker::metadata::image::Image;
use shakedown_broker::types::PartitionId;
use std::fmt;
use std::str::FromStr;

/// Whom a fault hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The node with this id.
    Broker(i32),
    /// The leader of a partition.
    Leader {
        /// The partition's topic.
        topic: String,
        /// Its index.
        partition: i32,
    },
    /// One follower of a partition: the first by the order of its replicas.
    Follower {
        /// The partition's topic.
        topic: String,
        /// Its index.
        partition: i32,
    },
    /// All followers of a partition.
    Followers {
        /// The partition's topic.
        topic: String,
        /// Its index.
        partition: i32,
    },
    /// The active controller.
    Controller,
    /// The coordinator of this consumer group.
    GroupCoordinator(String),
    /// Every broker.
    All,
    /// Some brokers, whatever they do at the moment.
    Drawn {
        /// How many.
        share: Share,
        /// Which draw: the same draw names the same brokers for as long as the cluster's seed is the same. From 0.
        draw: u64,
    },
}

/// How many brokers are drawn. For one draw the smaller share is part of the larger one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// One.
    One,
    /// Fewer than half, as many as there can be: the others can still vote.
    Minority,
    /// More than half, as few as there can be: the others cannot.
    Majority,
}

impl Share {
    const ALL: [Self; 3] = [Self::One, Self::Minority, Self::Majority];

    /// As scenarios call it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Minority => "minority",
            Self::Majority => "majority",
        }
    }

    /// How many brokers that is; none, where a minority of one or two is asked for.
    #[must_use]
    pub const fn count(self, brokers: usize) -> usize {
        match self {
            Self::One => 1,
            Self::Minority => brokers.saturating_sub(1) / 2,
            Self::Majority => brokers / 2 + 1,
        }
    }

    /// Who that is, in ascending order: decided by the seed and the number of the draw, and by nothing that happens.
    #[must_use]
    pub fn of(self, brokers: &[i32], seed: u64, draw: u64) -> Vec<i32> {
        let mut drawn = brokers.to_vec();
        Draws::of(seed, &[b"brokers", &draw.to_be_bytes()]).shuffle(&mut drawn);
        drawn.truncate(self.count(brokers.len()));
        drawn.sort_unstable();
        drawn
    }
}

impl Role {
    /// The partition that the role is about.
    #[must_use]
    pub fn partition(&self) -> Option<(&str, i32)> {
        match self {
            Self::Leader { topic, partition }
            | Self::Follower { topic, partition }
            | Self::Followers { topic, partition } => Some((topic, *partition)),
            Self::Broker(_) | Self::Controller | Self::GroupCoordinator(_) | Self::All | Self::Drawn { .. } => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broker(id) => write!(f, "broker({id})"),
            Self::Leader { topic, partition } => write!(f, "leader({topic}/{partition})"),
            Self::Follower { topic, partition } => write!(f, "follower({topic}/{partition})"),
            Self::Followers { topic, partition } => write!(f, "followers({topic}/{partition})"),
            Self::Controller => f.write_str("controller"),
            Self::GroupCoordinator(group) => write!(f, "group-coordinator({group})"),
            Self::All => f.write_str("all"),
            Self::Drawn { share, draw: 0 } => f.write_str(share.word()),
            Self::Drawn { share, draw } => write!(f, "{}({draw})", share.word()),
        }
    }
}

/// A role that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no role: write broker(ID), leader(TOPIC/PARTITION), follower(TOPIC/PARTITION), followers(TOPIC/PARTITION), \
     controller, group-coordinator(GROUP), all, one, minority or majority"
)]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    /// Reads what [`Role`]'s `Display` writes.
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let unknown = || UnknownRole(text.to_owned());
        let text = text.trim();
        let share = |word: &str| Share::ALL.into_iter().find(|share| share.word() == word);
        match text {
            "controller" => return Ok(Self::Controller),
            "all" => return Ok(Self::All),
            word => {
                if let Some(share) = share(word) {
                    return Ok(Self::Drawn { share, draw: 0 });
                }
            }
        }
        let (role, rest) = text.split_once('(').ok_or_else(unknown)?;
        let argument = rest.strip_suffix(')').map(str::trim).filter(|argument| !argument.is_empty());
        let argument = argument.ok_or_else(unknown)?;
        let place = || {
            let (topic, index) = argument.rsplit_once('/')?;
            let partition = index.trim().parse().ok().filter(|index| *index >= 0)?;
            (!topic.trim().is_empty()).then(|| (topic.trim().to_owned(), partition))
        };
        let role = match role.trim() {
            "broker" => argument.parse().ok().filter(|id| *id > 0).map(Self::Broker),
            "leader" => place().map(|(topic, partition)| Self::Leader { topic, partition }),
            "follower" => place().map(|(topic, partition)| Self::Follower { topic, partition }),
            "followers" => place().map(|(topic, partition)| Self::Followers { topic, partition }),
            "group-coordinator" => Some(Self::GroupCoordinator(argument.to_owned())),
            word => share(word).and_then(|share| Some(Self::Drawn { share, draw: argument.parse().ok()? })),
        };
        role.ok_or_else(unknown)
    }
}

impl Shell {
    /// Who plays a role, as far as they are up; in the order in which they are hit.
    pub(crate) fn players(&self, role: &Role) -> Vec<i32> {
        match role {
            Role::Broker(id) => Vec::from_iter(Some(*id).filter(|id| self.is_up(*id))),
            Role::Leader { topic, partition } => Vec::from_iter(self.leader(topic, *partition)),
            Role::Follower { topic, partition } => {
                let mut followers = self.followers(topic, *partition);
                followers.truncate(1);
                followers
            }
            Role::Followers { topic, partition } => self.followers(topic, *partition),
            Role::Controller => Vec::from_iter(self.controller()),
            Role::GroupCoordinator(group) => Vec::from_iter(self.group_coordinator(group)),
            Role::All => self.up_of(self.brokers()),
            Role::Drawn { share, draw } => self.up_of(share.of(&self.brokers(), self.seed, *draw)),
        }
    }

    /// All brokers by id, up or down.
    fn brokers(&self) -> Vec<i32> {
        let slots = self.slots.borrow();
        slots.iter().filter(|slot| slot.config.is_broker).map(Slot::id).collect()
    }

    fn up_of(&self, ids: Vec<i32>) -> Vec<i32> {
        ids.into_iter().filter(|id| self.is_up(*id)).collect()
    }

    pub(crate) fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        let leader = self.newest(|image| image.partition(topic, partition)?.leader)?;
        self.is_up(leader.0).then_some(leader.0)
    }

    pub(crate) fn followers(&self, topic: &str, partition: i32) -> Vec<i32> {
        let followers = self.newest(|image| {
            let state = image.partition(topic, partition)?;
            Some(state.replicas.iter().copied().filter(|id| state.leader != Some(*id)).collect::<Vec<BrokerId>>())
        });
        followers.unwrap_or_default().into_iter().map(|id| id.0).filter(|id| self.is_up(*id)).collect()
    }

    pub(crate) fn controller(&self) -> Option<i32> {
        let slots = self.slots.borrow();
        let active = slots.iter().filter_map(|slot| {
            let quorum = slot.node()?.quorum();
            quorum.is_active_controller.then_some((quorum.epoch, slot.id()))
        });
        // One that stands still or is cut off does not know yet that there is another.
        active.max().map(|(_, id)| id)
    }

    pub(crate) fn group_coordinator(&self, group: &str) -> Option<i32> {
        let partitions = self.slots.borrow().first()?.config.offsets_partitions;
        self.leader(CONSUMER_OFFSETS, partition_of(group, partitions))
    }

    /// How many messages of a topic a group has committed, as its coordinator knows it.
    pub(crate) fn consumed(&self, group: &str, topic: &str) -> u64 {
        self.coordinating(group, |groups| groups.consumed(group, topic)).unwrap_or_default()
    }

    /// The offset that a group has committed for a partition, as its coordinator knows it.
    pub(crate) fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        self.coordinating(group, |groups| groups.committed_offset(group, topic, partition)).flatten()
    }

    /// Whether a group is between two generations, as its coordinator knows it.
    pub(crate) fn is_rebalancing(&self, group: &str) -> bool {
        self.coordinating(group, |groups| groups.is_rebalancing(group)).unwrap_or_default()
    }

    fn coordinating<T>(&self, group: &str, ask: impl FnOnce(&Groups) -> T) -> Option<T> {
        let coordinator = self.group_coordinator(group)?;
        let slots = self.slots.borrow();
        Some(ask(slots[find(&slots, coordinator)?].node()?.groups()))
    }

    /// How many replicas of a partition are in sync, by the newest metadata.
    pub(crate) fn in_sync(&self, topic: &str, partition: i32) -> Option<usize> {
        self.newest(|image| Some(image.partition(topic, partition)?.isr.len()))
    }

    /// How many records have been produced to a topic, by the logs of its leaders.
    pub(crate) fn produced(&self, topic: &str) -> u64 {
        let leaders = self.newest(|image| {
            let topic = image.topics.get(topic.as_bytes())?;
            let leaders = (0..)
                .zip(&topic.partitions)
                .filter_map(|(index, state)| Some((state.leader?, PartitionId { topic: topic.id, index })));
            Some(leaders.collect::<Vec<_>>())
        });
        let slots = self.slots.borrow();
        let end = |(leader, partition): (BrokerId, PartitionId)| {
            let node = find(&slots, leader.0).and_then(|at| slots[at].node())?;
            u64::try_from(node.replica(partition)?.log_end.0).ok()
        };
        leaders.unwrap_or_default().into_iter().filter_map(end).sum()
    }

    /// Asks the newest image.
    pub(crate) fn newest<T>(&self, ask: impl FnOnce(&Image) -> Option<T>) -> Option<T> {
        let slots = self.slots.borrow();
        let images = slots.iter().filter_map(|slot| slot.node()).map(|node| node.image());
        ask(images.max_by_key(|image| image.end)?)
    }

    pub(crate) fn is_up(&self, id: i32) -> bool {
        let slots = self.slots.borrow();
        find(&slots, id).is_some_and(|at| slots[at].node().is_some())
    }
}

/// The place of the node with this id.
pub(crate) fn find(slots: &[Slot], id: i32) -> Option<usize> {
    slots.iter().position(|slot| slot.id() == id)
}

#[cfg(test)]
mod tests {
    use super::{Role, Share};

    #[test]
    fn a_draw_names_the_same_brokers_for_ever_and_the_smaller_share_is_part_of_the_larger() {
        let brokers = [1, 2, 3, 4, 5];
        let drawn = |share: Share, draw| share.of(&brokers, 42, draw);
        for draw in 0..20 {
            let [one, minority, majority] = Share::ALL.map(|share| drawn(share, draw));
            assert_eq!((one.len(), minority.len(), majority.len()), (1, 2, 3));
            assert!(minority.contains(&one[0]) && minority.iter().all(|id| majority.contains(id)));
        }
        let firsts: std::collections::BTreeSet<Vec<i32>> = (0..20).map(|draw| drawn(Share::One, draw)).collect();
        assert_eq!(firsts.len(), 5, "each is drawn at some time");
        assert_eq!((Share::Minority.count(2), Share::Majority.count(2), Share::Minority.count(3)), (0, 2, 1));
        assert_eq!([0, 1].map(|draw| drawn(Share::Minority, draw)), GOLDEN.map(Vec::from));
    }

    /// The first two minorities of five brokers by seed 42.
    const GOLDEN: [[i32; 2]; 2] = [[4, 5], [1, 3]];

    #[test]
    fn roles_are_read_as_they_are_written() {
        for text in [
            "broker(2)",
            "leader(orders/0)",
            "follower(a/b/3)",
            "followers(orders/11)",
            "controller",
            "group-coordinator(g)",
            "all",
            "one",
            "minority",
            "majority(3)",
        ] {
            assert_eq!(text.parse::<Role>().map(|role| role.to_string()).as_deref(), Ok(text));
        }
        for text in [
            "",
            "leader",
            "leader()",
            "leader(orders)",
            "leader(orders/-1)",
            "broker(0)",
            "broker(x)",
            "king(2)",
            "one()",
            "all(2)",
            "majority(x)",
        ] {
            assert!(text.parse::<Role>().is_err(), "{text}");
        }
    }
}
