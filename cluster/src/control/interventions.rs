//! Interventions over HTTP: what a client of the cluster does to it on behalf of whoever asks. Each is answered when it is
//! over.

use super::messages::Problem;
use super::routes::{Context, Refusal, beside};
use crate::interventions::{Intervention, InterventionError};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How long a second static member stays, unless told otherwise: a little longer than the 3 s between two heartbeats of a
/// client that says nothing else (`heartbeat.interval.ms`).
const CLASH_LASTS_MS: u64 = 5_000;

/// What is to be done. Whatever is not possible at the moment is tried for half a minute.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum InterventionOrder {
    /// Another replica in sync leads a partition.
    MoveLeader {
        /// The partition's topic.
        #[schema(example = "orders")]
        topic: String,
        /// Its index.
        partition: i32,
        /// The broker that leads then; without it the next one in sync.
        to: Option<i32>,
    },
    /// A partition moves to other brokers; answered when that has begun.
    Reassign {
        /// The partition's topic.
        topic: String,
        /// Its index.
        partition: i32,
        /// Brokers, each once, the preferred leader first.
        replicas: Vec<i32>,
    },
    /// A replica that is not in sync leads a partition that has no leader.
    ElectUnclean {
        /// The partition's topic.
        topic: String,
        /// Its index.
        partition: i32,
    },
    /// Another broker coordinates a group.
    MoveCoordinator {
        /// The group.
        group: String,
        /// The broker that coordinates it then; without it the next one in sync.
        to: Option<i32>,
    },
    /// Members are taken out of a group and not told, as if they had exceeded `max.poll.interval.ms`.
    Expel {
        /// The group.
        group: String,
        /// Members with this `client.id`; a `*` at its end stands for any end. Without it all.
        client: Option<String>,
    },
    /// A second member joins under the `group.instance.id` of a static one, which is fenced, and leaves.
    Clash {
        /// The group.
        group: String,
        /// The `group.instance.id`.
        instance: String,
        /// How many milliseconds it stays, by default 5000.
        ms: Option<u64>,
    },
    /// A stand-in joins a group and leaves it, again and again.
    RebalanceStorm {
        /// The group.
        group: String,
        /// How often.
        joins: u32,
    },
}

/// What came of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Outcome {
    /// Whether anything is different now: a leader that is asked to lead leads already.
    changed: bool,
    /// What happened, in words.
    what: String,
}

impl From<InterventionOrder> for Intervention {
    fn from(order: InterventionOrder) -> Self {
        match order {
            InterventionOrder::MoveLeader { topic, partition, to } => Self::MoveLeader { topic, partition, to },
            InterventionOrder::Reassign { topic, partition, replicas } => Self::Reassign { topic, partition, replicas },
            InterventionOrder::ElectUnclean { topic, partition } => Self::ElectUnclean { topic, partition },
            InterventionOrder::MoveCoordinator { group, to } => Self::MoveCoordinator { group, to },
            InterventionOrder::Expel { group, client } => Self::Expel { group, client },
            InterventionOrder::Clash { group, instance, ms } => {
                Self::Clash { group, instance, lasts: Duration::from_millis(ms.unwrap_or(CLASH_LASTS_MS)) }
            }
            InterventionOrder::RebalanceStorm { group, joins } => Self::Storm { group, joins },
        }
    }
}

impl From<InterventionError> for Refusal {
    fn from(error: InterventionError) -> Self {
        let status = match error {
            InterventionError::Refused { .. } | InterventionError::NoReplica { .. } => StatusCode::BAD_REQUEST,
            InterventionError::NotYet { .. } | InterventionError::CalledOff => StatusCode::CONFLICT,
            InterventionError::Unreachable { .. }
            | InterventionError::Garbled { .. }
            | InterventionError::UnknownCode { .. } => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, error.to_string())
    }
}

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(intervene))
}

/// Does something that only a client of the cluster can do, and answers when it is over.
#[utoipa::path(post, path = "/v1/interventions", request_body = InterventionOrder,
    responses((status = OK, body = Outcome), (status = BAD_REQUEST, body = Problem), (status = CONFLICT, body = Problem)))]
async fn intervene(
    State(context): State<Context>,
    Json(order): Json<InterventionOrder>,
) -> Result<Json<Outcome>, Refusal> {
    let intervention = Intervention::from(order);
    let patience = context.patience.clone();
    let intervened = beside(&context, move |cluster| cluster.intervene_while(&intervention, &patience)).await??;
    Ok(Json(Outcome { changed: intervened.changed, what: intervened.what }))
}
