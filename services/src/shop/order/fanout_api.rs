//! The order service's paths in the fanout: `/api/orders`, `/api/orders/{order_id}`, `/api/orders/{order_id}/events`, `/events`
//! (NDJSON), `/stats`.

use super::acceptance::Accepted;
use super::api::{self, Api, unknown};
use super::lifecycle::Status;
use super::object::Object;
use super::orders::{Entry, Order};
use super::validation::NewFanoutOrder;
use crate::http::{ApiError, Problem};
use crate::ids::{PathId, in_path};
use crate::store::page_routes;
use crate::trace::{TRACEPARENT, TraceContext};
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// An order, as it is answered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct FanoutOrder {
    order_id: String,
    user_id: String,
    status: Status,
    /// Rises by one with every step.
    version: i64,
    product_id: String,
    /// In minor units.
    amount: i64,
    /// In microseconds since the Unix epoch.
    created_at_us: i64,
    updated_at_us: i64,
}

impl From<Order> for FanoutOrder {
    fn from(order: Order) -> Self {
        let Order { order_id, user_id, items, total, status, version, created_at_us, updated_at_us } = order;
        let product_id = items.into_iter().next().map(|item| item.product_id).unwrap_or_default();
        Self { order_id, user_id, status, version, product_id, amount: total, created_at_us, updated_at_us }
    }
}

pub(super) fn routes(api: Api) -> OpenApiRouter {
    let trail = api.orders.clone();
    OpenApiRouter::new()
        .routes(routes!(accept))
        .routes(routes!(order))
        .routes(routes!(events))
        .routes(routes!(api::stats))
        .with_state(api)
        .merge(page_routes("/events", "Every step of every order", move |page| trail.clone().trail_of_all(page)))
}

/// Takes an order. The same `orderId` again is the same order.
#[utoipa::path(post, path = "/api/orders", request_body = NewFanoutOrder,
    responses(
        (status = CREATED, body = FanoutOrder, headers(("Location" = String))),
        (status = OK, body = FanoutOrder, description = "It was taken before"),
        (status = BAD_REQUEST, body = Problem, description = "The body is no JSON"),
        (status = PAYLOAD_TOO_LARGE, body = Problem, description = "The body is longer than 256 KiB"),
        (status = UNSUPPORTED_MEDIA_TYPE, body = Problem, description = "The body is not called `application/json`"),
        (status = UNPROCESSABLE_ENTITY, body = Problem, description = "The body is JSON, and no order that can be taken"),
        (status = SERVICE_UNAVAILABLE, body = Problem, description = "Not now: `Retry-After` says when"),
    ))]
async fn accept(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Json<Object<NewFanoutOrder>>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(Object(order)) = body?;
    let order = order.check(&api.catalogue)?;
    let key = order.order_id.clone();
    let trace = headers.get(TRACEPARENT).and_then(|value| TraceContext::parse(value.as_bytes()));
    let (status, order) = match api.acceptance.accept(order, key, trace).await? {
        Accepted::New(order) => (StatusCode::CREATED, order),
        Accepted::Known(order) => (StatusCode::OK, order),
    };
    let place = [(header::LOCATION, format!("/api/orders/{}", in_path(&order.order_id)))];
    Ok((status, place, Json(FanoutOrder::from(order))).into_response())
}

/// An order and where it is.
#[utoipa::path(get, path = "/api/orders/{order_id}", params(("order_id" = String, Path)),
    responses(
        (status = OK, body = FanoutOrder),
        (status = BAD_REQUEST, body = Problem, description = "No order can have this id"),
        (status = NOT_FOUND, body = Problem),
    ))]
async fn order(State(api): State<Api>, PathId(order_id): PathId) -> Result<Json<FanoutOrder>, ApiError> {
    api::cached(&api, &order_id).await.map(|order| Json(order.into()))
}

/// The audit trail of an order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct FanoutTrail {
    order_id: String,
    /// Every step, in order; the versions rise by one.
    events: Vec<Entry>,
}

/// How an order got where it is.
#[utoipa::path(get, path = "/api/orders/{order_id}/events", params(("order_id" = String, Path)),
    responses(
        (status = OK, body = FanoutTrail),
        (status = BAD_REQUEST, body = Problem, description = "No order can have this id"),
        (status = NOT_FOUND, body = Problem),
    ))]
async fn events(State(api): State<Api>, PathId(order_id): PathId) -> Result<Json<FanoutTrail>, ApiError> {
    let events = api.orders.trail(&order_id).await?;
    if events.is_empty() {
        return Err(unknown(&order_id));
    }
    Ok(Json(FanoutTrail { order_id, events }))
}
