//! One node that is a whole cluster, and bytes to it: what its connection would do, without a socket.

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use shakedown_broker::wire::request::{self, ReplyHeader};
use shakedown_broker::wire::response::{self, Outgoing};
use shakedown_broker::{
    BrokerId, ConnectionId, Input, MemoryStore, Node, NodeConfig, Now, Output, RequestToken, api,
};
use std::collections::BTreeMap;

/// A node, its clock, and what it owes its clients.
pub struct Broker {
    node: Node,
    now: Now,
    owed: BTreeMap<RequestToken, ReplyHeader>,
    requests: u64,
}

impl Default for Broker {
    fn default() -> Self {
        let id = BrokerId(1);
        let mut config = NodeConfig::new(id, vec![id], "127.0.0.1", 9092);
        config.offsets_partitions = 1;
        let node = Node::new(config, Box::new(MemoryStore::default()), 7);
        let now = Now { monotonic_ns: 0, wall_ms: 1_700_000_000_000 };
        let mut broker = Self { node, now, owed: BTreeMap::new(), requests: 0 };
        broker.deliver(Input::Tick);
        broker
    }
}

impl Broker {
    /// A frame without its length, on a connection of its own. Whether it was understood.
    pub fn frame(&mut self, frame: Bytes) -> bool {
        let Ok(frame) = request::decode(frame) else { return false };
        self.requests += 1;
        let token = RequestToken { connection: ConnectionId(self.requests), number: 0 };
        self.owed.insert(token, frame.reply);
        self.deliver(Input::Request { token, client_host: StrBytes::from_static_str("/127.0.0.1"), frame });
        true
    }

    /// Lets everything happen that time brings.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now.monotonic_ns + ms * 1_000_000;
        while let Some(at) = self.node.next_deadline().filter(|at| *at <= end) {
            let passed_ns = at.saturating_sub(self.now.monotonic_ns);
            self.now.monotonic_ns += passed_ns;
            self.now.wall_ms += i64::try_from(passed_ns / 1_000_000).expect("an hour at most");
            self.deliver(Input::Tick);
        }
    }

    fn deliver(&mut self, input: Input) {
        self.node.receive(self.now, input);
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Reply { token, response } => {
                    let header = self.owed.remove(&token).expect("one answer to each request");
                    let mut out = Outgoing::default();
                    response::encode(header, &response, &mut out).expect("an answer that its version can express");
                }
                Output::NoReply { token } => drop(self.owed.remove(&token)),
                Output::HangUp { connection, .. } => self.owed.retain(|token, _| token.connection != connection),
                Output::Send { to, .. } => panic!("{to:?} does not exist"),
                Output::Event(_) => {}
            }
        }
    }
}

/// Cuts an input into frames: two bytes choose an API and a version, two say how long its body is. What is chosen by 255 is
/// taken as it stands, header and all.
pub fn frames(mut input: &[u8]) -> Vec<Bytes> {
    let mut frames = Vec::new();
    while let [chosen, version, high, low, rest @ ..] = input {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (body, behind) = rest.split_at(length);
        input = behind;
        frames.push(if *chosen == u8::MAX { Bytes::copy_from_slice(body) } else { framed(*chosen, *version, body) });
    }
    frames
}

/// The place of an API in the table, as [`frames`] reads it.
pub fn place_of(key: i16) -> Option<u8> {
    let at = api::TABLE.iter().position(|entry| entry.key as i16 == key)?;
    u8::try_from(at).ok()
}

fn framed(chosen: u8, version: u8, body: &[u8]) -> Bytes {
    let entry = &api::TABLE[usize::from(chosen) % api::TABLE.len()];
    let versions = entry.max - entry.min + 1;
    let version = entry.min + i16::from(version) % versions;
    let mut frame = Vec::with_capacity(body.len() + 15);
    frame.extend((entry.key as i16).to_be_bytes());
    frame.extend(version.to_be_bytes());
    frame.extend(17_i32.to_be_bytes());
    frame.extend(4_i16.to_be_bytes());
    frame.extend(b"fuzz");
    if entry.key.request_header_version(version) >= 2 {
        frame.push(0); // no tagged fields
    }
    frame.extend(body);
    frame.into()
}
