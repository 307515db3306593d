//! Which services there are, and what each is given and gives back when it starts.

use crate::config::Environment;
use crate::error::RunError;
use crate::failpoint::Failpoint;
use crate::kafka::{CommitTime, KafkaSettings};
use crate::metrics::Metrics;
use crate::readiness::Readiness;
use crate::stop::Stop;
use crate::worker::Worker;
use crate::{analytics, notification, order, tracker, transaction};
use axum::Router;

/// The names that [`run`](crate::run) accepts.
pub const NAMES: &[&str] = &["analytics", "notification", "order", "tracker", "transaction"];

/// One of [`NAMES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Analytics,
    Notification,
    Order,
    Tracker,
    Transaction,
}

/// What every service of this process shares.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) kafka: KafkaSettings,
    pub(crate) commit: CommitTime,
    pub(crate) failpoint: Failpoint,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
    pub(crate) stop: Stop,
    /// Where threads run their async parts.
    pub(crate) runtime: tokio::runtime::Handle,
}

/// A service that has started.
#[derive(Debug)]
pub(crate) struct Running {
    /// The paths it serves besides the common ones.
    pub(crate) routes: Router,
    /// The thread that does its work.
    pub(crate) worker: Worker,
}

impl Service {
    pub(crate) fn named(name: &str) -> Result<Self, RunError> {
        match name {
            "analytics" => Ok(Self::Analytics),
            "notification" => Ok(Self::Notification),
            "order" => Ok(Self::Order),
            "tracker" => Ok(Self::Tracker),
            "transaction" => Ok(Self::Transaction),
            _ => Err(RunError::UnknownService { name: name.to_owned(), allowed: NAMES }),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Analytics => "analytics",
            Self::Notification => "notification",
            Self::Order => "order",
            Self::Tracker => "tracker",
            Self::Transaction => "transaction",
        }
    }

    /// Reads the service's settings, opens what it needs and starts its worker.
    pub(crate) async fn start(self, environment: &Environment, context: &Context) -> Result<Running, RunError> {
        match self {
            Self::Analytics => analytics::start(environment, context).await,
            Self::Notification => notification::start(environment, context),
            Self::Order => order::start(environment, context),
            Self::Tracker => tracker::start(environment, context).await,
            Self::Transaction => transaction::start(environment, context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_service_and_back() {
        for name in NAMES {
            assert_eq!(Service::named(name).unwrap().name(), *name);
        }
        let error = Service::named("billing").unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown service \"billing\"\n  allowed: analytics, notification, order, tracker, transaction"
        );
    }
}
