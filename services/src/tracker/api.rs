//! The tracker's HTTP paths: `/orders/{order_id}`, `/tracked` (NDJSON), `/stats`.

use super::audit_trail::{AuditTrail, Entry, Totals};
use crate::http::{ApiError, Problem};
use crate::ids::PathId;
use crate::store::page_routes;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) fn routes(trail: AuditTrail) -> OpenApiRouter {
    let tracked = trail.clone();
    OpenApiRouter::new().routes(routes!(order)).routes(routes!(stats)).with_state(trail).merge(page_routes(
        "/tracked",
        "The audit trail",
        move |page| tracked.clone().after(page),
    ))
}

/// An order and every event about it; more than one where a producer published it more than once.
#[derive(Debug, Serialize, ToSchema)]
struct TrackedOrder {
    order_id: String,
    user: String,
    item: String,
    quantity: i64,
    events: Vec<Entry>,
}

/// What became of an order.
#[utoipa::path(get, path = "/orders/{order_id}", params(("order_id" = String, Path)),
    responses(
        (status = OK, body = TrackedOrder),
        (status = BAD_REQUEST, body = Problem, description = "No order can have this id"),
        (status = NOT_FOUND, body = Problem),
    ))]
async fn order(State(trail): State<AuditTrail>, PathId(order_id): PathId) -> Result<Json<TrackedOrder>, ApiError> {
    let events = trail.of_order(&order_id).await?;
    let Some(first) = events.first() else {
        return Err(ApiError::NotFound(format!("no order {order_id} was tracked")));
    };
    let (user, item, quantity) = (first.user.clone(), first.item.clone(), first.quantity);
    Ok(Json(TrackedOrder { order_id, user, item, quantity, events }))
}

/// What the audit trail adds up to.
#[utoipa::path(get, path = "/stats", responses((status = OK, body = Totals)))]
async fn stats(State(trail): State<AuditTrail>) -> Result<Json<Totals>, ApiError> {
    Ok(Json(trail.totals().await?))
}
