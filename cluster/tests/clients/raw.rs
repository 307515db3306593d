//! A client that is nothing but a socket: it says exactly what a test says, and hears every byte.

use super::PATIENCE;
use shakedown_cluster::Cluster;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long nothing must come before it counts as silence.
const SILENCE: Duration = Duration::from_millis(100);

/// A connection to a node.
pub(crate) struct Raw {
    pub(crate) socket: TcpStream,
    client_id: String,
}

impl Raw {
    /// Connects to a node under a name.
    pub(crate) fn connect(cluster: &Cluster, node: i32, client_id: &str) -> Self {
        let node = cluster.nodes().iter().find(|known| known.id == node).expect("a broker");
        let socket = TcpStream::connect((node.host.as_str(), node.port)).expect("it listens");
        socket.set_nodelay(true).expect("a socket");
        Self { socket, client_id: String::from(client_id) }
    }

    /// A frame with a header of version 1 before its body.
    fn frame(&self, api: i16, version: i16, correlation_id: i32, body: &[u8]) -> Vec<u8> {
        let name = self.client_id.as_bytes();
        let name_length = i16::try_from(name.len()).expect("a short name");
        let length = i32::try_from(10 + name.len() + body.len()).expect("a short frame");
        let mut frame = length.to_be_bytes().to_vec();
        frame.extend(api.to_be_bytes());
        frame.extend(version.to_be_bytes());
        frame.extend(correlation_id.to_be_bytes());
        frame.extend(name_length.to_be_bytes());
        frame.extend(name);
        frame.extend(body);
        frame
    }

    /// Asks for the versions of all APIs (ApiVersions, version 0).
    pub(crate) fn ask(&self, correlation_id: i32) {
        self.send(18, 0, correlation_id, &[]);
    }

    /// Says anything whose header has version 1.
    pub(crate) fn send(&self, api: i16, version: i16, correlation_id: i32, body: &[u8]) {
        let frame = self.frame(api, version, correlation_id, body);
        (&self.socket).write_all(&frame).expect("there is room for it");
    }

    /// The next answer, from its correlation id on.
    pub(crate) fn answer(&self) -> Vec<u8> {
        self.socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut length = [0; 4];
        (&self.socket).read_exact(&mut length).expect("an answer");
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        (&self.socket).read_exact(&mut answer).expect("the rest of the answer");
        answer
    }

    /// The correlation id of the next answer.
    pub(crate) fn answered(&self) -> i32 {
        i32::from_be_bytes(*self.answer().first_chunk().expect("a correlation id"))
    }

    /// Asks, and waits for the answer.
    pub(crate) fn hello(&self) {
        self.ask(7);
        assert_eq!(self.answered(), 7);
    }

    /// Nothing comes, and the connection does not end.
    pub(crate) fn is_silent(&self) -> bool {
        self.socket.set_read_timeout(Some(SILENCE)).expect("a timeout");
        match self.socket.peek(&mut [0]) {
            Ok(_) => false,
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }

    /// What comes until the connection ends, and whether it ends by a reset.
    pub(crate) fn rest(&self) -> (Vec<u8>, bool) {
        self.socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut rest = Vec::new();
        let is_reset = match (&self.socket).read_to_end(&mut rest) {
            Ok(_) => false,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset, "it does not end");
                true
            }
        };
        (rest, is_reset)
    }
}
