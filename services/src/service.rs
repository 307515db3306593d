//! Which services there are, and what each is given and gives back when it starts.

use crate::config::{ConfigError, Environment};
use crate::error::RunError;
use crate::failpoint::Failpoint;
use crate::kafka::KafkaSettings;
use crate::metrics::Metrics;
use crate::modes::Modes;
use crate::readiness::Readiness;
use crate::shop::{self, Flow};
use crate::stop::Stop;
use crate::tracker::{self, Domain};
use crate::worker::Worker;
use crate::{analytics, notification, order, transaction};
use utoipa_axum::router::OpenApiRouter;

/// The names that [`run`](crate::run) accepts. Some systems have a service of the same name: `SYSTEM` says whose it is.
pub const NAMES: &[&str] = &[
    "analytics",
    "inventory",
    "notification",
    "order",
    "orders-service",
    "payment",
    "payments-service",
    "shipping-service",
    "tracker",
    "transaction",
];

/// What `SYSTEM` may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum System {
    Billing,
    Fanout,
    Platform,
    Storefront,
    Tracker,
}

/// Every service, with its name and its system. Where `SYSTEM` is not set the first of a name is meant.
const SERVICES: [(&str, System, Service); 16] = [
    ("analytics", System::Billing, Service::Analytics),
    ("notification", System::Billing, Service::Notification),
    ("order", System::Billing, Service::Order),
    ("transaction", System::Billing, Service::Transaction),
    ("order", System::Storefront, Service::ShopOrder(Flow::StepByStep)),
    ("payment", System::Storefront, Service::ShopPayment(Flow::StepByStep)),
    ("inventory", System::Storefront, Service::ShopInventory(Flow::StepByStep)),
    ("notification", System::Storefront, Service::ShopNotification(Flow::StepByStep)),
    ("order", System::Fanout, Service::ShopOrder(Flow::SideBySide)),
    ("payment", System::Fanout, Service::ShopPayment(Flow::SideBySide)),
    ("inventory", System::Fanout, Service::ShopInventory(Flow::SideBySide)),
    ("notification", System::Fanout, Service::ShopNotification(Flow::SideBySide)),
    ("tracker", System::Tracker, Service::Tracking(Domain::TRACKER)),
    ("orders-service", System::Platform, Service::Tracking(Domain::ORDERS)),
    ("payments-service", System::Platform, Service::Tracking(Domain::PAYMENTS)),
    ("shipping-service", System::Platform, Service::Tracking(Domain::SHIPPING)),
];

/// The words for systems.
const SYSTEMS: [(&str, System); 5] = [
    ("billing", System::Billing),
    ("fanout", System::Fanout),
    ("platform", System::Platform),
    ("storefront", System::Storefront),
    ("tracker", System::Tracker),
];

/// The systems: what `SYSTEM` may be.
pub fn systems() -> impl Iterator<Item = &'static str> {
    SYSTEMS.iter().map(|(word, _)| *word)
}

/// Whether there is a service of this name that keeps a store, where `DATABASE_URL` says: in this system, or without one in
/// the first that has a service of the name.
#[must_use]
pub fn keeps_store(name: &str, system: Option<&str>) -> bool {
    let asked = system.and_then(|system| SYSTEMS.iter().find(|(word, _)| *word == system)).map(|(_, system)| *system);
    let found = SERVICES.iter().find(|(known, of, _)| *known == name && asked.is_none_or(|asked| asked == *of));
    found.is_some_and(|(_, _, service)| {
        !matches!(service, Service::Notification | Service::Order | Service::Transaction)
    })
}

/// One service of one system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Analytics,
    Notification,
    Order,
    ShopInventory(Flow),
    ShopNotification(Flow),
    ShopOrder(Flow),
    ShopPayment(Flow),
    Tracking(Domain),
    Transaction,
}

/// What every service of this process shares.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) kafka: KafkaSettings,
    pub(crate) modes: Modes,
    pub(crate) failpoint: Failpoint,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
    pub(crate) stop: Stop,
    /// Where threads run their async parts.
    pub(crate) runtime: tokio::runtime::Handle,
}

/// A service that has started.
pub(crate) struct Running {
    /// The paths it serves besides the common ones.
    pub(crate) routes: OpenApiRouter,
    /// The threads that do its work. Never none.
    pub(crate) workers: Vec<Worker>,
}

impl Running {
    /// A service with a single worker.
    pub(crate) fn with(routes: OpenApiRouter, worker: Worker) -> Self {
        Self { routes, workers: vec![worker] }
    }
}

impl Service {
    /// The service of this name, in the system that the environment says.
    pub(crate) fn named(name: &str, environment: &Environment) -> Result<(&'static str, Self), RunError> {
        let mut of_name = SERVICES.iter().filter(|(known, ..)| *known == name).peekable();
        let Some((_, first, _)) = of_name.peek() else {
            return Err(RunError::UnknownService { name: name.to_owned(), allowed: NAMES });
        };
        let asked = match environment.optional("SYSTEM") {
            Some(_) => environment.choice("SYSTEM", &SYSTEMS)?,
            None => *first,
        };
        let found = of_name.find(|(_, system, _)| *system == asked);
        found
            .map(|(name, _, service)| (*name, *service))
            .ok_or_else(|| RunError::Config(not_in_system(name, environment)))
    }

    /// Reads the service's settings, opens what it needs and starts its workers.
    pub(crate) async fn start(self, environment: &Environment, context: &Context) -> Result<Running, RunError> {
        match self {
            Self::Analytics => analytics::start(environment, context).await,
            Self::Notification => notification::start(environment, context),
            Self::Order => order::start(environment, context),
            Self::ShopInventory(flow) => shop::inventory::start(flow, environment, context).await,
            Self::ShopNotification(flow) => shop::notification::start(flow, environment, context).await,
            Self::ShopOrder(flow) => shop::order::start(flow, environment, context).await,
            Self::ShopPayment(flow) => shop::payment::start(flow, environment, context).await,
            Self::Tracking(domain) => tracker::start(domain, environment, context).await,
            Self::Transaction => transaction::start(environment, context),
        }
    }
}

/// The system is one, and has no service of this name.
fn not_in_system(name: &str, environment: &Environment) -> ConfigError {
    let has_it = |system: System| SERVICES.iter().any(|(known, of, _)| *known == name && *of == system);
    let words: Vec<&str> = SYSTEMS.iter().filter(|(_, system)| has_it(*system)).map(|(word, _)| *word).collect();
    ConfigError {
        variable: "SYSTEM".to_owned(),
        value: environment.text("SYSTEM", ""),
        allowed: format!("{}, where there is a service {name}", words.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, system: &str) -> Result<(&'static str, Service), RunError> {
        Service::named(name, &Environment::from_iter([("SYSTEM", system)]))
    }

    #[test]
    fn every_name_is_a_service_and_every_service_has_a_name() {
        for name in NAMES {
            assert_eq!(named(name, "").unwrap().0, *name);
        }
        assert!(SERVICES.iter().all(|(name, ..)| NAMES.contains(name)));
        let error = named("billing", "").unwrap_err();
        assert_eq!(error.to_string(), format!("unknown service \"billing\"\n  allowed: {}", NAMES.join(", ")));
    }

    #[test]
    fn who_keeps_a_store_is_known() {
        for (name, system, keeps) in [
            ("order", None, false),
            ("order", Some("storefront"), true),
            ("notification", Some("billing"), false),
            ("notification", Some("fanout"), true),
            ("analytics", None, true),
            ("tracker", None, true),
            ("tracker", Some("storefront"), false),
            ("nobody", None, false),
        ] {
            assert_eq!(keeps_store(name, system), keeps, "{name} of {system:?}");
        }
        assert!(
            systems().all(|system| Environment::from_iter([("SYSTEM", system)]).choice("SYSTEM", &SYSTEMS).is_ok())
        );
    }

    #[test]
    fn the_system_says_whose_service_it_is() {
        assert_eq!(named("order", "").unwrap().1, Service::Order);
        assert_eq!(named("order", "storefront").unwrap().1, Service::ShopOrder(Flow::StepByStep));
        assert_eq!(named("payment", "").unwrap().1, Service::ShopPayment(Flow::StepByStep));
        let error = named("payment", "billing").unwrap_err();
        assert_eq!(
            error.to_string(),
            "SYSTEM=\"billing\" is not allowed\n  allowed: fanout, storefront, where there is a service payment"
        );
        assert!(
            named("order", "shop").unwrap_err().to_string().contains("billing, fanout, platform, storefront, tracker")
        );
    }
}
