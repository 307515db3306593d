//! Starting a service that works in steps: its store, its outbox, and a consumer for its topics and for its retry topic.

use super::retry;
use super::steps::{Counters, Shared, Source, Steps};
use super::{Step, dead_letter};
use crate::config::{ConfigError, Environment};
use crate::error::RunError;
use crate::http::ApiError;
use crate::inbox::Inbox;
use crate::kafka::{Conditions, ConsumerSettings, OrderedProducer, spawn_consumer_as};
use crate::outbox::Outbox;
use crate::service::Context;
use crate::store::{Store, page_routes};
use crate::trace::TraceIds;
use crate::worker::Worker;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Batches are small enough that a failed one costs little, and large enough for few transactions.
const BATCH_EVENTS_MAX: usize = 500;

/// What a service hands over to be started.
pub(crate) struct Parts<'a> {
    pub(crate) name: &'static str,
    pub(crate) store: &'a Store,
    pub(crate) consumes: Vec<String>,
    pub(crate) produces: Vec<String>,
}

/// What was started.
pub(crate) struct Started {
    pub(crate) workers: Vec<Worker>,
    pub(crate) outbox: Outbox,
    /// `/outbox`, `/inbox` and `/backlog`.
    pub(crate) routes: OpenApiRouter,
}

/// How a service of this kind is set up.
#[derive(Debug, Clone)]
struct Settings {
    consumer: ConsumerSettings,
    retry: ConsumerSettings,
    patience: Duration,
    concurrency: usize,
}

impl Settings {
    fn read(parts: &Parts<'_>, environment: &Environment) -> Result<Self, ConfigError> {
        let retry_topic = environment.text("RETRY_TOPIC", &format!("{}.retry", parts.name));
        let consumer = ConsumerSettings::read(environment, parts.consumes.clone(), parts.name, BATCH_EVENTS_MAX)?;
        let group = format!("{}.retry", consumer.group);
        let retry = ConsumerSettings { topics: vec![retry_topic], group, ..consumer };
        let seconds = environment.parse("RETRY_SECONDS", 900, "1 to 86400", |n| (1..=86_400).contains(n))?;
        let concurrency = environment.parse("CONCURRENCY", 32, "1 to 1024", |n| (1..=1024).contains(n))?;
        Ok(Self { consumer, retry, patience: Duration::from_secs(seconds), concurrency })
    }
}

/// Starts the relay of the outbox and the two consumers.
pub(crate) fn start<S: Step>(
    step: S,
    parts: Parts<'_>,
    environment: &Environment,
    context: &Context,
) -> Result<Started, RunError> {
    let settings = Settings::read(&parts, environment)?;
    let Parts { name, store, consumes, produces } = parts;
    let retry_topic: Arc<str> = Arc::from(settings.retry.topics[0].as_str());
    let mut topics = produces;
    topics.push(retry_topic.to_string());
    if context.modes.dead_letter {
        topics.extend(consumes.iter().map(|topic| dead_letter::topic_of(topic)));
    }
    let (outbox, relay) = Outbox::open(store, topics, context)?;
    let inbox = Inbox::new(store);
    let counter = |name: &str, help: &str| context.metrics.counter(name, help);
    let shared = Arc::new(Shared {
        step: Arc::new(step),
        service: name,
        store: store.clone(),
        inbox: inbox.clone(),
        outbox: outbox.clone(),
        topics: consumes,
        retry_topic,
        patience: settings.patience,
        concurrency: settings.concurrency,
        modes: context.modes,
        metrics: context.metrics.clone(),
        failpoint: context.failpoint.clone(),
        counters: Counters {
            recorded: counter("events_recorded", "Events whose effects are in the store"),
            repeated: counter("events_repeated", "Events that were in the inbox already"),
            detoured: counter("events_detoured", "Events sent to the retry topic"),
            dead: counter("events_dead", "Events that became dead letters"),
        },
    });
    let mut workers = Vec::from_iter(relay);
    for (source, conditions, consumer) in [
        (Source::Topics, Conditions::MAIN, &settings.consumer),
        (Source::RetryTopic, Conditions::RETRY, &settings.retry),
    ] {
        let dead_letters = OrderedProducer::create(&context.kafka, &context.metrics)?;
        let shared = Arc::clone(&shared);
        let steps = Steps { shared, source, dead_letters, traces: TraceIds::new(), first_tries: HashMap::new() };
        workers.push(spawn_consumer_as(conditions, consumer, steps, None, context)?);
    }
    Ok(Started { workers, routes: routes(&outbox, &inbox, store), outbox })
}

/// What operators look at.
fn routes(outbox: &Outbox, inbox: &Inbox, store: &Store) -> OpenApiRouter {
    let (written, read) = (outbox.clone(), inbox.clone());
    OpenApiRouter::new()
        .routes(routes!(backlog))
        .with_state((outbox.clone(), store.clone()))
        .merge(page_routes("/outbox", "Events that were written", move |page| written.clone().entries(page)))
        .merge(page_routes("/inbox", "Events that were handled", move |page| read.clone().entries(page)))
}

/// What is under way.
#[derive(Debug, Serialize, ToSchema)]
struct Backlog {
    /// Events that are written and not yet published.
    outbox: i64,
    /// Events on the retry topic.
    retry: i64,
}

/// What this service still has to do, apart from what its group has not read.
#[utoipa::path(get, path = "/backlog", responses((status = OK, body = Backlog)))]
async fn backlog(State((outbox, store)): State<(Outbox, Store)>) -> Result<Json<Backlog>, ApiError> {
    Ok(Json(Backlog { outbox: outbox.waiting().await?, retry: retry::held_count(&store).await? }))
}
