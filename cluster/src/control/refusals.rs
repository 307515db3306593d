//! What is refused before a handler sees it: a body that is not understood, a parameter that is no number, a path that is not
//! there. It is told as every other refusal is, and described where it may happen.

use super::messages::Problem;
use super::routes::Refusal;
use axum::body::to_bytes;
use axum::http::StatusCode;
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use utoipa::ToSchema;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, ResponseBuilder};

/// More than any such refusal says.
const TEXT_MAX: usize = 64 * 1024;

/// What may be wrong with a parameter.
const OF_PARAMETERS: [(StatusCode, &str); 1] = [(StatusCode::BAD_REQUEST, "a parameter is not what it has to be")];

/// What may be wrong with a body.
const OF_BODIES: [(StatusCode, &str); 4] = [
    (StatusCode::BAD_REQUEST, "the body is no JSON, or says what cannot be"),
    (StatusCode::PAYLOAD_TOO_LARGE, "the body is too long"),
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body is not called `application/json`"),
    (StatusCode::UNPROCESSABLE_ENTITY, "the body is JSON, but not what is described here"),
];

/// Makes a [`Problem`] of a refusal that is none.
pub(super) async fn tell(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let is_told = parts.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if is_told || !parts.status.is_client_error() {
        return Response::from_parts(parts, body);
    }
    let text = to_bytes(body, TEXT_MAX).await.unwrap_or_default();
    let error = match String::from_utf8_lossy(&text) {
        text if text.is_empty() => format!("{}: `GET /openapi.json` describes what is served", parts.status),
        text => text.into_owned(),
    };
    let mut told = Refusal(parts.status, error).into_response();
    if let Some(allowed) = parts.headers.get(ALLOW) {
        told.headers_mut().insert(ALLOW, allowed.clone());
    }
    told
}

/// Describes these refusals wherever the handlers' own descriptions do not.
pub(super) fn describe(document: &mut OpenApi) {
    let operations =
        document.paths.paths.values_mut().flat_map(|item| [&mut item.get, &mut item.post, &mut item.delete]);
    for operation in operations.flatten() {
        if operation.request_body.is_some() {
            add(operation, &OF_BODIES);
        }
        if operation.parameters.is_some() {
            add(operation, &OF_PARAMETERS);
        }
    }
}

fn add(operation: &mut Operation, refusals: &[(StatusCode, &str)]) {
    for (status, description) in refusals {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
        let refusal = ResponseBuilder::new().description(*description).content("application/json", content).build();
        operation.responses.responses.entry(status.as_str().to_owned()).or_insert_with(|| refusal.into());
    }
}
