//! Faults of links, connections and clocks over HTTP: what is asked, and a guard for each, by number.

use super::messages::{Problem, Standing};
use super::routes::{Context, Refusal, beside, role};
use crate::disturbance::{Disturbance, Links};
use crate::links::Delay;
use crate::wall::{ClockEffect, TimeShift};
use crate::weather::ClientEffect;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use std::num::NonZeroU64;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A fault that stands until it is ended. Roles are those of `/v1/faults`, looked up now.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum DisturbanceOrder {
    /// Links between nodes are cut. Clients still reach both ends.
    Cut(LinksOrder),
    /// Links between nodes are slow, and stay in order.
    Delay {
        /// Which.
        links: LinksOrder,
        /// How slow, in milliseconds.
        ms: u64,
        /// How much slower still, at most.
        #[serde(default)]
        jitter_ms: u64,
    },
    /// Connections of clients.
    Clients {
        /// At the node that plays this role; at all without it.
        of: Option<String>,
        /// Of the client with this `client.id`; of all without it.
        client: Option<String>,
        /// What happens to them.
        effect: ClientOrder,
        /// How often at most.
        #[schema(minimum = 1)]
        times: Option<u64>,
    },
    /// A wall clock.
    Clock {
        /// Whose.
        of: String,
        /// What is wrong with it.
        effect: ClockOrder,
    },
}

/// Links between nodes.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum LinksOrder {
    /// What one says to the other.
    OneWay {
        /// Who speaks.
        from: String,
        /// Who listens.
        to: String,
    },
    /// Both ways between two.
    Between([String; 2]),
    /// All of one.
    Around(String),
    /// All but those within a group; nodes that are named in no group are one more.
    Groups(Vec<Vec<String>>),
    /// Between two halves of the cluster that hear this one.
    Bridge(String),
    /// All but those of neighbours, where the nodes stand in a ring.
    Ring {},
}

/// What happens to connections.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum ClientOrder {
    /// Nothing arrives any more, either way.
    Cut {},
    /// The node forgets open connections, and nobody tells the clients.
    HalfOpen {},
    /// Answers are late.
    Delay {
        /// How late, in milliseconds.
        ms: u64,
        /// How much later still, at most.
        #[serde(default)]
        jitter_ms: u64,
    },
    /// Each connection carries so much, each way.
    Bandwidth {
        /// Bytes a second, at least one.
        #[schema(value_type = u64, minimum = 1)]
        bytes_per_second: NonZeroU64,
    },
    /// The next answer breaks off, and the connection is reset.
    Reset {
        /// After so many bytes of it.
        after: u64,
    },
    /// A connection that ends is closed later.
    SlowClose {
        /// How much later, in milliseconds.
        ms: u64,
    },
}

/// What is wrong with a clock.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum ClockOrder {
    /// It is so many milliseconds fast.
    Ahead(u64),
    /// It is so many milliseconds slow.
    Behind(u64),
    /// It jumps so many milliseconds into the future.
    JumpAhead(u64),
    /// It jumps so many milliseconds into the past.
    JumpBehind(u64),
    /// It runs at this factor.
    Rate(f64),
}

/// Every wall clock moves on.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AdvanceOrder {
    /// By so many milliseconds.
    ms: u64,
}

fn delay(ms: u64, jitter_ms: u64) -> Delay {
    Delay { by: Duration::from_millis(ms), jitter: Duration::from_millis(jitter_ms) }
}

impl LinksOrder {
    fn links(&self) -> Result<Links, Refusal> {
        Ok(match self {
            Self::OneWay { from, to } => Links::OneWay(role(from)?, role(to)?),
            Self::Between([one, other]) => Links::Between(role(one)?, role(other)?),
            Self::Around(one) => Links::Around(role(one)?),
            Self::Groups(groups) => {
                let group = |group: &Vec<String>| group.iter().map(|one| role(one)).collect();
                Links::Groups(groups.iter().map(group).collect::<Result<_, _>>()?)
            }
            Self::Bridge(one) => Links::Bridge(role(one)?),
            Self::Ring {} => Links::Ring,
        })
    }
}

impl ClientOrder {
    fn effect(&self) -> ClientEffect {
        match *self {
            Self::Cut {} => ClientEffect::Cut,
            Self::HalfOpen {} => ClientEffect::HalfOpen,
            Self::Delay { ms, jitter_ms } => ClientEffect::Delay(delay(ms, jitter_ms)),
            Self::Bandwidth { bytes_per_second } => ClientEffect::Bandwidth { bytes_per_second },
            Self::Reset { after } => ClientEffect::Reset { after },
            Self::SlowClose { ms } => ClientEffect::SlowClose { by: Duration::from_millis(ms) },
        }
    }
}

impl ClockOrder {
    fn effect(&self) -> ClockEffect {
        match *self {
            Self::Ahead(ms) => ClockEffect::Skew(TimeShift::Ahead(Duration::from_millis(ms))),
            Self::Behind(ms) => ClockEffect::Skew(TimeShift::Behind(Duration::from_millis(ms))),
            Self::JumpAhead(ms) => ClockEffect::Jump(TimeShift::Ahead(Duration::from_millis(ms))),
            Self::JumpBehind(ms) => ClockEffect::Jump(TimeShift::Behind(Duration::from_millis(ms))),
            Self::Rate(factor) => ClockEffect::Rate(factor),
        }
    }
}

impl DisturbanceOrder {
    fn disturbance(&self) -> Result<Disturbance, Refusal> {
        Ok(match self {
            Self::Cut(links) => Disturbance::Links { links: links.links()?, delay: None },
            Self::Delay { links, ms, jitter_ms } => {
                Disturbance::Links { links: links.links()?, delay: Some(delay(*ms, *jitter_ms)) }
            }
            Self::Clients { times: Some(0), .. } => {
                let problem = "`times` is 0, which strikes nobody: write 1 or more";
                return Err(Refusal(StatusCode::BAD_REQUEST, problem.to_owned()));
            }
            Self::Clients { of, client, effect, times } => {
                let of = of.as_deref().map(role).transpose()?;
                Disturbance::Clients { of, client: client.clone(), effect: effect.effect(), times: *times }
            }
            Self::Clock { of, effect } => Disturbance::Clock { of: role(of)?, effect: effect.effect() },
        })
    }
}

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(make)).routes(routes!(look, end)).routes(routes!(advance))
}

/// Puts a fault of links, connections or clocks in place, until it is ended.
#[utoipa::path(post, path = "/v1/disturbances", request_body = DisturbanceOrder,
    responses((status = CREATED, body = Standing), (status = BAD_REQUEST, body = Problem),
        (status = NOT_FOUND, body = Problem), (status = CONFLICT, body = Problem)))]
async fn make(
    State(context): State<Context>,
    Json(order): Json<DisturbanceOrder>,
) -> Result<(StatusCode, Json<Standing>), Refusal> {
    let disturbance = order.disturbance()?;
    let guard = beside(&context, move |cluster| cluster.disturb(&disturbance)).await??;
    let id = context.disturbances.add(guard);
    Ok((StatusCode::CREATED, Json(Standing { id, hits: 0 })))
}

/// How often a fault has struck.
#[utoipa::path(get, path = "/v1/disturbances/{id}", params(("id" = u64, Path)),
    responses((status = OK, body = Standing), (status = NOT_FOUND, body = Problem)))]
async fn look(State(context): State<Context>, Path(id): Path<u64>) -> Result<Json<Standing>, Refusal> {
    Ok(Json(Standing { id, hits: context.disturbances.get(id)?.hits() }))
}

/// Ends a fault.
#[utoipa::path(delete, path = "/v1/disturbances/{id}", params(("id" = u64, Path)),
    responses((status = OK, body = Standing), (status = NOT_FOUND, body = Problem)))]
async fn end(State(context): State<Context>, Path(id): Path<u64>) -> Result<Json<Standing>, Refusal> {
    let guard = context.disturbances.remove(id)?;
    let hits = beside(&context, move |cluster| {
        let hits = guard.hits();
        drop(guard);
        // Whatever is asked of the cluster now comes after the fault's end.
        let _ = cluster.controller();
        hits
    });
    Ok(Json(Standing { id, hits: hits.await? }))
}

/// Moves every node's wall clock on, for good: what has become too old is deleted or forgotten.
#[utoipa::path(post, path = "/v1/clock/advance", request_body = AdvanceOrder, responses((status = NO_CONTENT)))]
async fn advance(State(context): State<Context>, Json(order): Json<AdvanceOrder>) -> Result<StatusCode, Refusal> {
    beside(&context, move |cluster| cluster.advance_clock(Duration::from_millis(order.ms))).await?;
    Ok(StatusCode::NO_CONTENT)
}
