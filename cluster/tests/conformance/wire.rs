//! A client that sends one request of a chosen version and reads one reply, byte by byte as the protocol has them. It
//! knows nothing of retries, leaders or sessions: what it is told to say is what it says.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, RequestKind, ResponseHeader, ResponseKind};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a reply may take on a busy machine before the test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What every request says of its client. Kafka puts it in front of member ids.
const CLIENT: &str = "conformance";

/// A connection to one node.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: TcpStream,
    sent: i32,
    /// What the next replies answer, in order.
    awaited: std::collections::VecDeque<(ApiKey, i16)>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, sent: 0, awaited: std::collections::VecDeque::new() })
    }

    /// Sends a request; its reply is read by [`Self::receive`].
    pub(crate) fn send(&mut self, key: ApiKey, version: i16, request: &RequestKind) -> Result<()> {
        self.sent += 1;
        self.awaited.push_back((key, version));
        self.socket.write_all(&encode(key, version, self.sent, request))
    }

    /// What becomes of the oldest request that has no reply yet.
    pub(crate) fn receive(&mut self) -> Result<Heard> {
        let (key, version) = self.awaited.pop_front().ok_or_else(|| Error::other("nothing was asked"))?;
        match read_frame(&mut self.socket) {
            Ok(frame) => Ok(Heard::Reply(Box::new(decode(key, version, frame)?))),
            Err(error) if is_end(&error) => Ok(Heard::End),
            Err(error) if is_timeout(&error) => Ok(Heard::Silence),
            Err(error) => Err(error),
        }
    }
}

/// What a node says to a request.
#[derive(Debug)]
pub(crate) enum Heard {
    Reply(Box<ResponseKind>),
    /// It closes the connection.
    End,
    /// It says nothing for as long as anybody waits.
    Silence,
}

fn is_timeout(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn is_end(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// One frame without its length.
pub(crate) fn read_frame(socket: &mut TcpStream) -> Result<Bytes> {
    let mut length = [0; 4];
    socket.read_exact(&mut length)?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    socket.read_exact(&mut frame)?;
    Ok(frame.into())
}

/// A frame with its length in front.
pub(crate) fn framed(body: &[u8]) -> BytesMut {
    let mut frame = BytesMut::with_capacity(body.len() + 4);
    frame.put_u32(u32::try_from(body.len()).expect("a frame of less than 4 GiB"));
    frame.put(body);
    frame
}

fn encode(key: ApiKey, version: i16, correlation_id: i32, request: &RequestKind) -> BytesMut {
    let mut body = BytesMut::new();
    let header = RequestHeader::default()
        .with_request_api_key(key as i16)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str(CLIENT)));
    header.encode(&mut body, key.request_header_version(version)).expect("a header");
    let encoded = request.encode(&mut body, version);
    encoded.unwrap_or_else(|error| panic!("{key:?} version {version} cannot say {request:?}: {error:#}"));
    framed(&body)
}

fn decode(key: ApiKey, version: i16, mut frame: Bytes) -> Result<ResponseKind> {
    let told =
        |error: &dyn std::fmt::Display| Error::other(format!("the reply to {key:?} version {version}: {error:#}"));
    ResponseHeader::decode(&mut frame, key.response_header_version(version)).map_err(|error| told(&error))?;
    let body = ResponseKind::decode(key, &mut frame, version).map_err(|error| told(&error))?;
    if frame.is_empty() { Ok(body) } else { Err(told(&format!("{} bytes are left over", frame.len()))) }
}
