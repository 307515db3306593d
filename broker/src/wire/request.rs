//! One frame to one request: the header, the version, the guard, the codec.
//!
//! Owns what happens before a request can be understood. What it means belongs to `api/`.

use super::schema::{self, Malformed};
use crate::api;
use bytes::{Buf, Bytes};
use kafka_protocol::messages::{ApiKey, RequestHeader, RequestKind};
use kafka_protocol::protocol::{Decodable, StrBytes};

/// What a reply needs to know of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyHeader {
    /// The API that was called.
    pub key: ApiKey,
    /// The version that the body of the reply must have.
    pub version: i16,
    /// The number by which the client finds its request again.
    pub correlation_id: i32,
}

/// A request, understood.
#[derive(Debug, Clone)]
pub struct Frame {
    /// What the reply needs.
    pub reply: ReplyHeader,
    /// The client's name for itself, `client.id`.
    pub client_id: Option<StrBytes>,
    /// The request.
    pub request: RequestKind,
}

/// Why a frame ends its connection, as in Kafka: what cannot be understood cannot be answered either.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Not even a header.
    #[error("a frame of {length} bytes is too short for a request header")]
    Header {
        /// The frame's length.
        length: usize,
    },
    /// The API is not in the table.
    #[error("API key {key} is not supported here; ApiVersions lists what is")]
    UnsupportedApi {
        /// The key on the wire.
        key: i16,
    },
    /// The version is not in the table.
    #[error("{api:?} version {version} is not supported here, {min} to {max} are")]
    UnsupportedVersion {
        /// The API.
        api: ApiKey,
        /// The version on the wire.
        version: i16,
        /// The lowest that works.
        min: i16,
        /// The highest that works.
        max: i16,
    },
    /// Lengths that cannot be true.
    #[error("malformed {api:?} request, version {version}: {reason}")]
    Malformed {
        /// The API.
        api: ApiKey,
        /// Its version.
        version: i16,
        /// Where the walk ended.
        reason: Malformed,
    },
    /// The codec said no.
    #[error("undecodable {api:?} request, version {version}: {reason}")]
    Undecodable {
        /// The API.
        api: ApiKey,
        /// Its version.
        version: i16,
        /// What the codec said.
        reason: String,
    },
}

/// Decodes a frame without its length prefix. Record batches in it share the frame's memory.
///
/// An `ApiVersions` request of a version from the future is answered in version 0 with `UNSUPPORTED_VERSION`: its
/// reply header says version 0, and its body is left empty (KIP-511).
///
/// # Errors
/// When the connection has to be closed; see [`FrameError`].
pub fn decode(mut frame: Bytes) -> Result<Frame, FrameError> {
    let length = frame.len();
    if length < 8 {
        return Err(FrameError::Header { length });
    }
    let key = i16::from_be_bytes([frame[0], frame[1]]);
    let version = i16::from_be_bytes([frame[2], frame[3]]);
    let entry = api::lookup(key).ok_or(FrameError::UnsupportedApi { key })?;
    let api = entry.key;
    if !entry.serves(version) {
        if api == ApiKey::ApiVersions {
            let correlation_id = i32::from_be_bytes([frame[4], frame[5], frame[6], frame[7]]);
            let reply = ReplyHeader { key: api, version: 0, correlation_id };
            let request = RequestKind::ApiVersions(api::api_versions::unsupported());
            return Ok(Frame { reply, client_id: None, request });
        }
        return Err(FrameError::UnsupportedVersion { api, version, min: entry.min, max: entry.max });
    }
    let undecodable =
        |error: &dyn std::fmt::Display| FrameError::Undecodable { api, version, reason: error.to_string() };
    let header =
        RequestHeader::decode(&mut frame, api.request_header_version(version)).map_err(|error| undecodable(&error))?;
    schema::check_body(key, version, frame.chunk()).map_err(|reason| FrameError::Malformed { api, version, reason })?;
    let request = RequestKind::decode(api, &mut frame, version).map_err(|error| undecodable(&error))?;
    let reply = ReplyHeader { key: api, version, correlation_id: header.correlation_id };
    Ok(Frame { reply, client_id: header.client_id, request })
}
