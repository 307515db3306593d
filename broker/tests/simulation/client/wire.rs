//! Requests and responses to bytes and back, as a client and the connection of a broker do it.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, RequestKind, ResponseHeader, ResponseKind, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use shakedown_broker::batch::build::BatchBuilder;
use shakedown_broker::wire::request::ReplyHeader;
use shakedown_broker::wire::response::{self, Outgoing, Response};

/// A topic's name as requests carry it.
pub(crate) fn topic(name: &str) -> TopicName {
    StrBytes::from_string(name.to_owned()).into()
}

/// The number by which a response finds its request.
pub(crate) fn correlation(call: u64) -> i32 {
    i32::try_from(call & 0x7fff_ffff).expect("31 bits")
}

/// Writes a request as a client does, without the length in front.
pub(crate) fn encode(key: ApiKey, version: i16, call: u64, client: &str, request: &RequestKind) -> Bytes {
    let mut frame = BytesMut::new();
    let header = RequestHeader::default()
        .with_request_api_key(key as i16)
        .with_request_api_version(version)
        .with_correlation_id(correlation(call))
        .with_client_id(Some(StrBytes::from_string(client.to_owned())));
    header.encode(&mut frame, key.request_header_version(version)).expect("a header");
    request.encode(&mut frame, version).unwrap_or_else(|error| panic!("{key:?} version {version}: {error:#}"));
    frame.freeze()
}

/// Writes a response as a broker's connection does, without the length in front.
pub(crate) fn reply(header: ReplyHeader, response: &Response) -> Bytes {
    let mut out = Outgoing::default();
    response::encode(header, response, &mut out).unwrap_or_else(|error| panic!("{header:?}: {error}"));
    let pieces = out.take();
    let mut frame = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    pieces.into_iter().for_each(|piece| frame.put(piece));
    frame.freeze().slice(4..)
}

/// Reads a response as a client does.
pub(crate) fn decode(key: ApiKey, version: i16, mut frame: Bytes) -> ResponseKind {
    ResponseHeader::decode(&mut frame, key.response_header_version(version)).expect("a response header");
    let body = ResponseKind::decode(key, &mut frame, version);
    let body = body.unwrap_or_else(|error| panic!("{key:?} version {version}: {error:#}"));
    assert!(frame.is_empty(), "{key:?} version {version} leaves {} bytes", frame.len());
    body
}

/// Who produces a batch: id, epoch and first sequence number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbered {
    pub(crate) producer: i64,
    pub(crate) epoch: i16,
    pub(crate) sequence: i32,
}

/// A batch without an idempotent producer.
pub(crate) const UNNUMBERED: Numbered = Numbered { producer: -1, epoch: -1, sequence: -1 };

/// A batch of records, each with the producer's name as its key.
pub(crate) fn batch(wall_ms: i64, name: &str, values: impl Iterator<Item = u64>, numbered: Numbered) -> Bytes {
    let builder =
        values.fold(BatchBuilder::new(wall_ms), |batch, value| batch.record(name.as_bytes(), &value.to_be_bytes()));
    let mut batch = builder.finish();
    batch[43..51].copy_from_slice(&numbered.producer.to_be_bytes());
    batch[51..53].copy_from_slice(&numbered.epoch.to_be_bytes());
    batch[53..57].copy_from_slice(&numbered.sequence.to_be_bytes());
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch.freeze()
}

/// The checksum in a batch's header: the same wherever the batch lies.
pub(crate) fn checksum(batch: &[u8]) -> u32 {
    batch.get(17..21).map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().expect("four bytes")))
}

/// Unwraps the one kind of response that a request has.
macro_rules! expect_kind {
    ($kind:ident, $response:expr) => {
        match $response {
            kafka_protocol::messages::ResponseKind::$kind(response) => response,
            other => panic!("expected a {}, got {other:?}", stringify!($kind)),
        }
    };
}
pub(crate) use expect_kind;
