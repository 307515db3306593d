//! Why there is no verdict. Exit code 4, but for scenarios that are wrong (2).

use crate::backend::{BackendError, StrikeError};
use crate::language::problem::ScenarioError;
use crate::plan::PlanError;
use crate::scenario::settings::OverrideError;
use rdkafka::error::KafkaError;
use shakedown_cluster::InterventionError;
use shakedown_loadgen::{LoadError, TapError};
use shakedown_reports::DirectoryError;
use shakedown_reports::record::RecordError;
use std::path::PathBuf;
use std::time::Duration;

/// Why a run came to no verdict.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The scenario is wrong.
    #[error("{}", .0.render(false).trim_end())]
    Scenario(#[from] ScenarioError),
    /// The scenario names a service to replace that it does not have.
    #[error("there is no service `{service}` whose command could be replaced\n  {advice}")]
    UnknownService {
        /// The name that was given.
        service: String,
        /// What is allowed.
        advice: String,
    },
    /// A setting from the command line leads nowhere.
    #[error(transparent)]
    Setting(#[from] OverrideError),
    /// The plan cannot be drawn.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The back end gave no cluster.
    #[error("{}", chain(.0))]
    Backend(#[from] BackendError),
    /// The run directory cannot be written.
    #[error("cannot write the run directory: {0}")]
    Directory(#[from] DirectoryError),
    /// The record cannot be read back.
    #[error("cannot judge the run: {0}")]
    Record(#[from] RecordError),
    /// A chart of the page cannot be drawn.
    #[error("cannot draw the page of the run: {0}")]
    Page(#[from] shakedown_reports::html::ChartError),
    /// The results cannot be written as those of tests.
    #[error(transparent)]
    Junit(#[from] shakedown_reports::junit::JunitError),
    /// Kafka refused something that every run needs.
    #[error("cannot {doing}: {source}")]
    Kafka {
        /// What was being done.
        doing: String,
        /// What the client answered.
        source: KafkaError,
    },
    /// A topic was refused.
    #[error("the cluster refuses the topic `{topic}`: {code}")]
    Topic {
        /// Its name.
        topic: String,
        /// Kafka's error.
        code: String,
    },
    /// A topic of somebody else's cluster is not what the scenario needs.
    #[error(
        "the cluster has a topic `{topic}` already, with {partitions} partitions, and the scenario wants {wanted}\n  \
         delete it, or let the scenario take it as it is"
    )]
    OtherTopic {
        /// Its name.
        topic: String,
        /// How many partitions it has.
        partitions: usize,
        /// How many the scenario wants.
        wanted: usize,
    },
    /// The load generator broke.
    #[error("the load generator broke: {0}")]
    Load(#[from] LoadError),
    /// A tap broke.
    #[error("a tap broke: {0}")]
    Tap(#[from] TapError),
    /// There is no `shakedown` to start built-in services with.
    #[error(
        "cannot find the `shakedown` executable that runs the built-in services: {looked}\n  \
         set SHAKEDOWN_BIN to it, or install it with `cargo install shakedown`, or give every service a `command`"
    )]
    Executable {
        /// Where it was looked for.
        looked: String,
    },
    /// The system would not start a process.
    #[error("cannot start {service}: `{command}`: {source}")]
    Spawn {
        /// The service, with its instance.
        service: String,
        /// The command line.
        command: String,
        /// What the system answered.
        source: std::io::Error,
    },
    /// A service ended before it was ready.
    #[error("{service} {status} before it was ready; its last lines:\n{last_lines}")]
    DiedAtStart {
        /// The service, with its instance.
        service: String,
        /// How it ended.
        status: String,
        /// The end of its log.
        last_lines: String,
    },
    /// A service did not become ready.
    #[error("{service} is not ready after {limit:?}: {reason}; its last lines:\n{last_lines}")]
    NotReady {
        /// The service, with its instance.
        service: String,
        /// How long it was waited for.
        limit: Duration,
        /// What is missing.
        reason: String,
        /// The end of its log.
        last_lines: String,
    },
    /// Something did not come back after a fault was healed. The conductor turns this into a failing verdict.
    #[error("{who} did not come back after its fault was healed: {source}")]
    NotRecovered {
        /// Who: `service tracker`, `the cluster`.
        who: String,
        /// What it did instead.
        source: Box<RunError>,
    },
    /// Brokers did not find each other again.
    #[error("node {node} does not see {missing} alive after {limit:?}")]
    Unsettled {
        /// The node.
        node: i32,
        /// Whom it misses, in words.
        missing: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// A fault could not be done or undone.
    #[error("cannot carry the fault out: {fault}: {source}")]
    Fault {
        /// The fault.
        fault: String,
        /// Why.
        source: StrikeError,
    },
    /// The back end cannot get in between requests, links, connections or clocks; validation refuses such scenarios.
    #[error("the back end is no place for this fault: {fault}")]
    OutOfReach {
        /// The fault.
        fault: String,
    },
    /// The cluster does not agree to what a fault asks of it.
    #[error("cannot carry the fault out: {fault}: {source}")]
    Intervention {
        /// The fault.
        fault: String,
        /// Why.
        source: InterventionError,
    },
    /// This machine has no such server.
    #[error("{server} is not installed: {looked}\n  Debian: apt-get install {package}")]
    NoServer {
        /// What people call it.
        server: &'static str,
        /// The package that has it.
        package: &'static str,
        /// Where it was looked for.
        looked: String,
    },
    /// A server behind a service does not work.
    #[error("{server} {reason}; its last lines:\n{last_lines}")]
    Server {
        /// The server, with whose it is.
        server: String,
        /// What it did instead.
        reason: String,
        /// The end of its log.
        last_lines: String,
    },
    /// A service answered something that the run cannot use.
    #[error("{service} answers GET {path} with something unusable: {reason}")]
    Unusable {
        /// The service, with its instance.
        service: String,
        /// The path.
        path: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// A file or a pipe of the harness itself failed.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the system answered.
        source: std::io::Error,
    },
    /// Somebody asked for the end. The conductor turns this into an inconclusive verdict.
    #[error("the run was interrupted")]
    Interrupted,
    /// Any of these, once there is a run directory to look into.
    #[error("{source}\n  what was seen so far: {}", directory.display())]
    InDirectory {
        /// The run directory.
        directory: PathBuf,
        /// What happened.
        source: Box<RunError>,
    },
}

impl RunError {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        |source| Self::Io { doing, source }
    }

    pub(crate) fn kafka(doing: impl Into<String>) -> impl FnOnce(KafkaError) -> Self {
        let doing = doing.into();
        |source| Self::Kafka { doing, source }
    }

    /// The error itself, without the run directory around it.
    #[must_use]
    pub fn cause(&self) -> &Self {
        match self {
            Self::InDirectory { source, .. } => source.cause(),
            other => other,
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
