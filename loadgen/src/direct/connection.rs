//! One connection to one broker: frames in, frames out.
//!
//! Owns sockets and nothing of what frames mean. An event of a connection carries its number, so that what a connection that was
//! given up still says is not taken for the words of the next.

use super::batch::Batch;
use super::control::{self, Dialled};
use super::frames::{ANSWER_BYTES_MAX, FrameError, Versions};
use crate::clock::RunClock;
use bytes::{Bytes, BytesMut};
use std::io::{self, IoSlice};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

/// Why there is no connection, or none any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error("{address}: {source}")]
    Io { address: String, source: io::Error },
    #[error("{address}: {source}")]
    Frame { address: String, source: FrameError },
    #[error("{address} does not answer within {timeout:?}")]
    Timeout { address: String, timeout: std::time::Duration },
    #[error("{address} announces an answer of {length} bytes; up to {ANSWER_BYTES_MAX} are read")]
    Length { address: String, length: i64 },
    #[error("{address} has closed the connection")]
    Closed { address: String },
}

/// What a connection says.
#[derive(Debug)]
pub(crate) enum Event {
    Up {
        versions: Versions,
    },
    Frame {
        bytes: Bytes,
        at_ns: u64,
    },
    /// A request is with the operating system.
    Written {
        correlation: i32,
        at_ns: u64,
    },
    Down {
        error: ConnectionError,
    },
}

/// Who says it.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) node: i32,
    /// Of the connection.
    pub(crate) number: u64,
    pub(crate) event: Event,
}

/// One request: three pieces that are written one after another.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) head: Vec<u8>,
    pub(crate) batch: Arc<Batch>,
    pub(crate) tail: &'static [u8],
    pub(crate) correlation: i32,
}

/// The loop's end of a connection; dropped, it is closed.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) number: u64,
    /// What the broker speaks, once it is known.
    pub(crate) versions: Option<Versions>,
    outgoing: UnboundedSender<Outgoing>,
    task: JoinHandle<()>,
}

/// What a connection needs.
#[derive(Debug, Clone)]
pub(crate) struct Wiring {
    pub(crate) said: UnboundedSender<Said>,
    pub(crate) clock: RunClock,
    pub(crate) client_id: String,
    pub(crate) timeout: std::time::Duration,
}

impl Connection {
    /// Begins to connect.
    pub(crate) fn open(node: i32, number: u64, address: String, wiring: Wiring) -> Self {
        let (outgoing, requests) = unbounded_channel();
        let task = tokio::spawn(async move {
            let say = |event| drop(wiring.said.send(Said { node, number, event }));
            let error = converse(address, &wiring, requests, &say).await;
            say(Event::Down { error });
        });
        Self { number, versions: None, outgoing, task }
    }

    pub(crate) fn send(&self, outgoing: Outgoing) {
        // Where the other end is gone its event is on its way.
        drop(self.outgoing.send(outgoing));
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse(
    address: String,
    wiring: &Wiring,
    requests: UnboundedReceiver<Outgoing>,
    say: &impl Fn(Event),
) -> ConnectionError {
    let Dialled { stream, versions } = match control::dial(&address, &wiring.client_id, wiring.timeout).await {
        Ok(dialled) => dialled,
        Err(error) => return error,
    };
    say(Event::Up { versions });
    let (input, output) = stream.into_split();
    // Whichever ends first ends both.
    tokio::select! {
        error = write_all(&address, output, requests, wiring.clock, say) => error,
        error = read_all(&address, input, wiring.clock, say) => error,
    }
}

async fn write_all(
    address: &str,
    mut output: OwnedWriteHalf,
    mut requests: UnboundedReceiver<Outgoing>,
    clock: RunClock,
    say: &impl Fn(Event),
) -> ConnectionError {
    while let Some(Outgoing { head, batch, tail, correlation }) = requests.recv().await {
        if let Err(source) = write(&mut output, [&head, batch.bytes(), tail]).await {
            return ConnectionError::Io { address: address.to_owned(), source };
        }
        say(Event::Written { correlation, at_ns: clock.now_ns() });
    }
    ConnectionError::Closed { address: address.to_owned() }
}

/// All pieces with as few calls as the socket allows.
async fn write(output: &mut OwnedWriteHalf, pieces: [&[u8]; 3]) -> io::Result<()> {
    let mut slices = pieces.map(IoSlice::new);
    let mut rest = &mut slices[..];
    // Empty pieces in front would look like a socket that takes nothing.
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        let written = output.write_vectored(rest).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        IoSlice::advance_slices(&mut rest, written);
    }
    Ok(())
}

async fn read_all(address: &str, input: OwnedReadHalf, clock: RunClock, say: &impl Fn(Event)) -> ConnectionError {
    let mut input = BufReader::new(input);
    loop {
        match read_frame(address, &mut input).await {
            Ok(bytes) => say(Event::Frame { bytes, at_ns: clock.now_ns() }),
            Err(error) => return error,
        }
    }
}

/// One answer, without its length.
pub(crate) async fn read_frame(
    address: &str,
    input: &mut (impl AsyncReadExt + Unpin),
) -> Result<Bytes, ConnectionError> {
    let io = |source: io::Error| match source.kind() {
        io::ErrorKind::UnexpectedEof => ConnectionError::Closed { address: address.to_owned() },
        _ => ConnectionError::Io { address: address.to_owned(), source },
    };
    let length = input.read_i32().await.map_err(io)?;
    let known = usize::try_from(length).ok().filter(|length| *length <= ANSWER_BYTES_MAX);
    let known = known.ok_or_else(|| ConnectionError::Length { address: address.to_owned(), length: length.into() })?;
    let mut bytes = BytesMut::zeroed(known);
    input.read_exact(&mut bytes).await.map_err(io)?;
    Ok(bytes.freeze())
}
