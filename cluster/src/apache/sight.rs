//! What can be seen of a cluster's life from outside: elections of leaders and controllers, changes of ISRs.
//!
//! By looks at Metadata and DescribeQuorum, so each event is as late as the next look, and what comes and goes between two
//! looks is not seen. Truncations, rebalances and fencing are not to be seen at all.

use super::client;
use super::cluster::Apache;
use crate::handle::ClusterEvent;
use kafka_protocol::messages::MetadataResponse;
use shakedown_broker::types::{LeaderEpoch, TopicPartition};
use shakedown_broker::{BrokerId, Event};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

impl Apache {
    /// What happens from here on, as far as it can be seen from outside, for as long as the receiver is kept: who leads
    /// which partition, who is in sync, who is the controller. Looked at four times a second.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn events(self: &Arc<Self>) -> std::io::Result<Receiver<ClusterEvent>> {
        let (observer, events) = channel();
        let apache: Weak<Self> = Arc::downgrade(self);
        let watch = move || {
            let mut seen = Seen::default();
            // It ends with the cluster, or with the last who wants to know. Whoever drops the cluster must not wait for an
            // answer to a look: nodes that stand still give none.
            while let Some(answering) = apache.upgrade().map(|apache| apache.answering()) {
                for event in look(&answering, &mut seen) {
                    if observer.send(event).is_err() {
                        return;
                    }
                }
                std::thread::sleep(LOOK_EVERY);
            }
        };
        std::thread::Builder::new().name("shakedown-apache".to_owned()).spawn(watch)?;
        Ok(events)
    }
}

/// Asks the first of these nodes that answers.
fn look(answering: &[(i32, SocketAddr)], seen: &mut Seen) -> Vec<ClusterEvent> {
    let metadata = answering.iter().find_map(|(_, address)| client::metadata(*address, None).ok());
    let quorum = answering.iter().find_map(|(_, address)| client::quorum(*address).ok().flatten());
    let mut events = Vec::new();
    if let Some(quorum) = quorum {
        events.extend(seen.controller(quorum.leader_id.0, quorum.leader_epoch));
    }
    events.extend(metadata.into_iter().flat_map(|metadata| seen.partitions(metadata)));
    let at = Instant::now();
    events.into_iter().map(|(node, event)| ClusterEvent { at, node, event }).collect()
}

/// What the last look has seen.
#[derive(Debug, Default)]
struct Seen {
    controller_epoch: i32,
    /// Leader epoch, and who is in sync.
    partitions: BTreeMap<TopicPartition, (i32, Vec<BrokerId>)>,
}

impl Seen {
    fn controller(&mut self, id: i32, epoch: i32) -> Option<(i32, Event)> {
        let is_new = epoch > self.controller_epoch;
        self.controller_epoch = self.controller_epoch.max(epoch);
        is_new.then_some((id, Event::ControllerElected { epoch: LeaderEpoch(epoch) }))
    }

    fn partitions(&mut self, metadata: MetadataResponse) -> Vec<(i32, Event)> {
        let mut events = Vec::new();
        for topic in metadata.topics {
            let Some(name) = topic.name else { continue };
            for partition in topic.partitions {
                let (epoch, leader) = (partition.leader_epoch, partition.leader_id.0);
                let id = TopicPartition { topic: name.0.clone(), partition: partition.partition_index };
                let isr: Vec<BrokerId> = partition.isr_nodes.iter().map(|id| BrokerId(id.0)).collect();
                let last = self.partitions.get(&id);
                // Another node may have answered, which does not know yet what the last one knew.
                if leader < 0 || last.is_some_and(|(known, _)| *known > epoch) {
                    continue;
                }
                if last.is_none_or(|(known, _)| *known < epoch) {
                    events.push((leader, Event::Leads { partition: id.clone(), epoch: LeaderEpoch(epoch) }));
                }
                if last.is_some_and(|(_, known)| *known != isr) {
                    let (partition, isr, epoch) = (id.clone(), isr.clone(), LeaderEpoch(epoch));
                    events.push((leader, Event::IsrChanged { partition, isr, epoch }));
                }
                self.partitions.insert(id, (epoch, isr));
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
    use kafka_protocol::protocol::StrBytes;

    fn metadata(leader: i32, epoch: i32, isr: &[i32]) -> MetadataResponse {
        let partition = MetadataResponsePartition::default()
            .with_leader_id(leader.into())
            .with_leader_epoch(epoch)
            .with_isr_nodes(isr.iter().map(|id| (*id).into()).collect());
        let name = StrBytes::from_static_str("orders").into();
        let topic = MetadataResponseTopic::default().with_name(Some(name)).with_partitions(vec![partition]);
        MetadataResponse::default().with_topics(vec![topic])
    }

    #[test]
    fn elections_and_changes_of_the_isr_are_told_once() {
        let mut seen = Seen::default();
        let leads =
            |events: &[(i32, Event)]| events.iter().filter(|(_, event)| matches!(event, Event::Leads { .. })).count();
        let first = seen.partitions(metadata(1, 0, &[1, 2, 3]));
        assert_eq!((first.len(), leads(&first)), (1, 1), "a topic that is new");
        assert!(seen.partitions(metadata(1, 0, &[1, 2, 3])).is_empty(), "nothing has changed");
        let shrunk = seen.partitions(metadata(1, 0, &[1, 3]));
        let isr = vec![BrokerId(1), BrokerId(3)];
        assert!(matches!(&shrunk[..], [(1, Event::IsrChanged { isr: told, .. })] if *told == isr), "{shrunk:?}");
        let moved = seen.partitions(metadata(3, 1, &[3]));
        assert_eq!((moved.len(), leads(&moved), moved[0].0), (2, 1, 3));
    }

    #[test]
    fn an_old_view_and_a_partition_without_a_leader_say_nothing() {
        let mut seen = Seen::default();
        seen.partitions(metadata(3, 5, &[3]));
        assert!(seen.partitions(metadata(1, 4, &[1, 3])).is_empty(), "older than what was seen");
        assert!(seen.partitions(metadata(-1, 6, &[])).is_empty(), "nobody leads");
    }

    #[test]
    fn a_controller_is_told_by_its_epoch() {
        let mut seen = Seen::default();
        let elected = |epoch| Event::ControllerElected { epoch: LeaderEpoch(epoch) };
        assert_eq!(seen.controller(2, 1), Some((2, elected(1))));
        assert_eq!(seen.controller(2, 1), None);
        assert_eq!(seen.controller(3, 2), Some((3, elected(2))));
    }
}
