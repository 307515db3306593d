//! The HTTP side that every service has: `/health`, `/ready`, `/metrics`, `/openapi.json`, and errors as JSON.

use crate::error::RunError;
use crate::readiness::Conditions;
use crate::service::Context;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tracing::{error, info};
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What `Content-Type` says about the OpenMetrics text format, version 1.0.0.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The longest body that is read. A hundred lines of an order take some 20 KiB.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// When a client that was turned away may come again, in seconds.
const RETRY_AFTER_SECONDS: &str = "1";

/// Takes the address, so that a port in use is found before any work begins.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, RunError> {
    TcpListener::bind(address).await.map_err(|source| RunError::Listen { address, source })
}

/// Serves the service's routes and the common ones until a stop is requested.
pub(crate) fn spawn(listener: TcpListener, service: &str, routes: OpenApiRouter, context: &Context) {
    let router = router(service, routes, context);
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

fn router(service: &str, routes: OpenApiRouter, context: &Context) -> Router {
    let common = OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(ready))
        .routes(routes!(metrics))
        .with_state(context.clone());
    let (router, mut document) = routes.merge(common).split_for_parts();
    document.info.title = format!("Shakedown: {service}");
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    document.info.description = Some(format!("What the service {service} answers. Errors are `{{\"error\"}}`."));
    let document = Arc::new(document);
    let describe = move || async move { Json::<OpenApi>((*document).clone()) };
    router
        .route("/openapi.json", get(describe))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

async fn no_such_path(uri: Uri) -> ApiError {
    ApiError::NotFound(format!("there is no {}\n  GET /openapi.json says what there is", uri.path()))
}

async fn no_such_method(method: Method, uri: Uri) -> Response {
    let error = format!("{} does not take {method}", uri.path());
    (StatusCode::METHOD_NOT_ALLOWED, Json(json!({ "error": error }))).into_response()
}

/// Whether the process lives.
#[utoipa::path(get, path = "/health", responses((status = OK, description = "It lives")))]
async fn health() -> Response {
    Json(json!({ "status": "up" })).into_response()
}

/// Whether it can do its work, and what it waits for if not.
#[utoipa::path(get, path = "/ready", responses(
    (status = OK, description = "It can; `degraded` says for what not, if there is such"),
    (status = SERVICE_UNAVAILABLE, description = "`waiting_for` says for what it waits"),
))]
async fn ready(State(context): State<Context>) -> Response {
    if context.stop.is_requested() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({ "ready": false, "waiting_for": { "stop": "stopping" } })),
        )
            .into_response();
    }
    let conditions = context.readiness.conditions();
    let ready = conditions.waiting_for.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ReadyAnswer { ready, conditions })).into_response()
}

/// What `/ready` says.
#[derive(Debug, Serialize)]
struct ReadyAnswer {
    ready: bool,
    #[serde(flatten)]
    conditions: Conditions,
}

/// The figures of this process, in the OpenMetrics text format.
#[utoipa::path(get, path = "/metrics", responses((status = OK, description = "The figures", body = String)))]
async fn metrics(State(context): State<Context>) -> Response {
    match context.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(failure) => {
            error!(error = %failure, "failed to encode metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// What an answer says that is not the one asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// What is wrong, and what is allowed.
    pub(crate) error: String,
}

/// An answer that is not the one asked for.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// There is no such thing.
    NotFound(String),
    /// The request cannot be understood; says what is allowed.
    BadRequest(String),
    /// The request is understood and asks for what cannot be; says what can.
    Invalid(String),
    /// A body that was not understood, with the status that says why.
    Body(StatusCode, String),
    /// Not now.
    Busy(&'static str),
    /// The store did not answer.
    Store(sqlx::Error),
}

impl From<sqlx::Error> for ApiError {
    fn from(failure: sqlx::Error) -> Self {
        Self::Store(failure)
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        Self::Body(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::BadRequest(rejection.body_text())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::NotFound(message) => (StatusCode::NOT_FOUND, message),
            Self::BadRequest(message) => (StatusCode::BAD_REQUEST, message),
            Self::Invalid(message) => (StatusCode::UNPROCESSABLE_ENTITY, message),
            Self::Body(status, message) => (status, message),
            Self::Busy(message) => (StatusCode::SERVICE_UNAVAILABLE, message.to_owned()),
            Self::Store(failure) => {
                error!(error = %failure, "the store failed a request");
                (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer".to_owned())
            }
        };
        let problem = Json(Problem { error: message });
        if status == StatusCode::SERVICE_UNAVAILABLE {
            (status, [(header::RETRY_AFTER, RETRY_AFTER_SECONDS)], problem).into_response()
        } else {
            (status, problem).into_response()
        }
    }
}
