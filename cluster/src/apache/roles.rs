//! Who plays which role, and how far logs are, by what the nodes answer.
//!
//! A node that is down plays none, even while the others have not noticed it: whoever strikes by role waits for the election.

use super::client;
use super::cluster::Apache;
use crate::roles::Role;
use kafka_protocol::messages::metadata_response::MetadataResponsePartition;
use std::collections::BTreeMap;
use std::net::SocketAddr;

impl Apache {
    /// The nodes that play a role at the moment, as far as they are up, in the order in which a fault hits them. Leaders and
    /// followers come from Metadata, by the newest epoch that any node has; the controller from DescribeQuorum, the
    /// coordinator of a group from FindCoordinator, which makes Kafka create `__consumer_offsets`. Those who are drawn come
    /// from the seed alone.
    #[must_use]
    pub fn players(&self, role: &Role) -> Vec<i32> {
        let players = match role {
            Role::Broker(id) => vec![*id],
            Role::Leader { topic, partition } => {
                self.partition(topic, *partition).map(|partition| partition.leader_id.0).into_iter().collect()
            }
            Role::Follower { topic, partition } => self.followers(topic, *partition),
            Role::Followers { topic, partition } => self.followers(topic, *partition),
            Role::Controller => {
                self.first_answer(|address| Ok(client::quorum(address)?.map(|quorum| quorum.leader_id.0)))
            }
            Role::GroupCoordinator(group) => self.first_answer(|address| client::group_coordinator(address, group)),
            Role::All => self.nodes(),
            Role::Drawn { share, draw } => share.of(&self.nodes(), self.seed, *draw),
        };
        let up = players.into_iter().filter(|id| self.is_up(*id));
        let wanted = if matches!(role, Role::Follower { .. }) { 1 } else { usize::MAX };
        up.take(wanted).collect()
    }

    fn followers(&self, topic: &str, partition: i32) -> Vec<i32> {
        let Some(partition) = self.partition(topic, partition) else { return Vec::new() };
        let replicas = partition.replica_nodes.iter().map(|id| id.0);
        // Without a leader there is nobody to follow.
        let leader = partition.leader_id.0;
        replicas.filter(|id| leader >= 0 && *id != leader).collect()
    }

    /// A partition as the node with the newest leader epoch sees it.
    fn partition(&self, topic: &str, index: i32) -> Option<MetadataResponsePartition> {
        let answers =
            self.answering().into_iter().filter_map(|(_, address)| client::metadata(address, Some(&[topic])).ok());
        let partitions = answers.flat_map(|metadata| metadata.topics).flat_map(|topic| topic.partitions);
        partitions.filter(|partition| partition.partition_index == index).max_by_key(|partition| partition.leader_epoch)
    }

    /// What the first node says that knows.
    fn first_answer(&self, ask: impl Fn(SocketAddr) -> std::io::Result<Option<i32>>) -> Vec<i32> {
        let answers = self.answering().into_iter().filter_map(|(_, address)| ask(address).ok().flatten());
        answers.take(1).collect()
    }

    /// Where the logs of a topic's partitions end, on whichever of the replicas in sync is the furthest behind: what only the
    /// leader has is on its way to the others. Whoever does not answer, because it is stopped, keeps nobody waiting
    /// (ListOffsets as the replica -2, which followers answer, too).
    #[must_use]
    pub fn log_ends(&self, topic: &str) -> BTreeMap<i32, i64> {
        let answering = self.answering();
        let metadata = answering.iter().find_map(|(_, address)| client::metadata(*address, Some(&[topic])).ok());
        let partitions: Vec<_> =
            metadata.into_iter().flat_map(|metadata| metadata.topics).flat_map(|topic| topic.partitions).collect();
        let mut ends = BTreeMap::new();
        for (id, address) in answering {
            let kept = partitions.iter().filter(|partition| partition.isr_nodes.iter().any(|replica| replica.0 == id));
            let kept: Vec<i32> = kept.map(|partition| partition.partition_index).collect();
            if !kept.is_empty() {
                for (partition, end) in client::log_ends(address, topic, &kept).into_iter().flatten() {
                    let least = ends.entry(partition).or_insert(end);
                    *least = end.min(*least);
                }
            }
        }
        ends
    }
}
