//! Ledgers over HTTP: `?after=POSITION&limit=N`, one JSON object a line, in the order of positions.

use crate::http::ApiError;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};
use std::future::Future;
use utoipa::IntoParams;
use utoipa::openapi::ResponseBuilder;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterIn};
use utoipa_axum::router::OpenApiRouter;

const LIMIT_DEFAULT: u32 = 1000;
const LIMIT_MAX: u32 = 100_000;

/// Registered nowhere, and what everyone uses for one JSON value a line.
const NDJSON: &str = "application/x-ndjson";

/// Where to read on, and how far.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
pub(crate) struct Page {
    /// Behind this position; 0 by default.
    #[serde(default)]
    pub(crate) after: i64,
    /// At most so many entries, 1 to 100000; 1000 by default.
    #[serde(default = "limit_default")]
    pub(crate) limit: u32,
}

fn limit_default() -> u32 {
    LIMIT_DEFAULT
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let page: Result<Query<Self>, QueryRejection> = Query::from_request_parts(parts, state).await;
        let Query(page) = page?;
        if page.limit == 0 || page.limit > LIMIT_MAX {
            let limit = page.limit;
            return Err(ApiError::BadRequest(format!("limit={limit} is not allowed\n  allowed: 1 to {LIMIT_MAX}")));
        }
        Ok(page)
    }
}

/// Entries as lines.
fn lines<E: Serialize>(entries: &[E]) -> Response {
    let mut lines = Vec::with_capacity(entries.len() * 192);
    for entry in entries {
        // Plain fields into memory: neither can fail.
        let _ = serde_json::to_writer(&mut lines, entry);
        lines.push(b'\n');
    }
    ([(header::CONTENT_TYPE, NDJSON)], lines).into_response()
}

/// A path that serves a ledger, with its place in the OpenAPI document.
pub(crate) fn page_routes<E, F>(
    path: &str,
    what: &str,
    read: impl Fn(Page) -> F + Clone + Send + Sync + 'static,
) -> OpenApiRouter
where
    E: Serialize + Send,
    F: Future<Output = Result<Vec<E>, sqlx::Error>> + Send + 'static,
{
    let serve = move |page: Page| {
        let entries = read(page);
        async move { entries.await.map(|entries| lines(&entries)).map_err(ApiError::from) }
    };
    let mut router = OpenApiRouter::new().route(path, get(serve));
    let operation = OperationBuilder::new()
        .summary(Some(format!("{what}, one JSON object a line, each with its `position`")))
        .parameters(Some(Page::into_params(|| Some(ParameterIn::Query))))
        .response("200", ResponseBuilder::new().description(NDJSON).build())
        .response("400", ResponseBuilder::new().description("`after` or `limit` is not allowed").build());
    router.get_openapi_mut().paths.add_path_operation(path, vec![HttpMethod::Get], operation.build());
    router
}
