//! The pairs of clusters that sequences run on. A cluster is started when the first sequence wants it, serves all of them,
//! and ends with this.

use crate::differences::Purposes;
use crate::pair::{Both, Pair};
use crate::peers::{self, Peer};
use shakedown_cluster::apache::{ApacheError, Jars, java_program};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What ours is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum With {
    /// Apache Kafka.
    Kafka,
    /// Another cluster of ours, with another seed: whatever differs there is chance that was not taken out.
    Itself,
}

/// Clusters of so many nodes, or those to be.
#[derive(Default)]
struct Clusters {
    ours: OnceLock<Box<dyn Peer>>,
    kafka: OnceLock<Box<dyn Peer>>,
    /// Two of ours of their own: a group that everybody can name must not be another arm's.
    itself: OnceLock<Both<Box<dyn Peer>>>,
}

/// All clusters of a run.
pub(crate) struct Arms {
    one: Clusters,
    three: Clusters,
    /// The three-node sequences kill nodes, one sequence at a time.
    pub(crate) nodes_may_die: std::sync::Mutex<()>,
    pub(crate) purposes: Purposes,
    none: Purposes,
}

impl Arms {
    pub(crate) fn new() -> Self {
        Self {
            one: Clusters::default(),
            three: Clusters::default(),
            nodes_may_die: std::sync::Mutex::new(()),
            purposes: Purposes::read(),
            none: Purposes::default(),
        }
    }

    /// A new sequence on clusters of one or three nodes.
    pub(crate) fn pair(&self, with: With, nodes: u32) -> Pair<'_> {
        let ours = match with {
            With::Kafka => self.ours(nodes),
            With::Itself => self.itself(nodes).ours.as_ref(),
        };
        begun(Pair::new(Both { ours, kafka: self.other(with, nodes) }, self.purposes(with)))
    }

    /// A new sequence in which something else stands for ours.
    pub(crate) fn pair_of<'a>(&'a self, ours: &'a dyn Peer, with: With) -> Pair<'a> {
        begun(Pair::new(Both { ours, kafka: self.other(with, 1) }, self.purposes(with)))
    }

    fn purposes(&self, with: With) -> &Purposes {
        match with {
            With::Kafka => &self.purposes,
            With::Itself => &self.none,
        }
    }

    fn of(&self, nodes: u32) -> &Clusters {
        if nodes == 1 { &self.one } else { &self.three }
    }

    /// The cluster of ours that is compared with Kafka.
    fn ours(&self, nodes: u32) -> &dyn Peer {
        self.of(nodes).ours.get_or_init(|| embedded(nodes, 0)).as_ref()
    }

    fn itself(&self, nodes: u32) -> &Both<Box<dyn Peer>> {
        let start = || Both { ours: embedded(nodes, 0), kafka: embedded(nodes, 99) };
        self.of(nodes).itself.get_or_init(start)
    }

    fn other(&self, with: With, nodes: u32) -> &dyn Peer {
        match with {
            With::Itself => self.itself(nodes).kafka.as_ref(),
            With::Kafka => {
                let start = || -> Box<dyn Peer> { Box::new(peers::apache(nodes).start().expect("Apache Kafka")) };
                self.of(nodes).kafka.get_or_init(start).as_ref()
            }
        }
    }
}

fn embedded(nodes: u32, seed: u64) -> Box<dyn Peer> {
    Box::new(peers::embedded(nodes).seed(seed).start().expect("a cluster"))
}

/// The topic of offsets is there before any sequence lists or makes topics, and so are ids for producers.
fn begun(mut pair: Pair<'_>) -> Pair<'_> {
    let group = pair.name("first");
    pair.await_coordinators(&group);
    pair.await_producer_ids();
    pair
}

/// Why Apache Kafka cannot be started here; nothing where it can.
pub(crate) fn missing() -> Option<String> {
    if let Err(error) = Jars::find() {
        return Some(error.to_string());
    }
    let mut java = Command::new(java_program());
    let tried = java.arg("-version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    match tried {
        Ok(status) if status.success() => None,
        Ok(status) => Some(format!("java does not run: {status}")),
        Err(source) => {
            Some(ApacheError::Spawn { program: format!("{}", java_program().display()), source }.to_string())
        }
    }
}
