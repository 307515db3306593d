//! Rules over HTTP: a guard is held for each, by number.

#![expect(unused_qualifications, reason = "utoipa writes the type of a query with its module")]

use super::messages::{Problem, RuleOrder, Standing};
use super::routes::{Context, Refusal, beside};
use crate::faults::FaultError;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use shakedown_broker::BrokerId;
use std::time::Duration;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The longest that somebody may wait for hits in one request.
const WAIT_MAX_MS: u64 = 60_000;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(make)).routes(routes!(look, end)).routes(routes!(release))
}

/// Puts a rule for requests into force, behind those that are: the first that hits a request decides about it.
#[utoipa::path(post, path = "/v1/rules", request_body = RuleOrder,
    responses((status = CREATED, body = Standing), (status = BAD_REQUEST, body = Problem),
        (status = NOT_FOUND, body = Problem)))]
async fn make(
    State(context): State<Context>,
    Json(order): Json<RuleOrder>,
) -> Result<(StatusCode, Json<Standing>), Refusal> {
    let rule = order.rule().map_err(|error| Refusal(StatusCode::BAD_REQUEST, error))?;
    if let Some(BrokerId(id)) = rule.selector.node {
        // Clients reach brokers only.
        let known: Vec<i32> = context.cluster.nodes().iter().map(|node| node.id).collect();
        if !known.contains(&id) {
            return Err(FaultError::UnknownNode { id, known }.into());
        }
    }
    let guard = beside(&context, move |cluster| cluster.rule(rule)).await?;
    let id = context.rules.add(guard);
    Ok((StatusCode::CREATED, Json(Standing { id, hits: 0 })))
}

/// How long to wait for which hits.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Patience {
    /// Answer only when it has hit so many requests.
    hits: Option<u64>,
    /// Or when so many milliseconds have passed, 60000 at most.
    wait_ms: Option<u64>,
}

/// How often a rule has hit.
#[utoipa::path(get, path = "/v1/rules/{id}", params(("id" = u64, Path), Patience),
    responses((status = OK, body = Standing), (status = NOT_FOUND, body = Problem)))]
async fn look(
    State(context): State<Context>,
    Path(id): Path<u64>,
    query: Query<Patience>,
) -> Result<Json<Standing>, Refusal> {
    let Query(wait) = query;
    let guard = context.rules.get(id)?;
    let looked = beside(&context, move |_| {
        if let Some(hits) = wait.hits {
            let at_most = Duration::from_millis(wait.wait_ms.unwrap_or(WAIT_MAX_MS).min(WAIT_MAX_MS));
            // Whether it did is in the answer.
            let _ = guard.wait(hits, at_most);
        }
        guard.hits()
    });
    Ok(Json(Standing { id, hits: looked.await? }))
}

/// Lets go on what a rule holds. It stays in force.
#[utoipa::path(post, path = "/v1/rules/{id}/release", params(("id" = u64, Path)),
    responses((status = OK, body = Standing), (status = NOT_FOUND, body = Problem)))]
async fn release(State(context): State<Context>, Path(id): Path<u64>) -> Result<Json<Standing>, Refusal> {
    let guard = context.rules.get(id)?;
    let hits = beside(&context, move |_| {
        guard.release();
        guard.hits()
    });
    Ok(Json(Standing { id, hits: hits.await? }))
}

/// Ends a rule; what it held goes on.
#[utoipa::path(delete, path = "/v1/rules/{id}", params(("id" = u64, Path)),
    responses((status = OK, body = Standing), (status = NOT_FOUND, body = Problem)))]
async fn end(State(context): State<Context>, Path(id): Path<u64>) -> Result<Json<Standing>, Refusal> {
    let guard = context.rules.remove(id)?;
    // Somebody who waits for its hits may have it, too.
    let hits = beside(&context, move |_| guard.end());
    Ok(Json(Standing { id, hits: hits.await? }))
}
