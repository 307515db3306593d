//! A bare client: one request and its answer at a time. What has to be the same against every server and librdkafka does
//! not give is asked with it: the first acknowledgement of a server that is still booting, new topics, and leaders.

use crate::server::Server;
use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, CreateTopicsRequest, MetadataRequest, ProduceRequest, RequestHeader, RequestKind, ResponseHeader,
    ResponseKind, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use shakedown_broker::batch::build::BatchBuilder;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long anything may take before the run is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How often something that is not there yet is asked for again: seldom enough to leave both cores to whoever boots.
const ASK_AGAIN: Duration = Duration::from_micros(200);

/// `Errors.TOPIC_ALREADY_EXISTS`: an earlier attempt came through and its answer did not.
const TOPIC_ALREADY_EXISTS: i16 = 36;

/// Asks until there is an answer.
///
/// # Panics
/// After [`PATIENCE`], with the name of what was missing.
pub(crate) fn await_some<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(ASK_AGAIN);
    }
}

/// A connection to one node.
pub(crate) struct Client(TcpStream);

impl Client {
    /// `None` while nobody listens there.
    pub(crate) fn connect(address: &str) -> Option<Self> {
        let socket = TcpStream::connect(address).ok()?;
        socket.set_nodelay(true).ok()?;
        socket.set_read_timeout(Some(PATIENCE)).ok()?;
        Some(Self(socket))
    }

    /// Sends a request and reads its answer; `None` once the server has closed the connection.
    pub(crate) fn ask(&mut self, key: ApiKey, version: i16, request: &RequestKind) -> Option<ResponseKind> {
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
}

pub(crate) fn topic_name(topic: &str) -> TopicName {
    StrBytes::from_string(topic.to_owned()).into()
}

/// The partitions that each node leads, by the node's address, as one node sees them; `None` while any has no leader.
pub(crate) fn leaders(address: &str, topic: &TopicName) -> Option<BTreeMap<String, Vec<i32>>> {
    let asked = MetadataRequestTopic::default().with_name(Some(topic.clone()));
    let request = MetadataRequest::default().with_topics(Some(vec![asked])).with_allow_auto_topic_creation(false);
    let answer = Client::connect(address)?.ask(ApiKey::Metadata, 4, &request.into())?;
    let ResponseKind::Metadata(metadata) = answer else { panic!("not metadata: {answer:?}") };
    let mut leaders: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for partition in &metadata.topics.first()?.partitions {
        let broker = metadata.brokers.iter().find(|broker| broker.node_id == partition.leader_id)?;
        leaders.entry(format!("{}:{}", &*broker.host, broker.port)).or_default().push(partition.partition_index);
    }
    (!leaders.is_empty()).then_some(leaders)
}

/// Creates a topic, and returns once every node knows its leaders. The floor, which cannot create any, has them all.
pub(crate) fn create(server: &Server, topic: &str, partitions: i32) {
    let name = topic_name(topic);
    if server.creates_topics {
        let creatable = CreatableTopic::default()
            .with_name(name.clone())
            .with_num_partitions(partitions)
            .with_replication_factor(server.replicas);
        let request = CreateTopicsRequest::default().with_topics(vec![creatable]).with_timeout_ms(10_000).into();
        // Whoever is not the controller may say so; a node that boots refuses for a while.
        let mut addresses = server.addresses().cycle();
        await_some(topic, || {
            let answer = Client::connect(addresses.next()?)?.ask(ApiKey::CreateTopics, 4, &request)?;
            let ResponseKind::CreateTopics(created) = answer else { panic!("not created: {answer:?}") };
            matches!(created.topics.first()?.error_code, 0 | TOPIC_ALREADY_EXISTS).then_some(())
        });
    }
    for address in server.addresses() {
        await_some(topic, || leaders(address, &name));
    }
}

/// Seconds from the start of a server's processes to its acknowledgement, by all replicas, of a message to a new topic.
pub(crate) fn boot_seconds(server: &Server) -> f64 {
    create(server, "boot", 1);
    let name = topic_name("boot");
    let record = BatchBuilder::new(0).keyless(b"first").finish().freeze();
    let data = PartitionProduceData::default().with_index(0).with_records(Some(record));
    let data = TopicProduceData::default().with_name(name.clone()).with_partition_data(vec![data]);
    let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(10_000).with_topic_data(vec![data]).into();
    await_some("the first acknowledgement", || {
        let leaders = leaders(server.addresses().next()?, &name)?;
        let leader = leaders.iter().find(|(_, led)| led.contains(&0))?.0;
        let answer = Client::connect(leader)?.ask(ApiKey::Produce, 7, &request)?;
        let ResponseKind::Produce(produced) = answer else { panic!("not produced: {answer:?}") };
        (produced.responses.first()?.partition_responses.first()?.error_code == 0).then_some(())
    });
    server.started.elapsed().as_secs_f64()
}
