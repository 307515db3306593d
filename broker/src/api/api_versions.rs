//! `ApiVersions` 0–4 (KIP-35, KIP-511): what this node serves, from the one table.
//!
//! A version from the future is answered in version 0 with `UNSUPPORTED_VERSION`, which `wire/request.rs` marks by
//! [`unsupported`]; the response header is always version 0. From version 3 on, clients must name their software.

use super::{Call, Effect, TABLE};
use crate::node::Node;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::StrBytes;

/// Stands for a request whose version nobody can decode.
const UNSUPPORTED: &str = "\u{0}unsupported";

/// The stand-in for a request of a version from the future.
#[must_use]
pub fn unsupported() -> ApiVersionsRequest {
    ApiVersionsRequest::default().with_client_software_name(StrBytes::from_static_str(UNSUPPORTED))
}

pub(super) fn handle(_: &mut Node, call: &Call, request: ApiVersionsRequest) -> Effect {
    let error = if &*request.client_software_name == UNSUPPORTED {
        ResponseError::UnsupportedVersion.code()
    } else if call.version >= 3
        && !(is_software_name(&request.client_software_name) && is_software_name(&request.client_software_version))
    {
        return ApiVersionsResponse::default().with_error_code(ResponseError::InvalidRequest.code()).into();
    } else {
        0
    };
    let keys = TABLE.iter().map(|entry| {
        ApiVersion::default()
            .with_api_key(entry.key as i16)
            .with_min_version(entry.advertised_min)
            .with_max_version(entry.max)
    });
    let response = ApiVersionsResponse::default().with_error_code(error).with_api_keys(keys.collect());
    if error == 0 && call.version >= 3 { features(response).into() } else { response.into() }
}

/// `ApiVersionsRequest.SOFTWARE_NAME_VERSION_PATTERN`: letters, digits, dots and dashes, a letter or digit at both ends.
fn is_software_name(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric();
    let inner = |c: char| word(c) || c == '.' || c == '-';
    text.starts_with(word) && text.ends_with(word) && text.chars().all(inner)
}

/// The metadata version of Kafka 4.1 (`metadata.version` 27: 4.1-IV1); no feature that is not served is claimed.
fn features(response: ApiVersionsResponse) -> ApiVersionsResponse {
    let name = StrBytes::from_static_str("metadata.version");
    let supported = SupportedFeatureKey::default().with_name(name.clone()).with_min_version(7).with_max_version(27);
    let finalized =
        FinalizedFeatureKey::default().with_name(name).with_min_version_level(27).with_max_version_level(27);
    response
        .with_supported_features(vec![supported])
        .with_finalized_features(vec![finalized])
        .with_finalized_features_epoch(0)
}
