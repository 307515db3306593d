//! A response to the bytes of a frame, as a list of pieces so that record batches are never copied on their way out.

use super::fetch::FetchResponse;
use super::request::ReplyHeader;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ResponseHeader, ResponseKind};
use kafka_protocol::protocol::Encodable;
use std::collections::VecDeque;

/// What a node answers.
#[derive(Debug, Clone)]
pub enum Response {
    /// Anything the codec can write.
    Plain(ResponseKind),
    /// A fetch, whose records stay where they are.
    Fetch(FetchResponse),
}

impl<T: Into<ResponseKind>> From<T> for Response {
    fn from(response: T) -> Self {
        Self::Plain(response.into())
    }
}

/// Record batches below this size are copied between their neighbours: a copy is cheaper than a piece of its own.
const COPY_BELOW: usize = 1024;

/// Bytes on their way out: whole pieces, then the tail that is still being written.
#[derive(Debug, Default)]
pub struct Outgoing {
    pieces: VecDeque<Bytes>,
    tail: BytesMut,
}

impl Outgoing {
    /// Whether everything has been taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.tail.is_empty()
    }

    /// Closes the tail and hands all pieces over, in order.
    pub fn take(&mut self) -> VecDeque<Bytes> {
        if !self.tail.is_empty() {
            self.pieces.push_back(self.tail.split().freeze());
        }
        std::mem::take(&mut self.pieces)
    }

    /// The one buffer of a queue without pieces of its own; `None` when [`Self::take`] is the way.
    pub fn contiguous(&mut self) -> Option<&mut BytesMut> {
        self.pieces.is_empty().then_some(&mut self.tail)
    }

    /// Where fixed parts are written.
    pub(super) fn tail(&mut self) -> &mut BytesMut {
        &mut self.tail
    }

    /// Adds bytes that may be shared rather than copied.
    pub(super) fn share(&mut self, bytes: &Bytes) {
        if bytes.len() < COPY_BELOW {
            self.tail.extend_from_slice(bytes);
        } else {
            if !self.tail.is_empty() {
                self.pieces.push_back(self.tail.split().freeze());
            }
            self.pieces.push_back(bytes.clone());
        }
    }
}

/// Why a response could not be written: a bug of ours, since the version was checked when the request came in.
#[derive(Debug, thiserror::Error)]
#[error("cannot encode the response to {header:?}: {reason}")]
pub struct EncodeError {
    header: ReplyHeader,
    reason: String,
}

/// Appends one frame: length, header, body.
///
/// # Errors
/// When the codec refuses a value for the version.
pub fn encode(header: ReplyHeader, response: &Response, out: &mut Outgoing) -> Result<(), EncodeError> {
    let failed = |error: &dyn std::fmt::Display| EncodeError { header, reason: error.to_string() };
    match response {
        Response::Plain(body) => {
            let start = out.tail.len();
            out.tail.put_u32(0);
            put_header(header, &mut out.tail).map_err(|error| failed(&error))?;
            body.encode(&mut out.tail, header.version).map_err(|error| failed(&error))?;
            let length = out.tail.len() - start - 4;
            let length = u32::try_from(length).map_err(|error| failed(&error))?;
            out.tail[start..start + 4].copy_from_slice(&length.to_be_bytes());
        }
        Response::Fetch(fetch) => {
            let mut head = BytesMut::with_capacity(16);
            put_header(header, &mut head).map_err(|error| failed(&error))?;
            fetch.encode(header.version, &head, out);
        }
    }
    Ok(())
}

fn put_header(header: ReplyHeader, buffer: &mut BytesMut) -> Result<(), impl std::fmt::Display + use<>> {
    // `response_header_version` knows that ApiVersions is always answered with header version 0.
    let version = header.key.response_header_version(header.version);
    ResponseHeader::default().with_correlation_id(header.correlation_id).encode(buffer, version)
}
