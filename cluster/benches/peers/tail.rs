//! A bare consumer: one thread a broker that fetches what the broker leads, from the end on, and hands every payload
//! over. Not librdkafka's, because that asks every server for a group coordinator, which the floor does not know.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiKey, FetchRequest, ListOffsetsRequest, MetadataRequest, RequestHeader, RequestKind, ResponseHeader,
    ResponseKind, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use shakedown_broker::batch::header::{BatchHeader, HEADER_SIZE};
use shakedown_broker::batch::records::Records;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

/// A payload and when it was there.
pub(crate) type Arrival = (Instant, Bytes);

/// Follows a topic until dropped.
pub(crate) struct Tail {
    pub(crate) arrivals: Receiver<Arrival>,
    stop: Arc<AtomicBool>,
}

impl Tail {
    /// Follows all partitions of a topic from their ends on.
    pub(crate) fn start(bootstrap: &str, topic: &str) -> Self {
        let name: TopicName = StrBytes::from_string(topic.to_owned()).into();
        let (send, arrivals) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        for (address, partitions) in leaders(bootstrap, &name) {
            let mut broker = Broker::connect(&address);
            let mut offsets = broker.ends(&name, &partitions);
            let (send, stop) = (send.clone(), Arc::clone(&stop));
            let name = name.clone();
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    // A server that has ended is followed no longer.
                    let Some(payloads) = broker.fetch(&name, &mut offsets) else { return };
                    for payload in payloads {
                        let _ = send.send((Instant::now(), payload));
                    }
                }
            });
        }
        Self { arrivals, stop }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The partitions that each broker leads, by the broker's address.
fn leaders(bootstrap: &str, topic: &TopicName) -> BTreeMap<String, Vec<i32>> {
    let first = bootstrap.split(',').next().expect("an address");
    let asked = MetadataRequestTopic::default().with_name(Some(topic.clone()));
    let request = RequestKind::Metadata(MetadataRequest::default().with_topics(Some(vec![asked])));
    let Some(ResponseKind::Metadata(metadata)) = Broker::connect(first).ask(ApiKey::Metadata, 4, &request) else {
        panic!("no metadata")
    };
    let mut leaders: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for partition in &metadata.topics[0].partitions {
        let broker = metadata.brokers.iter().find(|broker| broker.node_id == partition.leader_id).expect("a leader");
        leaders.entry(format!("{}:{}", &*broker.host, broker.port)).or_default().push(partition.partition_index);
    }
    leaders
}

struct Broker(TcpStream);

impl Broker {
    fn connect(address: &str) -> Self {
        let socket = TcpStream::connect(address).expect("the broker listens");
        socket.set_nodelay(true).expect("a socket");
        Self(socket)
    }

    /// Sends a request and reads its answer; `None` once the server has closed the connection.
    fn ask(&mut self, key: ApiKey, version: i16, request: &RequestKind) -> Option<ResponseKind> {
        let mut frame = BytesMut::new();
        frame.put_u32(0);
        let header = RequestHeader::default().with_request_api_key(key as i16).with_request_api_version(version);
        header.encode(&mut frame, key.request_header_version(version)).expect("a header");
        request.encode(&mut frame, version).expect("a request");
        let length = u32::try_from(frame.len() - 4).expect("a short frame");
        frame[..4].copy_from_slice(&length.to_be_bytes());
        self.0.write_all(&frame).ok()?;
        let mut length = [0; 4];
        self.0.read_exact(&mut length).ok()?;
        let mut answer = BytesMut::zeroed(u32::from_be_bytes(length) as usize);
        self.0.read_exact(&mut answer).ok()?;
        let mut answer = answer.freeze();
        ResponseHeader::decode(&mut answer, key.response_header_version(version)).expect("a header");
        Some(ResponseKind::decode(key, &mut answer, version).expect("a response"))
    }

    fn ends(&mut self, topic: &TopicName, partitions: &[i32]) -> BTreeMap<i32, i64> {
        let latest = |index: &i32| ListOffsetsPartition::default().with_partition_index(*index).with_timestamp(-1);
        let partitions = partitions.iter().map(latest).collect();
        let topic = ListOffsetsTopic::default().with_name(topic.clone()).with_partitions(partitions);
        let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
        let Some(ResponseKind::ListOffsets(response)) = self.ask(ApiKey::ListOffsets, 1, &request.into()) else {
            panic!("no offsets")
        };
        response.topics[0].partitions.iter().map(|found| (found.partition_index, found.offset)).collect()
    }

    fn fetch(&mut self, topic: &TopicName, offsets: &mut BTreeMap<i32, i64>) -> Option<Vec<Bytes>> {
        let asked = offsets.iter().map(|(index, offset)| {
            FetchPartition::default()
                .with_partition(*index)
                .with_fetch_offset(*offset)
                .with_partition_max_bytes(1 << 20)
        });
        let topic = FetchTopic::default().with_topic(topic.clone()).with_partitions(asked.collect());
        let request = FetchRequest::default()
            .with_max_wait_ms(500)
            .with_min_bytes(1)
            .with_max_bytes(1 << 24)
            .with_session_epoch(-1)
            .with_topics(vec![topic]);
        let ResponseKind::Fetch(response) = self.ask(ApiKey::Fetch, 11, &request.into())? else { panic!("no records") };
        let mut payloads = Vec::new();
        for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
            let mut left = partition.records.clone().unwrap_or_default();
            while let Some(header) = BatchHeader::read(&left) {
                let batch = left.split_to(header.size().expect("a length"));
                let values = Records::new(&batch[HEADER_SIZE..]).map(|record| record.expect("a record").value);
                payloads.extend(values.map(|value| batch.slice_ref(value.expect("a payload"))));
                offsets.insert(partition.partition_index, header.last_offset().0 + 1);
            }
        }
        Some(payloads)
    }
}
