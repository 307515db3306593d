//! The HTTP side that every service has: `/health`, `/ready`, `/metrics`, and errors as JSON.

use crate::error::RunError;
use crate::service::Context;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tracing::{error, info};

/// What `Content-Type` says about the OpenMetrics text format, version 1.0.0.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Takes the address, so that a port in use is found before any work begins.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, RunError> {
    TcpListener::bind(address).await.map_err(|source| RunError::Listen { address, source })
}

/// Serves the service's routes and the common ones until a stop is requested.
pub(crate) fn spawn(listener: TcpListener, routes: Router, context: &Context) {
    let router = router(routes, context);
    let stop = context.stop.clone();
    if let Ok(address) = listener.local_addr() {
        info!(http_addr = %address, "listening");
    }
    tokio::spawn(async move {
        let stopped = async move { stop.wait().await };
        if let Err(failure) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
            error!(error = %failure, "failed to serve HTTP");
        }
    });
}

fn router(routes: Router, context: &Context) -> Router {
    let common = Router::new()
        .route("/health", get(|| async { Json(json!({ "status": "up" })) }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(context.clone());
    routes.merge(common)
}

async fn ready(State(context): State<Context>) -> Response {
    let waiting_for = context.readiness.waiting_for();
    if context.stop.is_requested() {
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "ready": false, "waiting_for": { "stop": "stopping" } })))
            .into_response()
    } else if waiting_for.is_empty() {
        Json(json!({ "ready": true })).into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "ready": false, "waiting_for": waiting_for }))).into_response()
    }
}

async fn metrics(State(context): State<Context>) -> Response {
    match context.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(failure) => {
            error!(error = %failure, "failed to encode metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// An answer that is not the one asked for.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// There is no such thing.
    NotFound(String),
    /// The request cannot be understood; says what is allowed.
    BadRequest(String),
    /// The store did not answer.
    Store(sqlx::Error),
}

impl From<sqlx::Error> for ApiError {
    fn from(failure: sqlx::Error) -> Self {
        Self::Store(failure)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::NotFound(message) => (StatusCode::NOT_FOUND, message),
            Self::BadRequest(message) => (StatusCode::BAD_REQUEST, message),
            Self::Store(failure) => {
                error!(error = %failure, "failed to read the store for a request");
                (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer".to_owned())
            }
        };
        (status, Json(json!({ "error": message }))).into_response()
    }
}
