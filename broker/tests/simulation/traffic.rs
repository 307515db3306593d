//! What clients and nodes tell each other: connections, requests, responses, and the turns that clients take.

use crate::chance::MS;
use crate::client::{Action, CallId, Client, Desk, Outcome, wire};
use crate::host::Down;
use crate::network::Connection;
use crate::world::{Event, Outstanding, World};
use bytes::Bytes;
use kafka_protocol::messages::{ApiKey, RequestKind};
use kafka_protocol::protocol::StrBytes;
use shakedown_broker::wire::request;
use shakedown_broker::{BrokerId, ConnectionId, Input, RequestToken};

impl World {
    pub(crate) fn request(&mut self, connection: u64, call: CallId, frame: Bytes) {
        if !self.network.passes(connection) {
            return;
        }
        let Some(Connection { host, incarnation, .. }) = self.network.connections.get(&connection).copied() else {
            return;
        };
        if self.hosts[host].down == Some(Down::Dark) {
            return;
        }
        if self.hosts[host].node.is_none() || self.hosts[host].incarnation != incarnation {
            let at_ns = self.now_ns + self.network.delay(&mut self.chance);
            return self.at(at_ns, Event::Reset { connection });
        }
        let frame = request::decode(frame).unwrap_or_else(|error| panic!("a request of ours: {error}"));
        let token = RequestToken { connection: ConnectionId(connection), number: call };
        self.hosts[host].asked.insert(token, frame.reply);
        let client_host = StrBytes::from_static_str("/127.0.0.1");
        self.deliver(host, Input::Request { token, client_host, frame });
    }

    pub(crate) fn response(&mut self, connection: u64, call: CallId, frame: Bytes) {
        if !self.network.passes(connection) {
            return;
        }
        // Nobody waits for it once the client has given up.
        let Some(outstanding) = self.calls.remove(&call) else { return };
        let response = wire::decode(outstanding.key, outstanding.version, frame);
        let outcome = Outcome::Answer(Box::new(response));
        self.with_client(outstanding.client, |client, desk| client.answered(desk, call, outcome));
    }

    /// A connection ends for the client; everything on it is lost.
    pub(crate) fn reset(&mut self, connection: u64) {
        let Some(closed) = self.network.close(connection) else { return };
        self.trace.mix(connection);
        let (host, incarnation) = (closed.host, closed.incarnation);
        let at_ns = self.now_ns + self.network.delay(&mut self.chance);
        self.at(at_ns, Event::Gone { host, incarnation, connection });
        let lost: Vec<CallId> =
            self.calls.iter().filter(|(_, call)| call.connection == connection).map(|(call, _)| *call).collect();
        for call in lost {
            self.calls.remove(&call);
            self.with_client(closed.client, |client, desk| client.answered(desk, call, Outcome::Lost));
        }
    }

    pub(crate) fn timed_out(&mut self, call: CallId) {
        if let Some(outstanding) = self.calls.get(&call) {
            self.reset(outstanding.connection);
        }
    }

    /// A client does something.
    pub(crate) fn with_client(&mut self, number: usize, what: impl FnOnce(&mut dyn Client, &mut Desk<'_>)) {
        let seat = &mut self.clients[number];
        let Some(mut client) = seat.client.take() else { return };
        let mut desk = Desk {
            now_ns: self.now_ns,
            brokers: &self.brokers,
            chance: &mut self.chance,
            invariants: &mut self.invariants,
            trace: &self.trace,
            name: &seat.name,
            next_call: &mut self.next_call,
            actions: Vec::new(),
            checked: Ok(()),
        };
        what(&mut *client, &mut desk);
        let (actions, checked) = (desk.actions, desk.checked);
        self.clients[number].client = Some(client);
        self.check(checked);
        for action in actions {
            self.act(number, action);
        }
    }

    fn act(&mut self, client: usize, action: Action) {
        match action {
            Action::Wake { at_ns, tag } => self.at(at_ns, Event::Client { client, tag }),
            Action::Tell { broker, key, version, request } => {
                let call = self.next_call;
                self.next_call += 1;
                self.send_request(client, call, broker, (key, version), &request);
            }
            Action::Send { call, broker, key, version, request, timeout_ms } => {
                let connection = self.send_request(client, call, broker, (key, version), &request);
                self.calls.insert(call, Outstanding { client, connection, key, version });
                self.at(self.now_ns + timeout_ms * MS, Event::TimedOut { call });
            }
        }
    }

    fn send_request(
        &mut self,
        client: usize,
        call: CallId,
        broker: BrokerId,
        (key, version): (ApiKey, i16),
        request: &RequestKind,
    ) -> u64 {
        let host = self.hosts.iter().position(|host| host.id == broker).expect("clients know only nodes that exist");
        let frame = wire::encode(key, version, call, &self.clients[client].name, request);
        self.trace.mix(u64::from(crc32c::crc32c(&frame)));
        let connection = self.network.connect(client, host, self.hosts[host].incarnation);
        let at_ns = self.network.request_arrival(&mut self.chance, self.now_ns, connection);
        self.at(at_ns, Event::Request { connection, call, frame });
        connection
    }

    /// Asks a node in the name of a client, for tests.
    pub(crate) fn ask(
        &mut self,
        client: usize,
        broker: BrokerId,
        key: ApiKey,
        version: i16,
        request: RequestKind,
    ) -> CallId {
        let mut call = 0;
        self.with_client(client, |_, desk| call = desk.ask_within(60_000, broker, key, version, request));
        call
    }
}
