//! The tracker's HTTP paths: `/orders/{order_id}`, `/tracked` (NDJSON), `/stats`.

use super::audit_trail::{AuditTrail, Entry, Totals};
use crate::http::ApiError;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

const LIMIT_DEFAULT: u32 = 1000;
const LIMIT_MAX: u32 = 100_000;

/// Registered nowhere, and what everyone uses for one JSON value a line.
const NDJSON: &str = "application/x-ndjson";

pub(crate) fn routes(trail: AuditTrail) -> Router {
    Router::new()
        .route("/orders/{order_id}", get(order))
        .route("/tracked", get(tracked))
        .route("/stats", get(stats))
        .with_state(trail)
}

/// An order and every event about it; more than one where a producer published it more than once.
#[derive(Debug, Serialize)]
struct TrackedOrder {
    order_id: String,
    user: String,
    item: String,
    quantity: i64,
    events: Vec<Entry>,
}

async fn order(State(trail): State<AuditTrail>, Path(order_id): Path<String>) -> Result<Json<TrackedOrder>, ApiError> {
    let events = trail.of_order(&order_id).await?;
    let Some(first) = events.first() else {
        return Err(ApiError::NotFound(format!("no order {order_id} was tracked")));
    };
    let (user, item, quantity) = (first.user.clone(), first.item.clone(), first.quantity);
    Ok(Json(TrackedOrder { order_id, user, item, quantity, events }))
}

/// Where to read on, and how far.
#[derive(Debug, Deserialize)]
struct Page {
    #[serde(default)]
    after: i64,
    #[serde(default = "limit_default")]
    limit: u32,
}

fn limit_default() -> u32 {
    LIMIT_DEFAULT
}

async fn tracked(
    State(trail): State<AuditTrail>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let Query(Page { after, limit }) = page.map_err(|rejection| ApiError::BadRequest(rejection.body_text()))?;
    if limit == 0 || limit > LIMIT_MAX {
        return Err(ApiError::BadRequest(format!("limit={limit} is not allowed\n  allowed: 1 to {LIMIT_MAX}")));
    }
    let entries = trail.after(after, limit).await?;
    let mut lines = Vec::with_capacity(entries.len() * 192);
    for entry in &entries {
        // Plain fields into memory: neither can fail.
        let _ = serde_json::to_writer(&mut lines, entry);
        lines.push(b'\n');
    }
    Ok(([(header::CONTENT_TYPE, NDJSON)], lines))
}

async fn stats(State(trail): State<AuditTrail>) -> Result<Json<Totals>, ApiError> {
    Ok(Json(trail.totals().await?))
}
