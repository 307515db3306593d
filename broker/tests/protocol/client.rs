//! A client of one node or several: encodes requests, lets nodes talk to each other, decodes replies.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, RequestKind, ResponseHeader, ResponseKind};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use shakedown_broker::faults::{Admission, Departure, Interceptor, Released, Rule, RuleId};
use shakedown_broker::types::{Offset, PartitionId};
use shakedown_broker::wire::request;
use shakedown_broker::wire::response::{self, Outgoing, Response};
use shakedown_broker::{
    BrokerId, ConnectionId, Input, LogStore, MemoryStore, Node, NodeConfig, Now, Output, RequestToken,
};
use std::collections::{BTreeMap, VecDeque};

/// Some nodes, their clock, and the replies that have not been asked for yet.
pub(crate) struct Cluster {
    /// `None` for a node that was killed.
    nodes: Vec<Option<Node>>,
    configs: Vec<NodeConfig>,
    stores: Vec<Option<Box<dyn LogStore>>>,
    pub(crate) now: Now,
    replies: BTreeMap<RequestToken, Reply>,
    headers: BTreeMap<RequestToken, request::ReplyHeader>,
    rules: Interceptor,
    next: u64,
}

/// How a request ended.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a test keeps a handful of them")]
pub(crate) enum Reply {
    Response(ResponseKind),
    Nothing,
    HungUp { reason: String },
}

impl Cluster {
    /// Nodes that have registered with each other.
    pub(crate) fn new(nodes: i32) -> Self {
        Self::with(nodes, |_| {})
    }

    pub(crate) fn with(nodes: i32, configure: impl Fn(&mut NodeConfig)) -> Self {
        let voters: Vec<BrokerId> = (1..=nodes).map(BrokerId).collect();
        let configured = |id: &BrokerId| {
            let mut config = NodeConfig::new(*id, voters.clone(), "127.0.0.1", 9092);
            config.offsets_partitions = 3;
            configure(&mut config);
            config
        };
        let configs: Vec<NodeConfig> = voters.iter().map(configured).collect();
        let node = |config: &NodeConfig| Some(Node::new(config.clone(), Box::new(MemoryStore::default()), 7));
        let now = Now { monotonic_ns: 0, wall_ms: 1_700_000_000_000 };
        let mut cluster = Self {
            nodes: configs.iter().map(node).collect(),
            stores: configs.iter().map(|_| None).collect(),
            configs,
            now,
            replies: BTreeMap::new(),
            headers: BTreeMap::new(),
            rules: Interceptor::default(),
            next: 0,
        };
        for node in 0..cluster.nodes.len() {
            cluster.deliver(node, Input::Tick);
        }
        for node in cluster.nodes.iter().flatten() {
            assert_eq!(
                node.image().alive().count(),
                cluster.nodes.len(),
                "every broker is alive to node {:?}",
                node.id()
            );
        }
        cluster
    }

    /// A node that is alive.
    pub(crate) fn node(&self, node: usize) -> &Node {
        self.nodes[node].as_ref().expect("a node that is alive")
    }

    /// The batches of a node's replica.
    pub(crate) fn read_replica(&mut self, node: usize, id: PartitionId, from: Offset) -> Vec<Bytes> {
        self.nodes[node].as_mut().expect("a node that is alive").read_replica(id, from)
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn is_alive(&self, node: usize) -> bool {
        self.nodes[node].is_some()
    }

    /// Ends a node as a crash would; its disk stays.
    pub(crate) fn kill(&mut self, node: usize) {
        let killed = self.nodes[node].take().expect("a node that is alive");
        self.rules.killed(killed.id());
        self.stores[node] = Some(killed.into_store());
    }

    /// Starts a killed node on what it left.
    pub(crate) fn restart(&mut self, node: usize) {
        let store = self.stores[node].take().expect("a node that was killed");
        self.nodes[node] = Some(Node::new(self.configs[node].clone(), store, self.now.monotonic_ns));
        self.deliver(node, Input::Tick);
    }

    /// Sends a request to a node and expects its answer at once.
    pub(crate) fn ask(&mut self, node: usize, key: ApiKey, version: i16, request: &RequestKind) -> ResponseKind {
        let token = self.send(node, key, version, request);
        match self.reply(token) {
            Some(Reply::Response(response)) => response,
            other => panic!("{key:?} version {version} was not answered: {other:?}"),
        }
    }

    /// Sends a request on a connection of its own.
    pub(crate) fn send(&mut self, node: usize, key: ApiKey, version: i16, request: &RequestKind) -> RequestToken {
        self.send_frame(node, encode(key, version, request))
    }

    /// Sends the bytes of a frame, without their length, on a connection of its own.
    pub(crate) fn send_frame(&mut self, node: usize, frame: Bytes) -> RequestToken {
        self.next += 1;
        let token = RequestToken { connection: ConnectionId(self.next), number: 0 };
        self.send_as(node, token, frame);
        token
    }

    /// Sends a request as the next one of the connection that another was sent on.
    pub(crate) fn send_behind(
        &mut self,
        node: usize,
        before: RequestToken,
        (key, version): (ApiKey, i16),
        request: &RequestKind,
    ) -> RequestToken {
        let token = RequestToken { number: before.number + 1, ..before };
        self.send_as(node, token, encode(key, version, request));
        token
    }

    fn send_as(&mut self, node: usize, token: RequestToken, frame: Bytes) {
        let frame = request::decode(frame).expect("a frame that is understood");
        self.headers.insert(token, frame.reply);
        let client_host = StrBytes::from_static_str("/127.0.0.1");
        self.enter(node, Input::Request { token, client_host, frame });
    }

    /// Puts a rule into force.
    pub(crate) fn rule(&mut self, rule: Rule) -> RuleId {
        self.rules.add(rule)
    }

    /// How often a rule in force has hit.
    pub(crate) fn hits(&self, rule: RuleId) -> Option<u64> {
        self.rules.hits(rule)
    }

    /// Lets go on what a rule holds.
    pub(crate) fn release(&mut self, rule: RuleId) {
        let released = self.rules.release(rule);
        self.go_on(released);
    }

    /// Whether no rule has anything to do with what is under way.
    pub(crate) fn is_untouched(&self) -> bool {
        self.rules.is_idle()
    }

    /// Ends a rule.
    pub(crate) fn end(&mut self, rule: RuleId) {
        let (_, released) = self.rules.remove(rule);
        self.go_on(released);
    }

    /// The client leaves.
    pub(crate) fn disconnect(&mut self, node: usize, connection: ConnectionId) {
        self.rules.disconnected(connection);
        self.deliver(node, Input::Disconnected(connection));
    }

    fn go_on(&mut self, released: Vec<Released>) {
        for released in released {
            match released {
                Released::Request { node, input, judged } => {
                    let node = usize::try_from(node.0 - 1).expect("ids count from 1");
                    if judged { self.deliver(node, input) } else { self.enter(node, input) }
                }
                Released::Reply { token, response, .. } => self.answered(token, &response),
            }
        }
    }

    fn enter(&mut self, node: usize, input: Input) {
        let Input::Request { token, .. } = &input else { return self.deliver(node, input) };
        let token = *token;
        let asked = self.nodes[node].as_ref().expect("a node that is alive");
        match self.rules.request(self.now.monotonic_ns, asked, input) {
            Admission::Serve(input) | Admission::ServeAfter(_, input) => self.deliver(node, input),
            Admission::ServeTwice(first, second) => {
                self.deliver(node, first);
                self.deliver(node, second);
            }
            Admission::Reply(response) => self.answered(token, &response),
            Admission::NoReply => drop(self.replies.insert(token, Reply::Nothing)),
            Admission::Nothing => {}
            Admission::HangUp(reason) => drop(self.replies.insert(token, Reply::HungUp { reason })),
        }
    }

    fn answered(&mut self, token: RequestToken, response: &Response) {
        let decoded = decode(self.headers[&token], response);
        self.replies.insert(token, Reply::Response(decoded));
    }

    /// As [`Self::send_frame`], for a frame whose correlation id may be any.
    pub(crate) fn send_frame_of_any(&mut self, node: usize, frame: &Bytes) -> RequestToken {
        let mut frame = frame.to_vec();
        frame[4..8].copy_from_slice(&17_i32.to_be_bytes());
        self.send_frame(node, frame.into())
    }

    /// Takes the answer to a request, if there is one by now.
    pub(crate) fn reply(&mut self, token: RequestToken) -> Option<Reply> {
        self.replies.remove(&token)
    }

    /// Lets time pass, from one deadline of any node to the next.
    pub(crate) fn advance_ms(&mut self, ms: u64) {
        let start = self.now;
        let end = start.monotonic_ns + ms * 1_000_000;
        while self.now.monotonic_ns < end {
            let deadlines = self.nodes.iter().flatten().filter_map(Node::next_deadline);
            let deadline = deadlines.chain(self.rules.next_deadline()).min();
            self.now.monotonic_ns = deadline.map_or(end, |at| at.clamp(self.now.monotonic_ns, end));
            let passed_ms = (self.now.monotonic_ns - start.monotonic_ns) / 1_000_000;
            self.now.wall_ms = start.wall_ms + i64::try_from(passed_ms).expect("a test does not wait that long");
            let released = self.rules.due(self.now.monotonic_ns);
            self.go_on(released);
            for node in 0..self.nodes.len() {
                let due = |node: &Node| node.next_deadline().is_some_and(|at| at <= self.now.monotonic_ns);
                if self.nodes[node].as_ref().is_some_and(due) {
                    self.deliver(node, Input::Tick);
                }
            }
        }
    }

    /// Moves the wall clock of every node, by which deadlines do not go.
    pub(crate) fn move_clock_ms(&mut self, ms: i64) {
        self.now.wall_ms += ms;
        (0..self.nodes.len()).for_each(|node| self.deliver(node, Input::ClockMoved));
    }

    fn deliver(&mut self, node: usize, input: Input) {
        let mut queue = VecDeque::from([(node, input)]);
        while let Some((at, input)) = queue.pop_front() {
            // What is sent to a dead node is lost.
            let Some(node) = &mut self.nodes[at] else { continue };
            node.receive(self.now, input);
            let from = node.id();
            while let Some(output) = node.poll_output() {
                match output {
                    Output::Reply { token, response } => {
                        let departure = self.rules.reply(self.now.monotonic_ns, token, response);
                        self.replies.extend(ended(&self.headers, token, departure));
                    }
                    Output::NoReply { token } => {
                        let departure = self.rules.no_reply(self.now.monotonic_ns, token);
                        self.replies.extend(ended(&self.headers, token, departure));
                    }
                    Output::HangUp { connection, reason } => {
                        let token = RequestToken { connection, number: 0 };
                        self.replies.insert(token, Reply::HungUp { reason });
                    }
                    Output::Send { to, message } => {
                        let to = usize::try_from(to.0 - 1).expect("ids count from 1");
                        queue.push_back((to, Input::Peer { from, message }));
                    }
                    Output::Event(_) => {}
                }
            }
        }
    }
}

/// How a request ends with what leaves, unless it does not end yet.
fn ended(
    headers: &BTreeMap<RequestToken, request::ReplyHeader>,
    of: RequestToken,
    departure: Departure,
) -> Option<(RequestToken, Reply)> {
    match departure {
        Departure::Reply { token, response } => Some((token, Reply::Response(decode(headers[&token], &response)))),
        Departure::NoReply => Some((of, Reply::Nothing)),
        Departure::Nothing => None,
        Departure::HangUp(reason) => Some((of, Reply::HungUp { reason })),
    }
}

/// The bytes of a frame, without their length.
fn encode(key: ApiKey, version: i16, request: &RequestKind) -> Bytes {
    let mut frame = BytesMut::new();
    let header = RequestHeader::default()
        .with_request_api_key(key as i16)
        .with_request_api_version(version)
        .with_correlation_id(17)
        .with_client_id(Some(StrBytes::from_static_str("test")));
    header.encode(&mut frame, key.request_header_version(version)).expect("a header");
    request.encode(&mut frame, version).unwrap_or_else(|error| panic!("{key:?} version {version}: {error:#}"));
    frame.freeze()
}

/// Writes the reply as the connection would and reads it as a client would.
fn decode(header: request::ReplyHeader, response: &Response) -> ResponseKind {
    let mut out = Outgoing::default();
    response::encode(header, response, &mut out).unwrap_or_else(|error| panic!("{header:?}: {error}"));
    let mut frame = BytesMut::new();
    out.take().into_iter().for_each(|piece| frame.put(piece));
    let mut frame = frame.freeze();
    let length = u32::from_be_bytes(frame.split_to(4)[..].try_into().expect("four bytes"));
    assert_eq!(length as usize, frame.len());
    let decoded = ResponseHeader::decode(&mut frame, header.key.response_header_version(header.version));
    assert_eq!(decoded.expect("a header").correlation_id, 17);
    let body = ResponseKind::decode(header.key, &mut frame, header.version);
    let body = body.unwrap_or_else(|error| panic!("{header:?}: {error:#}"));
    assert!(frame.is_empty(), "{header:?} leaves {} bytes", frame.len());
    body
}

/// Unwraps the one kind of response that a test expects.
macro_rules! expect_kind {
    ($kind:ident, $response:expr) => {
        match $response {
            kafka_protocol::messages::ResponseKind::$kind(response) => response,
            other => panic!("expected a {}, got {other:?}", stringify!($kind)),
        }
    };
}
pub(crate) use expect_kind;

/// A batch of `count` records, as a producer with this id, epoch and sequence sends it; -1 for no producer.
pub(crate) fn batch(count: usize, producer: i64, epoch: i16, sequence: i32) -> Bytes {
    use shakedown_broker::batch::build::BatchBuilder;
    let builder = (0..count).fold(BatchBuilder::new(1_700_000_000_000), |builder, _| builder.record(b"key", b"value"));
    let mut batch = builder.finish();
    batch[43..51].copy_from_slice(&producer.to_be_bytes());
    batch[51..53].copy_from_slice(&epoch.to_be_bytes());
    batch[53..57].copy_from_slice(&sequence.to_be_bytes());
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch.freeze()
}
