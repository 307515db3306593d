//! An administrator: creates the topic that everybody uses; then, so that the metadata log never rests while nodes fail, it
//! creates others, moves partitions to other nodes, changes its mind and settings, and asks for preferred leaders.

use super::wire::{self, expect_kind};
use super::{CallId, Client, Desk, Outcome};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, ApiKey, CreateTopicsRequest, ElectLeadersRequest,
    IncrementalAlterConfigsRequest, RequestKind,
};
use kafka_protocol::protocol::StrBytes;
use shakedown_broker::BrokerId;
use std::any::Any;

/// The topic that everybody uses.
pub(crate) const TOPIC: &str = "orders";

/// The administrator.
pub(crate) struct Admin {
    partitions: i32,
    /// How many topics it creates beside [`TOPIC`].
    others: usize,
    created: usize,
    asked: Option<(CallId, ApiKey)>,
    stopped: bool,
}

/// `AlterConfigOp.OpType` and `ConfigResource.Type`.
const SET: i8 = 0;
const DELETE: i8 = 1;
const TOPIC_RESOURCE: i8 = 2;

/// How many replicas every partition has.
const REPLICATION: i16 = 3;

impl Admin {
    pub(crate) fn new(partitions: i32, others: usize) -> Self {
        Self { partitions, others, created: 0, asked: None, stopped: false }
    }

    fn name(&self) -> String {
        if self.created == 0 { String::from(TOPIC) } else { format!("other-{}", self.created) }
    }

    /// Does the next thing.
    fn go_on(&mut self, desk: &mut Desk<'_>) {
        if self.created == 0 {
            self.create(desk);
        } else if !self.stopped {
            match desk.chance.below(7) {
                0 | 1 if self.created <= self.others => self.create(desk),
                2 => self.configure(desk),
                4.. => self.reassign(desk),
                _ => self.elect(desk),
            }
        }
    }

    fn ask(&mut self, desk: &mut Desk<'_>, key: ApiKey, version: i16, request: RequestKind) {
        let broker = desk.any_broker();
        self.asked = Some((desk.ask(broker, key, version, request), key));
    }

    /// Moves a partition anywhere; one time in four whatever move is under way is cancelled.
    fn reassign(&mut self, desk: &mut Desk<'_>) {
        let index = i32::try_from(desk.chance.below(u64::try_from(self.partitions).expect("a few"))).expect("a few");
        let mut left: Vec<BrokerId> = desk.brokers.to_vec();
        let replicas = (0..REPLICATION).map(|_| left.swap_remove(desk.chance.index(left.len())).0.into()).collect();
        let replicas = (!desk.chance.permille(250)).then_some(replicas);
        let partition = ReassignablePartition::default().with_partition_index(index).with_replicas(replicas);
        let topic = ReassignableTopic::default().with_name(wire::topic(TOPIC)).with_partitions(vec![partition]);
        let request = AlterPartitionReassignmentsRequest::default().with_timeout_ms(1_000).with_topics(vec![topic]);
        self.ask(desk, ApiKey::AlterPartitionReassignments, 0, request.into());
    }

    /// Asks for the preferred leaders of all partitions.
    fn elect(&mut self, desk: &mut Desk<'_>) {
        let request = ElectLeadersRequest::default().with_topic_partitions(None).with_timeout_ms(1_000);
        self.ask(desk, ApiKey::ElectLeaders, 2, request.into());
    }

    /// Changes a setting of the topic, or takes it back.
    fn configure(&mut self, desk: &mut Desk<'_>) {
        let is_set = desk.chance.permille(700);
        let megabytes = desk.chance.between(1, 5) << 20;
        let config = AlterableConfig::default()
            .with_name(StrBytes::from_static_str("max.message.bytes"))
            .with_config_operation(if is_set { SET } else { DELETE })
            .with_value(is_set.then(|| StrBytes::from_string(megabytes.to_string())));
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC_RESOURCE)
            .with_resource_name(StrBytes::from_static_str(TOPIC))
            .with_configs(vec![config]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        self.ask(desk, ApiKey::IncrementalAlterConfigs, 1, request.into());
    }

    fn create(&mut self, desk: &mut Desk<'_>) {
        let partitions = if self.created == 0 { self.partitions } else { 1 };
        let topic = CreatableTopic::default()
            .with_name(wire::topic(&self.name()))
            .with_num_partitions(partitions)
            .with_replication_factor(REPLICATION);
        let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(1_000);
        self.ask(desk, ApiKey::CreateTopics, 7, request.into());
    }

    fn created(&mut self, desk: &mut Desk<'_>, outcome: Outcome) {
        let code = match outcome {
            Outcome::Lost => ResponseError::NetworkException.code(),
            Outcome::Answer(response) => expect_kind!(CreateTopics, *response).topics[0].error_code,
        };
        let name = self.name();
        desk.story(|| format!("creating {name}: {:?}", super::error(code)));
        if code == 0 {
            desk.invariants.history.topic_created(&name);
        }
        if code == 0 || code == ResponseError::TopicAlreadyExists.code() {
            self.created += 1;
        }
    }
}

impl Client for Admin {
    fn start(&mut self, desk: &mut Desk<'_>) {
        desk.wake_in(50, 0);
    }

    fn answered(&mut self, desk: &mut Desk<'_>, call: CallId, outcome: Outcome) {
        let Some((_, key)) = self.asked.take_if(|(asked, _)| *asked == call) else { return };
        if key == ApiKey::CreateTopics {
            self.created(desk, outcome);
        } else {
            desk.story(|| format!("{key:?}: {outcome:?}"));
        }
        let ms = if self.created == 0 { desk.chance.between(50, 200) } else { desk.chance.between(1_000, 6_000) };
        desk.wake_in(ms, 0);
    }

    fn woken(&mut self, desk: &mut Desk<'_>, _: u8) {
        if self.asked.is_none() {
            self.go_on(desk);
        }
    }

    fn stop(&mut self) {
        self.stopped = true;
    }

    fn unfinished(&self, _: &[i64]) -> Option<String> {
        (self.created == 0).then(|| format!("{TOPIC} has not been created"))
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
