//! The Fetch response, written by hand: its records are shared pieces of the log, and an absent `records` field is sent
//! empty, never null, since librdkafka breaks on null.
//!
//! Versions 4 to 18. Version steps: 5 log start offset; 7 sessions (KIP-227); 11 preferred read replica (KIP-392);
//! 12 flexible, current leader; 13 topic ids (KIP-516); 16 node endpoints (KIP-951).

use super::response::Outgoing;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

/// The answer to a Fetch.
#[derive(Debug, Clone, Default)]
pub struct FetchResponse {
    /// How long the client shall wait before its next request, in milliseconds.
    pub throttle_time_ms: i32,
    /// Error of the whole request, 0 for none (version 7 and above).
    pub error: i16,
    /// The fetch session, 0 for none (version 7 and above).
    pub session_id: i32,
    /// Topics in request order.
    pub topics: Vec<FetchedTopic>,
    /// Where leaders named below listen (version 16 and above).
    pub endpoints: Vec<Endpoint>,
}

/// One topic of the answer.
#[derive(Debug, Clone, Default)]
pub struct FetchedTopic {
    /// Its name (up to version 12).
    pub name: StrBytes,
    /// Its id (version 13 and above).
    pub id: Uuid,
    /// Partitions in request order.
    pub partitions: Vec<FetchedPartition>,
}

/// One partition of the answer.
#[derive(Debug, Clone)]
pub struct FetchedPartition {
    /// Its index.
    pub index: i32,
    /// Kafka's error code, 0 for none.
    pub error: i16,
    /// The end of what consumers may read, -1 where an error hides it.
    pub high_watermark: i64,
    /// The end of what read-committed consumers may read.
    pub last_stable_offset: i64,
    /// The first offset that still exists.
    pub log_start_offset: i64,
    /// The newest epoch that both logs know, and where it ends here, told instead of records to a client whose log goes on
    /// otherwise (version 12 and above, KIP-595).
    pub diverging: Option<(i32, i64)>,
    /// Leader and its epoch, told along with an error that says "not here".
    pub current_leader: Option<(i32, i32)>,
    /// The transactions among the records that were aborted, of which there are none; `None` for a client that did not ask.
    pub aborted_transactions: Option<()>,
    /// Who should be asked instead, along with no records (version 11 and above).
    pub preferred_read_replica: Option<i32>,
    /// Record batches, shared with the log.
    pub records: Vec<Bytes>,
}

/// Where a node listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The node.
    pub id: i32,
    /// Its advertised host.
    pub host: StrBytes,
    /// Its advertised port.
    pub port: i32,
    /// Where it stands.
    pub rack: Option<StrBytes>,
}

impl FetchedPartition {
    /// An answer without records.
    #[must_use]
    pub fn failed(index: i32, error: i16) -> Self {
        Self {
            index,
            error,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            diverging: None,
            current_leader: None,
            aborted_transactions: Some(()),
            preferred_read_replica: None,
            records: Vec::new(),
        }
    }

    /// Bytes of records.
    #[must_use]
    pub fn size(&self) -> usize {
        self.records.iter().map(Bytes::len).sum()
    }
}

impl FetchResponse {
    /// Bytes of records over all partitions.
    #[must_use]
    pub fn size(&self) -> usize {
        self.topics.iter().flat_map(|topic| &topic.partitions).map(FetchedPartition::size).sum()
    }

    /// Appends the frame. Two passes: the fixed parts go to a scratch buffer that remembers where records belong, so
    /// that the length in front is known before anything is queued.
    pub(super) fn encode(&self, version: i16, header: &BytesMut, out: &mut Outgoing) {
        let mut writer = Writer { version, fixed: BytesMut::with_capacity(256), cuts: Vec::new() };
        writer.fixed.extend_from_slice(header);
        writer.response(self);
        let records: usize = writer.cuts.iter().map(|(_, bytes)| bytes.len()).sum();
        let length = writer.fixed.len() + records;
        out.tail().put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        let mut from = 0;
        for (to, bytes) in &writer.cuts {
            out.tail().extend_from_slice(&writer.fixed[from..*to]);
            out.share(bytes);
            from = *to;
        }
        out.tail().extend_from_slice(&writer.fixed[from..]);
    }
}

struct Writer<'a> {
    version: i16,
    fixed: BytesMut,
    /// Position in `fixed` before which these shared bytes belong.
    cuts: Vec<(usize, &'a Bytes)>,
}

impl<'a> Writer<'a> {
    fn flexible(&self) -> bool {
        self.version >= 12
    }

    fn response(&mut self, response: &'a FetchResponse) {
        self.fixed.put_i32(response.throttle_time_ms);
        if self.version >= 7 {
            self.fixed.put_i16(response.error);
            self.fixed.put_i32(response.session_id);
        }
        self.length(response.topics.len());
        for topic in &response.topics {
            if self.version >= 13 {
                self.fixed.extend_from_slice(topic.id.as_bytes());
            } else {
                self.text(&topic.name);
            }
            self.length(topic.partitions.len());
            for partition in &topic.partitions {
                self.partition(partition);
            }
            self.no_tags();
        }
        if self.flexible() {
            self.endpoints(&response.endpoints);
        }
    }

    fn partition(&mut self, partition: &'a FetchedPartition) {
        self.fixed.put_i32(partition.index);
        self.fixed.put_i16(partition.error);
        self.fixed.put_i64(partition.high_watermark);
        self.fixed.put_i64(partition.last_stable_offset);
        if self.version >= 5 {
            self.fixed.put_i64(partition.log_start_offset);
        }
        match partition.aborted_transactions {
            Some(()) => self.length(0),
            None => self.null(),
        }
        if self.version >= 11 {
            self.fixed.put_i32(partition.preferred_read_replica.unwrap_or(-1));
        }
        self.length(partition.size());
        for records in &partition.records {
            self.cuts.push((self.fixed.len(), records));
        }
        if !self.flexible() {
            return;
        }
        self.fixed.put_u8(u8::from(partition.diverging.is_some()) + u8::from(partition.current_leader.is_some()));
        if let Some((epoch, end)) = partition.diverging {
            self.fixed.put_u8(0); // tag 0: diverging epoch
            self.fixed.put_u8(13);
            self.fixed.put_i32(epoch);
            self.fixed.put_i64(end);
            self.fixed.put_u8(0);
        }
        if let Some((leader, epoch)) = partition.current_leader {
            self.fixed.put_u8(1); // tag 1: current leader
            self.fixed.put_u8(9);
            self.fixed.put_i32(leader);
            self.fixed.put_i32(epoch);
            self.fixed.put_u8(0);
        }
    }

    fn endpoints(&mut self, endpoints: &[Endpoint]) {
        if self.version < 16 || endpoints.is_empty() {
            return self.no_tags();
        }
        let outer = std::mem::take(&mut self.fixed);
        self.length(endpoints.len());
        for endpoint in endpoints {
            self.fixed.put_i32(endpoint.id);
            self.text(&endpoint.host);
            self.fixed.put_i32(endpoint.port);
            self.nullable_text(endpoint.rack.as_deref());
            self.no_tags();
        }
        let body = std::mem::replace(&mut self.fixed, outer);
        self.fixed.put_u8(1);
        self.fixed.put_u8(0); // tag 0: node endpoints
        self.varint(body.len());
        self.fixed.extend_from_slice(&body);
    }

    fn text(&mut self, text: &str) {
        if self.flexible() {
            self.varint(text.len() + 1);
        } else {
            self.fixed.put_i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
        }
        self.fixed.extend_from_slice(text.as_bytes());
    }

    /// Only in flexible versions.
    fn nullable_text(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.fixed.put_u8(0),
        }
    }

    /// The length of an array or of bytes.
    fn length(&mut self, length: usize) {
        if self.flexible() {
            self.varint(length + 1);
        } else {
            self.fixed.put_i32(i32::try_from(length).unwrap_or(i32::MAX));
        }
    }

    /// An array that is not there.
    fn null(&mut self) {
        if self.flexible() {
            self.fixed.put_u8(0);
        } else {
            self.fixed.put_i32(-1);
        }
    }

    fn no_tags(&mut self) {
        if self.flexible() {
            self.fixed.put_u8(0);
        }
    }

    fn varint(&mut self, value: usize) {
        let mut value = value;
        while value >= 0x80 {
            self.fixed.put_u8(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.fixed.put_u8(value.to_le_bytes()[0]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{request::ReplyHeader, response};
    use super::*;
    use kafka_protocol::messages::{ApiKey, FetchResponse as Decoded, ResponseHeader};
    use kafka_protocol::protocol::Decodable;

    fn sample() -> FetchResponse {
        let partition = FetchedPartition {
            index: 4,
            error: 0,
            high_watermark: 40,
            last_stable_offset: 40,
            log_start_offset: 3,
            diverging: Some((5, 30)),
            current_leader: None,
            aborted_transactions: None,
            preferred_read_replica: Some(3),
            records: vec![Bytes::from(vec![7; 100]), Bytes::from(vec![8; 5000]), Bytes::from(vec![9; 10])],
        };
        let moved = FetchedPartition { current_leader: Some((2, 7)), ..FetchedPartition::failed(5, 6) };
        FetchResponse {
            throttle_time_ms: 7,
            error: 0,
            session_id: 17,
            topics: vec![FetchedTopic {
                name: StrBytes::from_static_str("orders"),
                id: Uuid::from_u128(77),
                partitions: vec![partition, moved],
            }],
            endpoints: vec![Endpoint {
                id: 2,
                host: StrBytes::from_static_str("127.0.0.1"),
                port: 9093,
                rack: Some(StrBytes::from_static_str("b")),
            }],
        }
    }

    /// The codec that everybody else uses reads what is written here, in every version.
    #[test]
    fn every_version_reads_back_with_the_codec() {
        for version in 4..=18 {
            let reply = ReplyHeader { key: ApiKey::Fetch, version, correlation_id: 99 };
            let mut out = Outgoing::default();
            response::encode(reply, &response::Response::Fetch(sample()), &mut out).expect("it encodes");
            let mut bytes: Bytes = out.take().into_iter().flatten().collect::<Vec<u8>>().into();
            let length = u32::from_be_bytes(bytes.split_to(4)[..].try_into().expect("four bytes"));
            assert_eq!(length as usize, bytes.len());
            let header_version = ApiKey::Fetch.response_header_version(version);
            let header = ResponseHeader::decode(&mut bytes, header_version).expect("a header");
            assert_eq!(header.correlation_id, 99);
            let decoded = Decoded::decode(&mut bytes, version).expect("a body");
            assert!(bytes.is_empty(), "version {version} leaves {} bytes", bytes.len());
            let partition = &decoded.responses[0].partitions[0];
            assert_eq!((partition.partition_index, partition.high_watermark), (4, 40));
            assert_eq!(partition.records.as_ref().map(Bytes::len), Some(5110));
            assert_eq!(decoded.responses[0].partitions[1].records.as_ref().map(Bytes::len), Some(0));
            assert_eq!(partition.aborted_transactions, None);
            assert_eq!(decoded.responses[0].partitions[1].aborted_transactions, Some(Vec::new()));
            if version >= 11 {
                assert_eq!(partition.preferred_read_replica.0, 3);
                assert_eq!(decoded.responses[0].partitions[1].preferred_read_replica.0, -1);
            }
            if version >= 12 {
                let leader = &decoded.responses[0].partitions[1].current_leader;
                assert_eq!((leader.leader_id.0, leader.leader_epoch), (2, 7));
                assert_eq!((partition.diverging_epoch.epoch, partition.diverging_epoch.end_offset), (5, 30));
            }
            if version >= 16 {
                assert_eq!(decoded.node_endpoints[0].port, 9093);
                assert_eq!(decoded.node_endpoints[0].rack.as_deref(), Some("b"));
            }
        }
    }
}
