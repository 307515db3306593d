//! The order service's paths: `/orders`, `/orders/{order_id}`, `/orders/{order_id}/events`, `/events` (NDJSON), `/stats`.

use super::acceptance::{Acceptance, Accepted};
use super::lifecycle::Status;
use super::object::Object;
use super::orders::{Entry, Order, Orders, Sum};
use super::validation::{NewOrder, SoundOrder, idempotency_key, order_id_of};
use crate::cache::Cache;
use crate::http::{ApiError, Problem};
use crate::ids::{PathId, in_path};
use crate::shop::catalogue::Catalogue;
use crate::store::page_routes;
use crate::trace::{TRACEPARENT, TraceContext};
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How long an order that can no longer change is cached.
const KEEP: Duration = Duration::from_secs(3600);

/// What the handlers have.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) orders: Orders,
    pub(crate) acceptance: Acceptance,
    pub(crate) catalogue: Catalogue,
    pub(crate) cache: Cache,
}

pub(crate) fn routes(api: Api) -> OpenApiRouter {
    let trail = api.orders.clone();
    OpenApiRouter::new()
        .routes(routes!(accept))
        .routes(routes!(order))
        .routes(routes!(events))
        .routes(routes!(stats))
        .with_state(api)
        .merge(page_routes("/events", "Every step of every order", move |page| trail.clone().trail_of_all(page)))
}

/// Takes an order. With an `Idempotency-Key` it can be asked for again without being taken twice; one that is a UUID becomes
/// the order's id.
#[utoipa::path(post, path = "/orders", request_body = NewOrder,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 200 visible ASCII characters")),
    responses(
        (status = CREATED, body = Order, headers(("Location" = String))),
        (status = OK, body = Order, description = "It was taken before, with the same key"),
        (status = BAD_REQUEST, body = Problem, description = "The body is no JSON, or the key is not allowed"),
        (status = PAYLOAD_TOO_LARGE, body = Problem, description = "The body is longer than 256 KiB"),
        (status = UNSUPPORTED_MEDIA_TYPE, body = Problem, description = "The body is not called `application/json`"),
        (status = UNPROCESSABLE_ENTITY, body = Problem, description = "The body is JSON, and no order that can be taken"),
        (status = SERVICE_UNAVAILABLE, body = Problem, description = "Not now: `Retry-After` says when"),
    ))]
async fn accept(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Json<Object<NewOrder>>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(Object(order)) = body?;
    let key = idempotency_key(&headers)?;
    let order = SoundOrder { order_id: key.as_deref().and_then(order_id_of), ..order.check(&api.catalogue)? };
    let trace = headers.get(TRACEPARENT).and_then(|value| TraceContext::parse(value.as_bytes()));
    let (status, order) = match api.acceptance.accept(order, key, trace).await? {
        Accepted::New(order) => (StatusCode::CREATED, order),
        Accepted::Known(order) => (StatusCode::OK, order),
    };
    Ok((status, [(header::LOCATION, format!("/orders/{}", in_path(&order.order_id)))], Json(order)).into_response())
}

/// An order and where it is.
#[utoipa::path(get, path = "/orders/{order_id}", params(("order_id" = String, Path)),
    responses(
        (status = OK, body = Order),
        (status = BAD_REQUEST, body = Problem, description = "No order can have this id"),
        (status = NOT_FOUND, body = Problem),
    ))]
async fn order(State(api): State<Api>, PathId(order_id): PathId) -> Result<Json<Order>, ApiError> {
    cached(&api, &order_id).await.map(Json)
}

/// An order, which may be cached once it can no longer change.
pub(super) async fn cached(api: &Api, order_id: &str) -> Result<Order, ApiError> {
    let read = async {
        let order = api.orders.get(order_id).await?.ok_or_else(|| unknown(order_id))?;
        let keep = order.status.is_terminal().then_some(KEEP);
        Ok((order, keep))
    };
    api.cache.through(&format!("orders/{order_id}"), read).await
}

/// The audit trail of an order.
#[derive(Debug, Serialize, ToSchema)]
struct Trail {
    order_id: String,
    /// Every step, in order; the versions rise by one.
    events: Vec<Entry>,
}

/// How an order got where it is.
#[utoipa::path(get, path = "/orders/{order_id}/events", params(("order_id" = String, Path)),
    responses(
        (status = OK, body = Trail),
        (status = BAD_REQUEST, body = Problem, description = "No order can have this id"),
        (status = NOT_FOUND, body = Problem),
    ))]
async fn events(State(api): State<Api>, PathId(order_id): PathId) -> Result<Json<Trail>, ApiError> {
    let events = api.orders.trail(&order_id).await?;
    if events.is_empty() {
        return Err(unknown(&order_id));
    }
    Ok(Json(Trail { order_id, events }))
}

/// How many orders there are, and what they are worth.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Stats {
    orders: i64,
    /// In minor units.
    total: i64,
    /// By status, in lower case.
    #[serde(flatten)]
    by_status: BTreeMap<String, Sum>,
    /// Orders that nothing can happen to any more.
    settled: i64,
}

/// What became of the orders.
#[utoipa::path(get, path = "/stats", responses((status = OK, body = Stats)))]
pub(super) async fn stats(State(api): State<Api>) -> Result<Json<Stats>, ApiError> {
    let mut stats = Stats::default();
    for (_, word) in Status::all() {
        stats.by_status.insert(word.to_lowercase(), Sum::default());
    }
    for (word, sum) in api.orders.sums().await? {
        stats.orders += sum.orders;
        stats.total = stats.total.saturating_add(sum.total);
        if Status::of_word(&word).is_some_and(Status::is_terminal) {
            stats.settled += sum.orders;
        }
        stats.by_status.insert(word.to_lowercase(), sum);
    }
    Ok(Json(stats))
}

pub(super) fn unknown(order_id: &str) -> ApiError {
    ApiError::NotFound(format!("there is no order {order_id}"))
}
