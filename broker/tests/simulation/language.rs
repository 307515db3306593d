//! A small language for named tests: a cluster, one partition, what happens to it, what it answers.
//!
//! Nothing happens by chance but delays, which are drawn from a fixed seed; nothing is synced unless the broker syncs it.
//! The invariants of random lifetimes hold here, too: a test fails where one does not.

use crate::chance::{MS, SECOND};
use crate::client::admin::TOPIC;
use crate::client::hand::Hand;
use crate::client::member::GROUP;
use crate::client::{Outcome, error, wire};
use crate::host::{Down, Setup};
use crate::invariants::liveness;
use crate::nemesis;
use crate::trace::Detail;
use crate::world::World;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, ApiKey, CreateTopicsRequest, DeleteTopicsRequest, GroupId, OffsetCommitRequest,
    OffsetFetchRequest, ProduceRequest, RequestKind, ResponseKind,
};
use kafka_protocol::protocol::StrBytes;
use shakedown_broker::batch::header::{BatchHeader, HEADER_SIZE};
use shakedown_broker::batch::records::Records;
use shakedown_broker::inspect::{QuorumView, ReplicaView};
use shakedown_broker::log::store::LogStore;
use shakedown_broker::metadata::record::PartitionState;
use shakedown_broker::types::{Offset, PartitionId};

/// How long a request may take before a test takes it for unanswered.
const PATIENCE_NS: u64 = 3 * SECOND;

/// What came of a request: the offset or value, Kafka's error, or silence.
pub(crate) type Answer<T> = Option<Result<T, ResponseError>>;

/// A cluster with one topic of one partition, replicated three times.
pub(crate) struct Cluster {
    pub(crate) world: World,
    hand: usize,
}

impl Cluster {
    /// A cluster of combined nodes that has come to rest.
    pub(crate) fn of(nodes: usize) -> Self {
        Self::set_up(&Setup::combined(nodes))
    }

    /// A cluster whose nodes make a snapshot of their metadata again and again.
    pub(crate) fn with_snapshots(nodes: usize) -> Self {
        let mut setup = Setup::combined(nodes);
        setup.snapshots_after(300);
        Self::set_up(&setup)
    }

    fn set_up(setup: &Setup) -> Self {
        let mut world = World::new(setup, 1, Detail::Nothing);
        world.writes_back = false;
        let hand = world.add_client("hand", Hand::default());
        let mut cluster = Self { world, hand };
        cluster.run_ms(1_000);
        while !matches!(cluster.create_topic(0, TOPIC), Some(Ok(()) | Err(ResponseError::TopicAlreadyExists))) {
            assert!(cluster.world.now_ns < 10 * SECOND, "the topic is not created");
            cluster.run_ms(100);
        }
        cluster.settle();
        cluster
    }

    /// Lets time pass.
    pub(crate) fn run_ms(&mut self, ms: u64) {
        self.world.run_until(self.world.now_ns + ms * MS);
        if let Err(violation) = &self.world.checked {
            panic!("{violation}");
        }
    }

    /// Heals everything and waits until the cluster is whole.
    pub(crate) fn settle(&mut self) {
        nemesis::heal(&mut self.world);
        let deadline_ns = self.world.now_ns + 10 * SECOND;
        while let Some(missing) = liveness::unsettled(&self.world.hosts, &self.world.invariants) {
            assert!(self.world.now_ns < deadline_ns, "{missing}");
            self.run_ms(50);
        }
    }

    fn ask(&mut self, node: usize, key: ApiKey, version: i16, request: RequestKind) -> Option<ResponseKind> {
        let broker = self.world.hosts[node].id;
        let call = self.world.ask(self.hand, broker, key, version, request);
        let deadline_ns = self.world.now_ns + PATIENCE_NS;
        while self.world.now_ns < deadline_ns {
            self.run_ms(5);
            match self.world.client::<Hand>(self.hand).outcomes.remove(&call) {
                Some(Outcome::Answer(response)) => return Some(*response),
                Some(Outcome::Lost) => return None,
                None => {}
            }
        }
        None
    }

    /// The partition that tests write.
    pub(crate) fn partition(&self) -> PartitionId {
        PartitionId { topic: self.world.invariants.images.newest.topics[TOPIC.as_bytes()].id, index: 0 }
    }

    /// The node that leads it, by the newest metadata.
    pub(crate) fn leader(&self) -> usize {
        let leader = self.state().leader.expect("the partition has a leader");
        self.world.hosts.iter().position(|host| host.id == leader).expect("it is one of ours")
    }

    fn state(&self) -> &PartitionState {
        self.world.invariants.images.newest.state(self.partition()).expect("it was created")
    }

    /// The other replicas.
    pub(crate) fn followers(&self) -> Vec<usize> {
        let known = self.state();
        let hosts = self.world.hosts.iter().enumerate();
        let follows = hosts.filter(|(_, host)| known.replicas.contains(&host.id) && known.leader != Some(host.id));
        follows.map(|(at, _)| at).collect()
    }

    /// The replicas in sync, by the newest metadata.
    pub(crate) fn isr(&self) -> Vec<usize> {
        let known = self.state();
        let hosts = self.world.hosts.iter().enumerate();
        hosts.filter(|(_, host)| known.isr.contains(&host.id)).map(|(at, _)| at).collect()
    }

    /// The active controller.
    pub(crate) fn controller(&self) -> usize {
        nemesis::controller(&self.world).expect("there is a controller")
    }

    /// A node's part in the quorum, and where its metadata log begins and ends.
    pub(crate) fn metadata(&self, node: usize) -> QuorumView {
        self.world.hosts[node].node.as_ref().expect("it runs").quorum()
    }

    /// How far a node knows the metadata.
    pub(crate) fn image_end(&self, node: usize) -> Offset {
        self.world.hosts[node].node.as_ref().expect("it runs").image().end
    }

    /// The replicas that a node has.
    pub(crate) fn replicas(&self, node: usize) -> Vec<PartitionId> {
        self.world.hosts[node].node.as_ref().expect("it runs").replicas()
    }

    /// A node's view of its replica.
    pub(crate) fn replica(&self, node: usize) -> ReplicaView {
        let id = self.partition();
        self.world.hosts[node].node.as_ref().and_then(|node| node.replica(id)).expect("it has a replica")
    }

    pub(crate) fn kill(&mut self, node: usize) {
        self.world.stop(node, Down::Killed);
    }

    /// Of what was not synced nothing survives. The random lifetimes draw how much does; a test with a name must not
    /// depend on what it draws.
    pub(crate) fn lose_power(&mut self, node: usize) {
        LogStore::lose_power(&mut self.world.hosts[node].disk);
        self.world.stop(node, Down::Dark);
    }

    pub(crate) fn restart(&mut self, node: usize) {
        self.world.boot(node);
    }

    pub(crate) fn pause(&mut self, node: usize) {
        nemesis::pause(&mut self.world, node);
    }

    pub(crate) fn resume(&mut self, node: usize) {
        self.world.hosts[node].pauses = 0;
        self.world.resume(node);
    }

    /// Cuts a node off from all other nodes; clients still reach it.
    pub(crate) fn isolate(&mut self, node: usize) {
        for other in (0..self.world.hosts.len()).filter(|other| *other != node) {
            self.world.network.cut(node, other);
            self.world.network.cut(other, node);
        }
    }

    /// Creates a topic with one partition through a node.
    pub(crate) fn create_topic(&mut self, node: usize, name: &str) -> Answer<()> {
        let topic =
            CreatableTopic::default().with_name(wire::topic(name)).with_num_partitions(1).with_replication_factor(3);
        let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(1_000);
        let response = self.ask(node, ApiKey::CreateTopics, 7, RequestKind::CreateTopics(request))?;
        let code = wire::expect_kind!(CreateTopics, response).topics[0].error_code;
        Some(error(code).map_or(Ok(()), Err))
    }

    /// Creates topics through a node until all that its metadata log has now is in a snapshot.
    pub(crate) fn compact(&mut self, node: usize) {
        let end = self.metadata(node).log_end;
        let deadline_ns = self.world.now_ns + 30 * SECOND;
        while self.metadata(node).log_start < end {
            assert!(self.world.now_ns < deadline_ns, "no snapshot is made");
            let name = format!("filler-{}", self.world.now_ns);
            self.create_topic(node, &name);
        }
    }

    /// Deletes a topic through a node.
    pub(crate) fn delete_topic(&mut self, node: usize, name: &str) -> Answer<()> {
        let request = DeleteTopicsRequest::default().with_topic_names(vec![wire::topic(name)]).with_timeout_ms(1_000);
        let response = self.ask(node, ApiKey::DeleteTopics, 5, RequestKind::DeleteTopics(request))?;
        let code = wire::expect_kind!(DeleteTopics, response).responses[0].error_code;
        Some(error(code).map_or(Ok(()), Err))
    }

    /// Moves the partition to other nodes, through a node.
    pub(crate) fn reassign(&mut self, node: usize, replicas: &[usize]) -> Answer<()> {
        let ids = replicas.iter().map(|replica| self.world.hosts[*replica].id.0.into()).collect();
        let partition = ReassignablePartition::default().with_partition_index(0).with_replicas(Some(ids));
        let topic = ReassignableTopic::default().with_name(wire::topic(TOPIC)).with_partitions(vec![partition]);
        let request = AlterPartitionReassignmentsRequest::default().with_timeout_ms(1_000).with_topics(vec![topic]);
        let response = self.ask(node, ApiKey::AlterPartitionReassignments, 0, request.into())?;
        let code = wire::expect_kind!(AlterPartitionReassignments, response).error_code;
        Some(error(code).map_or(Ok(()), Err))
    }

    /// Writes one record through a node and tells its offset.
    pub(crate) fn produce(&mut self, node: usize, acks: i16, value: u64) -> Answer<i64> {
        let bytes = wire::batch(1_700_000_000_000, "hand", std::iter::once(value), wire::UNNUMBERED);
        let partition = PartitionProduceData::default().with_index(0).with_records(Some(bytes));
        let topic = TopicProduceData::default().with_name(wire::topic(TOPIC)).with_partition_data(vec![partition]);
        let request = ProduceRequest::default().with_acks(acks).with_timeout_ms(1_000).with_topic_data(vec![topic]);
        let response = self.ask(node, ApiKey::Produce, 11, RequestKind::Produce(request))?;
        let answer = wire::expect_kind!(Produce, response).responses.remove(0).partition_responses.remove(0);
        Some(error(answer.error_code).map_or(Ok(answer.base_offset), Err))
    }

    /// The values in a node's log.
    pub(crate) fn values(&mut self, node: usize) -> Vec<u64> {
        let id = self.partition();
        let node = self.world.hosts[node].node.as_mut().expect("it runs");
        let mut values = Vec::new();
        for batch in node.read_replica(id, Offset(0)) {
            if BatchHeader::read(&batch).is_some_and(|header| !header.is_control()) {
                let records = Records::new(&batch[HEADER_SIZE..]).flatten();
                let value = |value: &[u8]| u64::from_be_bytes(value.try_into().expect("eight bytes"));
                values.extend(records.filter_map(|record| record.value.map(value)));
            }
        }
        values
    }

    /// The node that coordinates the group of tests, once any node knows it.
    pub(crate) fn coordinator(&mut self, node: usize) -> usize {
        let key = StrBytes::from_static_str(GROUP);
        let deadline_ns = self.world.now_ns + 10 * SECOND;
        loop {
            let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![key.clone()]);
            let response = self.ask(node, ApiKey::FindCoordinator, 4, RequestKind::FindCoordinator(request));
            let found = response.map(|response| wire::expect_kind!(FindCoordinator, response).coordinators.remove(0));
            if let Some(found) = found.filter(|found| found.error_code == 0) {
                let coordinator = self.world.hosts.iter().position(|host| host.id.0 == found.node_id.0);
                return coordinator.expect("it is one of ours");
            }
            assert!(self.world.now_ns < deadline_ns, "there is no coordinator");
            self.run_ms(100);
        }
    }

    /// Commits an offset as a tool does, without being a member.
    pub(crate) fn commit(&mut self, node: usize, offset: i64) -> Answer<()> {
        let partition = OffsetCommitRequestPartition::default().with_partition_index(0).with_committed_offset(offset);
        let topic = OffsetCommitRequestTopic::default().with_name(wire::topic(TOPIC)).with_partitions(vec![partition]);
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(StrBytes::from_static_str(GROUP)))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic]);
        let response = self.ask(node, ApiKey::OffsetCommit, 8, RequestKind::OffsetCommit(request))?;
        let code = wire::expect_kind!(OffsetCommit, response).topics[0].partitions[0].error_code;
        Some(error(code).map_or(Ok(()), Err))
    }

    /// What the group has committed.
    pub(crate) fn committed(&mut self, node: usize) -> Answer<i64> {
        let topic = OffsetFetchRequestTopics::default().with_name(wire::topic(TOPIC)).with_partition_indexes(vec![0]);
        let asked = OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(StrBytes::from_static_str(GROUP)))
            .with_topics(Some(vec![topic]));
        let request = OffsetFetchRequest::default().with_groups(vec![asked]);
        let response = self.ask(node, ApiKey::OffsetFetch, 8, RequestKind::OffsetFetch(request))?;
        let group = wire::expect_kind!(OffsetFetch, response).groups.remove(0);
        if let Some(error) = error(group.error_code) {
            return Some(Err(error));
        }
        let partition = &group.topics[0].partitions[0];
        Some(error(partition.error_code).map_or(Ok(partition.committed_offset), Err))
    }
}
