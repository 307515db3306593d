//! A cluster that runs already and belongs to somebody: nothing is done to its brokers, and what is there is left alone.

use super::apache::Impossible;
use super::contract::{
    Awaited, Backend, BackendError, BrokerFaults, BrokerSettings, ClusterPlan, Inside, RunningCluster, StrikeError,
    Whereabouts,
};
use super::waiting::{LogEnds, Looking};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use shakedown_cluster::{ClusterEvent, Condition, NodeFault, Role, Strike};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long the cluster may take for its first answer.
const FIRST_ANSWER: Duration = Duration::from_secs(15);

/// How long it may take for any other.
const ANSWER: Duration = Duration::from_secs(1);

/// Any cluster, by its bootstrap servers. How many brokers it has is its own affair, whatever the scenario says.
#[derive(Debug, Clone)]
pub struct External {
    bootstrap: String,
}

impl External {
    /// The cluster behind these servers: `host:port`, with commas between them.
    #[must_use]
    pub fn new(bootstrap: impl Into<String>) -> Self {
        Self { bootstrap: bootstrap.into() }
    }

    fn client(&self) -> KafkaResult<BaseConsumer> {
        ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("client.id", "shakedown-look")
            // librdkafka wants a name for the group that nobody joins.
            .set("group.id", "shakedown-look")
            .set("enable.auto.commit", "false")
            .create()
    }
}

impl Backend for External {
    fn name(&self) -> &'static str {
        "external"
    }

    fn arguments(&self) -> Vec<String> {
        ["--backend", self.name(), "--bootstrap", &self.bootstrap].map(str::to_owned).to_vec()
    }

    fn broker_faults(&self) -> BrokerFaults {
        BrokerFaults { actions: &[], roles: &[], inside: false }
    }

    fn broker_settings(&self) -> BrokerSettings {
        BrokerSettings::Refused
    }

    fn has_controllers(&self) -> bool {
        false
    }

    fn has_transactions(&self) -> bool {
        true
    }

    fn boot(&self, _plan: &ClusterPlan) -> Result<Box<dyn RunningCluster>, BackendError> {
        let answered = self.client().and_then(|client| client.fetch_metadata(None, FIRST_ANSWER).map(drop));
        match answered {
            Ok(()) => Ok(Box::new(self.clone())),
            Err(source) => Err(BackendError { backend: self.name(), source: Box::new(source) }),
        }
    }
}

impl RunningCluster for External {
    fn bootstrap_servers(&self) -> String {
        self.bootstrap.clone()
    }

    fn is_borrowed(&self) -> bool {
        true
    }

    fn whereabouts(&self) -> Whereabouts {
        Whereabouts::Elsewhere
    }

    fn events(&self) -> Receiver<ClusterEvent> {
        // Nobody tells of it: the timeline has the run's own events.
        channel().1
    }

    fn strike(&self, fault: NodeFault, role: &Role) -> Result<Strike, StrikeError> {
        Err(StrikeError::Failed(Box::new(Impossible(format!("{} {role}", fault.word())))))
    }

    fn when(&self, condition: Condition, fault: Option<(NodeFault, Role)>) -> Result<Box<dyn Awaited>, StrikeError> {
        let (Condition::Produced(produced), None) = (condition, &fault) else {
            return Err(StrikeError::Failed(Box::new(Impossible("a fault on brokers or requests".to_owned()))));
        };
        let client = self.client().map_err(|error| StrikeError::Failed(Box::new(error)))?;
        let mut ends = LogEnds::default();
        let looking = Looking::start(
            move || ends.see(readable(&client, &produced.topic)) >= produced.count,
            || Ok(Strike { at: Instant::now(), nodes: Vec::new() }),
        )?;
        Ok(Box::new(looking))
    }

    fn inside(&self) -> Option<&dyn Inside> {
        None
    }

    fn undo(&self, fault: NodeFault, node: i32) -> Result<(), StrikeError> {
        Err(StrikeError::Failed(Box::new(Impossible(format!("{} broker({node})", fault.word())))))
    }

    fn unsettled(&self) -> Option<(i32, Vec<i32>)> {
        None
    }
}

/// How far the partitions of a topic may be read, as far as their leaders answer.
fn readable(client: &BaseConsumer, topic: &str) -> Vec<(i32, i64)> {
    let Ok(metadata) = client.fetch_metadata(Some(topic), ANSWER) else { return Vec::new() };
    let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions()).map(|partition| partition.id());
    partitions.filter_map(|id| Some((id, client.fetch_watermarks(topic, id, ANSWER).ok()?.1))).collect()
}
