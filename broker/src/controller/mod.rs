//! The active controller: the quorum's leader, which alone decides about brokers, topics and partitions.
//!
//! - [`registrations`]: brokers come, stay alive, and are fenced.
//! - [`elections`]: who leads a partition and who is in sync, whenever something changes (KIP-966).
//! - [`isr`]: what leaders want the ISR to be.
//! - [`requests`]: how a request reaches the controller and its answer comes back.
//!
//! It decides by everything that it has appended, committed or not; everybody else, its own broker among them, goes by
//! what is committed. An answer leaves only when all records that it may depend on are committed.

pub mod elections;
pub mod isr;
pub mod registrations;
pub mod requests;

use crate::config::{NodeConfig, topic};
use crate::io::Event;
use crate::metadata::image::Image;
use crate::metadata::record::{MetadataRecord, PartitionState};
use crate::peer::ControllerResponse;
use crate::types::{BrokerId, Now, Offset, PartitionId, ProducerId};
use kafka_protocol::protocol::StrBytes;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, VecDeque};

/// Ids in one block (Kafka's `ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`).
const PRODUCER_ID_BLOCK: i64 = 1000;

/// An answer that waits for its records to be committed.
#[derive(Debug)]
pub(crate) struct PendingReply {
    /// What the high watermark has to reach.
    pub(crate) offset: Offset,
    pub(crate) to: BrokerId,
    pub(crate) id: u64,
    pub(crate) response: ControllerResponse,
}

/// The active controller.
#[derive(Debug)]
pub struct Controller {
    pub(crate) config: NodeConfig,
    /// Everything that was appended.
    pub(crate) image: Image,
    pub(crate) rng: ChaCha8Rng,
    /// When each broker was last heard of.
    pub(crate) heard_ns: BTreeMap<BrokerId, u64>,
    pub(crate) pending: VecDeque<PendingReply>,
    /// What a request has decided and is not appended yet.
    pub(crate) decided: Vec<MetadataRecord>,
    /// What observers are told once it is committed: a controller that was deposed without knowing may decide anything.
    pub(crate) events: VecDeque<(Offset, Event)>,
}

impl Controller {
    /// A controller that takes over with this image. Every broker has a full session before it.
    #[must_use]
    pub fn new(config: NodeConfig, image: Image, rng: ChaCha8Rng, now: Now) -> Self {
        let heard_ns = image.brokers.keys().map(|id| (*id, now.monotonic_ns)).collect();
        let (pending, decided, events) = Default::default();
        Self { config, image, rng, heard_ns, pending, decided, events }
    }

    /// Decides: the records take effect here at once, and everywhere once they are committed. What one request decides is
    /// one batch, so that it happens as a whole or not at all.
    pub(crate) fn append(&mut self, record: MetadataRecord) {
        self.image.apply(&record);
        self.decided.push(record);
    }

    /// Tells observers once everything that was decided up to now is committed.
    pub(crate) fn tell(&mut self, event: Event) {
        self.events.push_back((self.image.end, event));
    }

    /// The offset that the next record gets.
    pub(crate) fn next_offset(&self) -> Offset {
        self.image.end
    }

    /// `min.insync.replicas` of a partition, which is never more than its replicas.
    pub(crate) fn min_isr(&self, topic: &StrBytes, state: &PartitionState) -> usize {
        min_isr(&self.config, &self.image, topic, state.replicas.len())
    }

    pub(crate) fn may_elect_unclean(&self, topic: &StrBytes) -> bool {
        let own = topic::own(self.image.topic_settings(topic), "unclean.leader.election.enable");
        own.unwrap_or(self.config.unclean_leader_election)
    }

    /// Hands out the next block of producer ids.
    fn allocate_producer_ids(&mut self, broker: BrokerId, broker_epoch: i64) -> ControllerResponse {
        if self.image.brokers.get(&broker).map(|broker| broker.epoch) != Some(broker_epoch) {
            return ControllerResponse::StaleBroker;
        }
        let first = self.image.next_producer_id;
        let next = ProducerId(first.0 + PRODUCER_ID_BLOCK);
        self.append(MetadataRecord::ProducerIds { broker, broker_epoch, next });
        ControllerResponse::ProducerIds { first, count: PRODUCER_ID_BLOCK }
    }

    /// Every partition with its topic's name.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = (&StrBytes, PartitionId, &PartitionState)> {
        self.image.topics.iter().flat_map(|(name, topic)| {
            let states = topic.partitions.iter().zip(0..);
            states.map(move |(state, index)| (name, PartitionId { topic: topic.id, index }, state))
        })
    }
}

/// `min.insync.replicas` of a topic, as a node sees it: never more than there are replicas (KIP-966's effective minimum).
#[must_use]
pub fn min_isr(config: &NodeConfig, image: &Image, topic: &StrBytes, replicas: usize) -> usize {
    let own: Option<usize> = topic::own(image.topic_settings(topic), "min.insync.replicas");
    own.unwrap_or(usize::try_from(config.min_insync_replicas).unwrap_or(1)).clamp(1, replicas.max(1))
}
