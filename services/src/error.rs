//! Why a service does not start, and why a running one gives up. Both end the process; what a service survives
//! (a batch to be retried, a malformed event) has its own type where it happens.

use crate::config::ConfigError;
use rdkafka::error::KafkaError;
use std::net::SocketAddr;
use std::process::ExitCode;
use thiserror::Error;

/// The exit code of a service that failed while starting or running.
pub(crate) const EXIT_FAILED: u8 = 1;
/// The exit code of a service that was asked for in a wrong way: unknown name, wrong variable.
pub(crate) const EXIT_USAGE: u8 = 2;

/// Why a service ended in any other way than by being told to.
#[derive(Debug, Error)]
pub(crate) enum RunError {
    #[error("unknown service \"{name}\"\n  allowed: {}", allowed.join(", "))]
    UnknownService { name: String, allowed: &'static [&'static str] },
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("failed to start the async runtime: {0}")]
    Runtime(#[source] std::io::Error),
    #[error("failed to listen on HTTP_ADDR={address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("failed to listen for signals: {0}")]
    Signals(#[source] std::io::Error),
    #[error("failed to create the Kafka {client}: {source}")]
    KafkaClient { client: &'static str, source: KafkaError },
    #[error("failed to open the store {url}: {source}")]
    Store { url: String, source: sqlx::Error },
    #[error("failed to migrate the store {url}: {source}")]
    Migrate { url: String, source: sqlx::migrate::MigrateError },
    #[error("failed to prepare an HTTP client: {0}")]
    HttpClient(#[source] reqwest::Error),
    #[error("worker {worker} gave up: {source}")]
    Worker { worker: &'static str, source: Box<WorkerError> },
    #[error("worker {worker} panicked")]
    WorkerPanicked { worker: &'static str },
    #[error("worker {worker} ended although nobody asked it to")]
    WorkerEnded { worker: &'static str },
    #[error("worker {worker} did not finish within {seconds} s of being asked to stop")]
    StopTimeout { worker: &'static str, seconds: u64 },
}

/// Why a worker cannot go on. The process ends with it: a supervisor restarts it from what was last committed.
#[derive(Debug, Error)]
pub(crate) enum WorkerError {
    #[error("failed to {during}: {source}")]
    Kafka { during: &'static str, source: KafkaError },
    #[error("failed to read where to resume: {0}")]
    Positions(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("failed to rewind {topic}/{partition} to offset {offset}: {source}")]
    Rewind { topic: String, partition: i32, offset: i64, source: KafkaError },
}

impl RunError {
    /// What the process exits with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        let code = match self {
            Self::UnknownService { .. } | Self::Config(_) => EXIT_USAGE,
            // Properties that are fine alone and contradict each other (`acks=1` with idempotence) show up only here.
            Self::KafkaClient { source: KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_), .. } => {
                EXIT_USAGE
            }
            _ => EXIT_FAILED,
        };
        ExitCode::from(code)
    }
}
