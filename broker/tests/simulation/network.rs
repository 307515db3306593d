//! What lies between nodes, and between nodes and clients: delays, losses, cuts.
//!
//! A link between two nodes keeps its order and may lose messages. A client's connection behaves like TCP: what it
//! carries arrives in order or not at all, and a connection that lost something carries nothing any more.

use crate::chance::{Chance, MS};
use std::collections::BTreeMap;

/// One direction between two nodes.
#[derive(Debug, Clone, Copy, Default)]
struct Link {
    /// How many faults cut it.
    cuts: u32,
    /// When the last message arrives: the next comes later.
    last_ns: u64,
}

/// A client's connection with a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connection {
    pub(crate) client: usize,
    pub(crate) host: usize,
    /// Which life of the node it was opened with.
    pub(crate) incarnation: u32,
    /// Whether a cut has swallowed something: nothing arrives any more.
    pub(crate) broken: bool,
    in_ns: u64,
    out_ns: u64,
}

/// The network.
pub(crate) struct Network {
    nodes: usize,
    links: Vec<Link>,
    /// How many faults cut a node off from the clients.
    client_cuts: Vec<u32>,
    /// How many of a thousand messages between nodes are lost.
    pub(crate) loss_permille: u64,
    /// The most that a message is delayed beyond what is usual.
    pub(crate) extra_delay_ns: u64,
    /// Open connections, by number.
    pub(crate) connections: BTreeMap<u64, Connection>,
    /// The connection that a client uses for a node.
    current: BTreeMap<(usize, usize), u64>,
    connections_opened: u64,
}

impl Network {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            nodes,
            links: vec![Link::default(); nodes * nodes],
            client_cuts: vec![0; nodes],
            loss_permille: 0,
            extra_delay_ns: 0,
            connections: BTreeMap::new(),
            current: BTreeMap::new(),
            connections_opened: 0,
        }
    }

    fn link(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * self.nodes + to]
    }

    /// Cuts one direction between two nodes once more.
    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        self.link(from, to).cuts += 1;
    }

    /// Takes one cut back.
    pub(crate) fn mend(&mut self, from: usize, to: usize) {
        let link = self.link(from, to);
        link.cuts = link.cuts.saturating_sub(1);
    }

    /// Whether messages of one node reach another.
    pub(crate) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.links[from * self.nodes + to].cuts > 0
    }

    /// Cuts a node off from all clients once more.
    pub(crate) fn cut_clients(&mut self, host: usize) {
        self.client_cuts[host] += 1;
    }

    /// Takes one cut back.
    pub(crate) fn mend_clients(&mut self, host: usize) {
        self.client_cuts[host] = self.client_cuts[host].saturating_sub(1);
    }

    /// Everything works again.
    pub(crate) fn heal(&mut self) {
        self.links.iter_mut().for_each(|link| link.cuts = 0);
        self.client_cuts.fill(0);
        self.loss_permille = 0;
        self.extra_delay_ns = 0;
    }

    /// How long something takes from one machine to another: 50 µs to 2 ms, one time in 200 up to 50 ms.
    pub(crate) fn delay(&self, chance: &mut Chance) -> u64 {
        let usual = if chance.permille(5) { chance.between(2 * MS, 50 * MS) } else { chance.between(MS / 20, 2 * MS) };
        let extra = if self.extra_delay_ns > 0 { chance.below(self.extra_delay_ns) } else { 0 };
        usual + extra
    }

    /// When a message between nodes arrives, if it does.
    pub(crate) fn arrival(&mut self, chance: &mut Chance, now_ns: u64, from: usize, to: usize) -> Option<u64> {
        if self.is_cut(from, to) || (self.loss_permille > 0 && chance.permille(self.loss_permille)) {
            return None;
        }
        let at = now_ns + self.delay(chance);
        let link = self.link(from, to);
        link.last_ns = at.max(link.last_ns + 1);
        Some(link.last_ns)
    }

    /// The open connection of a client with a node, or a new one.
    pub(crate) fn connect(&mut self, client: usize, host: usize, incarnation: u32) -> u64 {
        if let Some(number) = self.current.get(&(client, host)) {
            return *number;
        }
        self.connections_opened += 1;
        let number = self.connections_opened;
        let connection = Connection { client, host, incarnation, broken: false, in_ns: 0, out_ns: 0 };
        self.connections.insert(number, connection);
        self.current.insert((client, host), number);
        number
    }

    /// The connection is closed.
    pub(crate) fn close(&mut self, number: u64) -> Option<Connection> {
        let connection = self.connections.remove(&number)?;
        self.current.remove(&(connection.client, connection.host));
        Some(connection)
    }

    /// When a request on a connection arrives at the node.
    pub(crate) fn request_arrival(&mut self, chance: &mut Chance, now_ns: u64, number: u64) -> u64 {
        let at = now_ns + self.delay(chance);
        let connection = self.connections.get_mut(&number).expect("requests are sent on open connections");
        connection.in_ns = at.max(connection.in_ns + 1);
        connection.in_ns
    }

    /// When a response on a connection arrives at the client; `None` if the connection is closed.
    pub(crate) fn response_arrival(&mut self, chance: &mut Chance, now_ns: u64, number: u64) -> Option<u64> {
        let at = now_ns + self.delay(chance);
        let connection = self.connections.get_mut(&number)?;
        connection.out_ns = at.max(connection.out_ns + 1);
        Some(connection.out_ns)
    }

    /// Whether something on this connection gets through at this moment; if not, nothing does any more.
    pub(crate) fn passes(&mut self, number: u64) -> bool {
        let Some(connection) = self.connections.get_mut(&number) else { return false };
        connection.broken |= self.client_cuts[connection.host] > 0;
        !connection.broken
    }
}
