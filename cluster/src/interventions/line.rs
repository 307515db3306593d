//! One connection to a broker, with one question at a time on it.

use super::{InterventionError, Patience};
use bytes::{Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::RequestHeader;
use kafka_protocol::messages::ResponseHeader;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

/// `client.id` of whoever asks.
const CLIENT_ID: &str = "shakedown-intervention";
/// How long a connection may take to come into being.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// How long an answer may take that nobody else has to agree to.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(2);
/// How often whoever waits for an answer looks whether that was called off.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The longest answer that is taken.
const FRAME_MAX: usize = 64 * 1024 * 1024;

/// A connection.
pub(super) struct Line<'a> {
    socket: TcpStream,
    address: String,
    asked: i32,
    pub(super) patience: &'a Patience,
}

impl<'a> Line<'a> {
    /// Connects to the first broker that takes a connection, beginning with another one each turn.
    pub(super) fn to_any(bootstrap: &str, turn: usize, patience: &'a Patience) -> Result<Self, InterventionError> {
        let addresses: Vec<&str> = bootstrap.split(',').map(str::trim).collect();
        let mut last = None;
        for n in 0..addresses.len() {
            match Self::to(addresses[(turn + n) % addresses.len()], patience) {
                Ok(line) => return Ok(line),
                error => last = Some(error),
            }
        }
        // A text split by commas has at least one part.
        last.unwrap_or(Err(InterventionError::CalledOff))
    }

    /// Connects to this broker.
    pub(super) fn to(address: &str, patience: &'a Patience) -> Result<Self, InterventionError> {
        let connect = || {
            let mut last = io::Error::from(ErrorKind::AddrNotAvailable);
            for address in address.to_socket_addrs()? {
                match TcpStream::connect_timeout(&address, CONNECT_MAX) {
                    Ok(socket) => {
                        socket.set_nodelay(true)?;
                        socket.set_read_timeout(Some(LOOK_EVERY))?;
                        socket.set_write_timeout(Some(ANSWER_MAX))?;
                        return Ok(socket);
                    }
                    Err(error) => last = error,
                }
            }
            Err(last)
        };
        let address = address.to_owned();
        match connect() {
            Ok(socket) => Ok(Self { socket, address, asked: 0, patience }),
            Err(source) => Err(InterventionError::Unreachable { address, source }),
        }
    }

    /// Who is asked: `host:port`.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Asks, and waits so long for the answer at most. `asked` is Kafka's name of the request, for errors.
    pub(super) fn ask<R: Request>(
        &mut self,
        asked: &'static str,
        version: i16,
        request: &R,
        at_most: Duration,
    ) -> Result<R::Response, InterventionError> {
        let garbled = |reason: &dyn std::fmt::Display| InterventionError::Garbled { asked, reason: reason.to_string() };
        self.asked += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.asked)
            .with_client_id(Some(StrBytes::from_static_str(CLIENT_ID)));
        let mut body = BytesMut::new();
        header.encode(&mut body, R::header_version(version)).map_err(|error| garbled(&error))?;
        request.encode(&mut body, version).map_err(|error| garbled(&error))?;
        let length = i32::try_from(body.len()).map_err(|error| garbled(&error))?;
        let deadline = Instant::now() + at_most;
        let mut answer = self.exchange(&[&length.to_be_bytes(), &body], deadline)?;
        let header = ResponseHeader::decode(&mut answer, R::Response::header_version(version));
        let header = header.map_err(|error| garbled(&error))?;
        if header.correlation_id != self.asked {
            return Err(garbled(&format_args!("it answers question {}", header.correlation_id)));
        }
        R::Response::decode(&mut answer, version).map_err(|error| garbled(&error))
    }

    fn exchange(&mut self, frame: &[&[u8]], deadline: Instant) -> Result<Bytes, InterventionError> {
        let exchanged = self.socket.write_all(&frame.concat()).and_then(|()| {
            let mut length = [0; 4];
            self.read(&mut length, deadline)?;
            let length = usize::try_from(i32::from_be_bytes(length)).ok().filter(|length| *length <= FRAME_MAX);
            let mut answer = vec![0; length.ok_or(ErrorKind::InvalidData)?];
            self.read(&mut answer, deadline).map(|()| answer)
        });
        match exchanged {
            Ok(answer) => Ok(Bytes::from(answer)),
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(InterventionError::CalledOff),
            Err(source) => Err(InterventionError::Unreachable { address: self.address.clone(), source }),
        }
    }

    /// As `read_exact`, until a deadline or until it is called off, which is an interruption.
    fn read(&mut self, mut buffer: &mut [u8], deadline: Instant) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.socket.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => buffer = &mut buffer[count..],
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if self.patience.is_called_off() {
                        return Err(ErrorKind::Interrupted.into());
                    }
                    if Instant::now() >= deadline {
                        return Err(ErrorKind::TimedOut.into());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What an error code means for whoever asked.
pub(super) fn check(asked: &'static str, code: i16, message: Option<&StrBytes>) -> Result<(), InterventionError> {
    if code == 0 {
        return Ok(());
    }
    let error = ResponseError::try_from_code(code).ok_or(InterventionError::UnknownCode { asked, code })?;
    let message = message.map(|message| message.to_string()).unwrap_or_default();
    let refused = InterventionError::Refused { asked, error, message };
    // Somebody else is asked the next time, or the same when it is ready.
    let is_passing = matches!(
        error,
        ResponseError::CoordinatorNotAvailable
            | ResponseError::CoordinatorLoadInProgress
            | ResponseError::NotCoordinator
            | ResponseError::NotController
            | ResponseError::LeaderNotAvailable
            | ResponseError::RequestTimedOut
            | ResponseError::ElectionNotNeeded
            | ResponseError::PreferredLeaderNotAvailable
            | ResponseError::EligibleLeadersNotAvailable
            | ResponseError::RebalanceInProgress
            | ResponseError::UnknownMemberId
            | ResponseError::IllegalGeneration
    );
    if is_passing { Err(InterventionError::NotYet { why: refused.to_string() }) } else { Err(refused) }
}
