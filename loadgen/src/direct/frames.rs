//! The bytes of requests and answers: Produce by hand, so that records are not copied, and all others by `kafka-protocol`.

use super::settings::Acks;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse, ProduceResponse, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message, Request, StrBytes, VersionRange};
use std::time::Duration;

/// No answer to this producer is longer.
pub(crate) const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Version 13 names topics by their ids, which a producer has no other use for.
const PRODUCE_VERSIONS: VersionRange = VersionRange { min: 3, max: 12 };
/// From this version on lengths are compact and tags follow (KIP-482).
const PRODUCE_FLEXIBLE: i16 = 9;

/// A broker that does not speak as is needed, or not at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("no version of {api:?} in common: the broker has {theirs}, the direct driver {ours}")]
    Version { api: ApiKey, theirs: String, ours: VersionRange },
    #[error("version {version} of {api:?} cannot say what is asked: {source}")]
    Impossible { api: ApiKey, version: i16, source: anyhow::Error },
    #[error("an answer to {api:?} cannot be read: {source}")]
    Malformed { api: ApiKey, source: anyhow::Error },
}

/// What one broker speaks.
#[derive(Debug, Clone)]
pub(crate) struct Versions(Vec<(i16, VersionRange)>);

impl Versions {
    pub(crate) fn new(answer: &ApiVersionsResponse) -> Self {
        let of = |key: &kafka_protocol::messages::api_versions_response::ApiVersion| {
            (key.api_key, VersionRange { min: key.min_version, max: key.max_version })
        };
        Self(answer.api_keys.iter().map(of).collect())
    }

    /// The highest version that both have.
    pub(crate) fn of<R: Request>(&self) -> Result<i16, FrameError> {
        let api = ApiKey::try_from(R::KEY).expect("requests of the crate have keys of the crate");
        self.common(api, R::VERSIONS)
    }

    pub(crate) fn produce(&self) -> Result<i16, FrameError> {
        self.common(ApiKey::Produce, PRODUCE_VERSIONS)
    }

    fn common(&self, api: ApiKey, ours: VersionRange) -> Result<i16, FrameError> {
        let theirs = self.0.iter().find(|(key, _)| *key == api as i16).map(|(_, versions)| *versions);
        match theirs.map(|theirs| theirs.intersect(&ours)) {
            Some(both) if !both.is_empty() => Ok(both.max),
            _ => {
                let theirs = theirs.map_or_else(|| "none".to_owned(), |versions| versions.to_string());
                Err(FrameError::Version { api, theirs, ours })
            }
        }
    }
}

/// One request with its length, to be written as it is.
pub(crate) fn request<R: Request>(
    request: &R,
    version: i16,
    correlation: i32,
    client_id: &str,
) -> Result<Vec<u8>, FrameError> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(StrBytes::from_string(client_id.to_owned())));
    let mut frame = BytesMut::from(&[0; 4][..]);
    let api = ApiKey::try_from(R::KEY).expect("requests of the crate have keys of the crate");
    // Old versions cannot say everything.
    let impossible = |source| FrameError::Impossible { api, version, source };
    header.encode(&mut frame, <R as HeaderVersion>::header_version(version)).map_err(impossible)?;
    request.encode(&mut frame, version).map_err(impossible)?;
    let length = i32::try_from(frame.len() - 4).expect("requests are short");
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame.to_vec())
}

/// The answer to such a request, and its correlation id.
pub(crate) fn answer<A: Message + Decodable + HeaderVersion>(
    api: ApiKey,
    mut frame: Bytes,
    version: i16,
) -> Result<(i32, A), FrameError> {
    let malformed = |source| FrameError::Malformed { api, source };
    // The crate believes the lengths that a peer claims: this is for brokers that somebody has chosen, not for strangers.
    let header = ResponseHeader::decode(&mut frame, A::header_version(version)).map_err(malformed)?;
    Ok((header.correlation_id, A::decode(&mut frame, version).map_err(malformed)?))
}

/// Whether a broker answers to a request for its versions that it does not know that version: correlation id and error stand first
/// in all of them.
pub(crate) fn is_unsupported_version(answer: &Bytes) -> bool {
    const UNSUPPORTED_VERSION: [u8; 2] = 35_i16.to_be_bytes();
    answer.get(4..6) == Some(&UNSUPPORTED_VERSION[..])
}

/// A Produce request for one batch: what stands before its records, and behind them.
pub(crate) struct ProduceFrame {
    pub(crate) head: Vec<u8>,
    pub(crate) tail: &'static [u8],
}

/// What a Produce request says beside the records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProduceHead<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) acks: Acks,
    pub(crate) timeout: Duration,
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
}

/// Versions 3 to 12 of Produce, of one batch of so many bytes.
pub(crate) fn produce(head: ProduceHead<'_>, version: i16, correlation: i32, records: usize) -> ProduceFrame {
    let flexible = version >= PRODUCE_FLEXIBLE;
    let records = u32::try_from(records).expect("a batch has a bound");
    let timeout = i32::try_from(head.timeout.as_millis()).unwrap_or(i32::MAX);
    let mut bytes = Vec::with_capacity(64 + head.client_id.len() + head.topic.len());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&(ApiKey::Produce as i16).to_be_bytes());
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes.extend_from_slice(&correlation.to_be_bytes());
    put_string(&mut bytes, head.client_id);
    if flexible {
        bytes.extend_from_slice(&[0, 0]); // tags of the header; no transactional id
    } else {
        bytes.extend_from_slice(&(-1_i16).to_be_bytes()); // no transactional id
    }
    bytes.extend_from_slice(&head.acks.number().to_be_bytes());
    bytes.extend_from_slice(&timeout.to_be_bytes());
    if flexible {
        put_uvarint(&mut bytes, 2); // one topic
        put_uvarint(&mut bytes, u32::try_from(head.topic.len()).expect("names are short") + 1);
        bytes.extend_from_slice(head.topic.as_bytes());
        put_uvarint(&mut bytes, 2); // one partition
        bytes.extend_from_slice(&head.partition.to_be_bytes());
        put_uvarint(&mut bytes, records + 1);
    } else {
        bytes.extend_from_slice(&1_i32.to_be_bytes());
        put_string(&mut bytes, head.topic);
        bytes.extend_from_slice(&1_i32.to_be_bytes());
        bytes.extend_from_slice(&head.partition.to_be_bytes());
        bytes.extend_from_slice(&records.to_be_bytes());
    }
    // Tags of the partition, the topic, and the request.
    let tail: &[u8] = if flexible { &[0, 0, 0] } else { &[] };
    let length = u32::try_from(bytes.len() - 4 + tail.len()).expect("names are short") + records;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    ProduceFrame { head: bytes, tail }
}

/// What a broker answers to one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Produced {
    pub(crate) code: i16,
    pub(crate) base_offset: i64,
    /// What it adds for people.
    pub(crate) text: Option<String>,
}

/// The answer to a Produce request of one batch, and its correlation id.
pub(crate) fn produced(frame: Bytes, version: i16) -> Result<(i32, Produced), FrameError> {
    let (correlation, answer) = answer::<ProduceResponse>(ApiKey::Produce, frame, version)?;
    let partitions = answer.responses.first().map_or(&[][..], |topic| &topic.partition_responses);
    let [partition] = partitions else {
        let source = anyhow::anyhow!("it has {} partitions where one was asked for", partitions.len());
        return Err(FrameError::Malformed { api: ApiKey::Produce, source });
    };
    let text = partition.error_message.as_ref().map(|text| text.to_string());
    Ok((correlation, Produced { code: partition.error_code, base_offset: partition.base_offset, text }))
}

fn put_string(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&i16::try_from(text.len()).expect("names are short").to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn put_uvarint(bytes: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push((value & 0x7f) as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::ProduceRequest;

    #[test]
    fn others_read_the_requests_in_every_version() {
        let records = vec![7; 300];
        let head = ProduceHead {
            client_id: "shakedown-load",
            acks: Acks::All,
            timeout: Duration::from_secs(30),
            topic: "orders",
            partition: 3,
        };
        for version in PRODUCE_VERSIONS.min..=PRODUCE_VERSIONS.max {
            let ProduceFrame { head: mut frame, tail } = produce(head, version, 99, records.len());
            frame.extend_from_slice(&records);
            frame.extend_from_slice(tail);
            let length = u32::from_be_bytes(frame[..4].try_into().expect("four bytes"));
            assert_eq!(length as usize, frame.len() - 4, "version {version}");
            let mut bytes = Bytes::from(frame).slice(4..);
            let header = RequestHeader::decode(&mut bytes, ProduceRequest::header_version(version)).expect("a header");
            assert_eq!((header.correlation_id, header.request_api_version), (99, version));
            assert_eq!(header.client_id.as_deref(), Some("shakedown-load"));
            let request = ProduceRequest::decode(&mut bytes, version).expect("a request");
            assert!(bytes.is_empty(), "version {version}: {} bytes are left", bytes.len());
            assert_eq!((request.acks, request.timeout_ms, request.transactional_id), (-1, 30_000, None));
            let topic = &request.topic_data[0];
            assert_eq!((topic.name.as_str(), topic.partition_data.len()), ("orders", 1));
            assert_eq!(topic.partition_data[0].index, 3);
            assert_eq!(topic.partition_data[0].records.as_deref(), Some(&records[..]));
        }
    }

    #[test]
    fn a_broker_with_nothing_in_common_is_told_apart() {
        let versions = |min, max| Versions(vec![(ApiKey::Produce as i16, VersionRange { min, max })]);
        assert_eq!(versions(0, 8).produce().expect("common"), 8);
        assert_eq!(versions(3, 13).produce().expect("common"), 12);
        let error = versions(13, 14).produce().expect_err("nothing in common").to_string();
        assert_eq!(error, "no version of Produce in common: the broker has 13..14, the direct driver 3..12");
        let error = Versions(Vec::new()).produce().expect_err("nothing at all").to_string();
        assert!(error.contains("the broker has none"), "{error}");
    }
}
