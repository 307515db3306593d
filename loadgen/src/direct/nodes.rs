//! What the producer knows of its connections to brokers, and which requests are out on each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Between two attempts to connect to a broker that refuses, whatever was asked.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// A request without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flight {
    pub(crate) correlation: i32,
    pub(crate) place: usize,
    pub(crate) batch: u64,
    /// When it was written, or is to be.
    pub(crate) sent_ns: u64,
    /// Of its bytes, until it was written.
    pub(crate) unwritten: usize,
}

/// One broker's connection.
#[derive(Debug)]
pub(crate) enum Node {
    /// There is none; the next attempt may be made at this instant.
    Down { retry_ns: u64, failures: u32 },
    /// It is being made.
    Connecting { failures: u32 },
    /// It takes requests, and answers in their order.
    Up {
        flights: VecDeque<Flight>,
        /// Bytes that wait for the socket.
        unwritten: usize,
    },
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Nodes(BTreeMap<i32, Node>);

impl Nodes {
    /// A broker of which nobody has heard has no connection.
    pub(crate) fn know(&mut self, node: i32) {
        self.0.entry(node).or_insert(Node::Down { retry_ns: 0, failures: 0 });
    }

    /// One without a connection may be connected to at once.
    pub(crate) fn moved(&mut self, node: i32) {
        if let Some(node @ Node::Down { .. }) = self.0.get_mut(&node) {
            *node = Node::Down { retry_ns: 0, failures: 0 };
        }
    }

    pub(crate) fn is_up(&self, node: i32) -> bool {
        matches!(self.0.get(&node), Some(Node::Up { .. }))
    }

    /// Those that are to be connected to now; they are being connected to from here on.
    pub(crate) fn connect(&mut self, now_ns: u64) -> Vec<i32> {
        let mut due = Vec::new();
        for (id, node) in &mut self.0 {
            if let Node::Down { retry_ns, failures } = *node
                && retry_ns <= now_ns
            {
                *node = Node::Connecting { failures };
                due.push(*id);
            }
        }
        due
    }

    pub(crate) fn connected(&mut self, node: i32) {
        self.0.insert(node, Node::Up { flights: VecDeque::new(), unwritten: 0 });
    }

    /// There is no connection any more, or none could be made. What was out on it.
    pub(crate) fn disconnected(&mut self, node: i32, now_ns: u64, backoff: Duration, most: Duration) -> Vec<Flight> {
        let (flights, failures) = match self.0.remove(&node) {
            Some(Node::Up { flights, .. }) => (flights.into(), 0),
            Some(Node::Connecting { failures } | Node::Down { failures, .. }) => (Vec::new(), failures + 1),
            None => (Vec::new(), 0),
        };
        let pause = backoff.saturating_mul(1 << failures.min(16)).min(most);
        // Without any back-off somebody who refuses would be asked without a pause.
        let pause = if failures > 0 { pause.max(PAUSE_MIN) } else { pause };
        let retry_ns = now_ns.saturating_add(u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX));
        self.0.insert(node, Node::Down { retry_ns, failures });
        flights
    }

    /// How many requests are out.
    pub(crate) fn in_flight(&self, node: i32) -> usize {
        match self.0.get(&node) {
            Some(Node::Up { flights, .. }) => flights.len(),
            _ => 0,
        }
    }

    pub(crate) fn sent(&mut self, node: i32, flight: Flight) {
        if let Some(Node::Up { flights, unwritten }) = self.0.get_mut(&node) {
            *unwritten += flight.unwritten;
            flights.push_back(flight);
        }
    }

    /// Bytes that wait for a connection's socket.
    pub(crate) fn unwritten(&self, node: i32) -> usize {
        match self.0.get(&node) {
            Some(Node::Up { unwritten, .. }) => *unwritten,
            _ => 0,
        }
    }

    /// From here on an answer can be waited for.
    pub(crate) fn written(&mut self, node: i32, correlation: i32, now_ns: u64) {
        if let Some(Node::Up { flights, unwritten }) = self.0.get_mut(&node)
            && let Some(flight) = flights.iter_mut().rev().find(|flight| flight.correlation == correlation)
        {
            *unwritten -= std::mem::take(&mut flight.unwritten);
            flight.sent_ns = now_ns;
        }
    }

    /// Those without a connection that lead nothing are no business of ours.
    pub(crate) fn forget_down_but(&mut self, leading: &BTreeSet<i32>) {
        self.0.retain(|id, node| leading.contains(id) || !matches!(node, Node::Down { .. }));
    }

    /// The request that this answers; `None` where none is out under this number.
    pub(crate) fn answered(&mut self, node: i32, correlation: i32) -> Option<Flight> {
        let Some(Node::Up { flights, unwritten }) = self.0.get_mut(&node) else { return None };
        let at = flights.iter().position(|flight| flight.correlation == correlation)?;
        let flight = flights.remove(at)?;
        *unwritten -= flight.unwritten;
        Some(flight)
    }

    /// Those whose oldest request is at least so old.
    pub(crate) fn overdue(&self, now_ns: u64, timeout_ns: u64) -> Vec<i32> {
        let is_overdue = |node: &Node| match node {
            Node::Up { flights, .. } => {
                flights.front().is_some_and(|flight| flight.sent_ns.saturating_add(timeout_ns) <= now_ns)
            }
            _ => false,
        };
        self.0.iter().filter(|(_, node)| is_overdue(node)).map(|(id, _)| *id).collect()
    }

    /// When something is to be done about a connection.
    pub(crate) fn next_deadline_ns(&self, timeout_ns: u64) -> Option<u64> {
        let of = |node: &Node| match node {
            Node::Down { retry_ns, .. } => Some(*retry_ns),
            Node::Connecting { .. } => None,
            Node::Up { flights, .. } => flights.front().map(|flight| flight.sent_ns.saturating_add(timeout_ns)),
        };
        self.0.values().filter_map(of).min()
    }
}
