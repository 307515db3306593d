//! Apache Kafka itself, as JVM processes on loopback.
//!
//! What can be done to its nodes is what a system does to processes: kill, stop, start. A fault that waits for messages
//! strikes when the next look at the logs shows them; see [`super::waiting`].

use super::contract::{
    Awaited, Backend, BackendError, BrokerFaults, BrokerSettings, ClusterPlan, Inside, ROLES, RunningCluster,
    StrikeError, Whereabouts,
};
use super::waiting::{LogEnds, Looking};
use shakedown_cluster::apache::{Apache as Nodes, ApacheError};
use shakedown_cluster::{ClusterEvent, Condition, NodeFault, Role, Strike};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Kafka's default of `replica.fetch.wait.max.ms`, and more than its nodes have here: how long a leader holds a fetch that it
/// has nothing for.
const FETCH_HELD_MAX: Duration = Duration::from_millis(500);

/// Apache Kafka from the jars of [`shakedown_cluster::apache::Jars::find`]: combined nodes, as many as the scenario wants
/// brokers. `[cluster] memory` means nothing to it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Apache;

impl Backend for Apache {
    fn name(&self) -> &'static str {
        "apache"
    }

    fn broker_faults(&self) -> BrokerFaults {
        BrokerFaults { actions: &[NodeFault::Kill, NodeFault::Pause, NodeFault::Restart], roles: &ROLES, inside: false }
    }

    fn broker_settings(&self) -> BrokerSettings {
        BrokerSettings::HandedOn
    }

    fn has_controllers(&self) -> bool {
        false
    }

    fn has_transactions(&self) -> bool {
        true
    }

    fn boot(&self, plan: &ClusterPlan) -> Result<Box<dyn RunningCluster>, BackendError> {
        let mut builder = Nodes::builder().nodes(plan.brokers).seed(plan.seed);
        builder = builder.base_port(plan.base_port.unwrap_or_default());
        for (name, value) in &plan.config {
            builder = builder.config(name, value);
        }
        match builder.start() {
            Ok(nodes) => Ok(Box::new(Running(Arc::new(nodes)))),
            Err(source) => Err(BackendError { backend: self.name(), source: Box::new(source) }),
        }
    }
}

/// The nodes of a run.
#[derive(Debug)]
struct Running(Arc<Nodes>);

/// What cannot be done from outside; validation refuses it before.
#[derive(Debug, thiserror::Error)]
#[error("this cannot be done to a process from outside: {0}")]
pub(super) struct Impossible(pub(super) String);

impl From<ApacheError> for StrikeError {
    fn from(error: ApacheError) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl RunningCluster for Running {
    fn bootstrap_servers(&self) -> String {
        self.0.bootstrap_servers()
    }

    fn is_borrowed(&self) -> bool {
        false
    }

    fn whereabouts(&self) -> Whereabouts {
        Whereabouts::Processes(self.0.nodes().into_iter().filter_map(|node| self.0.process_id(node)).collect())
    }

    fn events(&self) -> Receiver<ClusterEvent> {
        // Without a thread there is a timeline without elections, which decides nothing.
        self.0.events().unwrap_or_else(|_| channel().1)
    }

    fn strike(&self, fault: NodeFault, role: &Role) -> Result<Strike, StrikeError> {
        strike(&self.0, fault, role)
    }

    fn when(&self, condition: Condition, fault: Option<(NodeFault, Role)>) -> Result<Box<dyn Awaited>, StrikeError> {
        let Condition::Produced(produced) = condition else {
            return Err(StrikeError::Failed(Box::new(Impossible(
                "waiting for anything but messages in a topic".to_owned(),
            ))));
        };
        let (watched, struck) = (Arc::clone(&self.0), Arc::clone(&self.0));
        let mut ends = LogEnds::default();
        let looking = Looking::start(
            move || ends.see(watched.log_ends(&produced.topic)) >= produced.count,
            move || match &fault {
                Some((fault, role)) => {
                    let strike = strike(&struck, *fault, role)?;
                    if *fault == NodeFault::Pause {
                        // A follower has a fetch at its leader. That is answered with the next message, into the socket of
                        // a process that stands still, which has it when it goes on. Until the fetch has run out nobody is
                        // told, and so the load waits: nothing that is produced behind this gets there.
                        std::thread::sleep(FETCH_HELD_MAX);
                    }
                    Ok(strike)
                }
                None => Ok(Strike { at: Instant::now(), nodes: Vec::new() }),
            },
        )?;
        Ok(Box::new(looking))
    }

    fn inside(&self) -> Option<&dyn Inside> {
        None
    }

    fn undo(&self, fault: NodeFault, node: i32) -> Result<(), StrikeError> {
        match fault {
            NodeFault::Kill => self.0.start(node)?,
            // Whoever was killed while it stood still has nothing to go on with.
            NodeFault::Pause => match self.0.resume(node) {
                Err(ApacheError::Down { .. }) => {}
                resumed => resumed?,
            },
            // It is up, or on its way.
            _ => {}
        }
        Ok(())
    }

    fn unsettled(&self) -> Option<(i32, Vec<i32>)> {
        self.0.unsettled()
    }
}

fn strike(nodes: &Nodes, fault: NodeFault, role: &Role) -> Result<Strike, StrikeError> {
    let players = nodes.players(role);
    if players.is_empty() {
        return Err(StrikeError::Nobody { role: role.clone() });
    }
    let at = Instant::now();
    for id in &players {
        match fault {
            NodeFault::Kill => nodes.kill(*id)?,
            NodeFault::Pause => nodes.pause(*id)?,
            NodeFault::Restart => {
                nodes.kill(*id)?;
                nodes.start(*id)?;
            }
            other => return Err(StrikeError::Failed(Box::new(Impossible(other.word().to_owned())))),
        }
    }
    Ok(Strike { at, nodes: players })
}
