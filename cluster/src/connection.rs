//! One client's connection: bytes to frames, frames to requests, answers to bytes, in order.
//!
//! A connection has one request at a time at its node, as in Kafka; what the client has pipelined behind it waits in
//! the buffer. Whatever cannot be understood closes this connection with a log line, and nothing else suffers.

use crate::shell::{Delivery, Mailbox, Shell};
use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use shakedown_broker::wire::request::{self, FrameError, ReplyHeader};
use shakedown_broker::wire::response::{self, EncodeError, Outgoing};
use shakedown_broker::{ConnectionId, Input, RequestToken};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// `socket.request.max.bytes`, Kafka's default.
const FRAME_MAX: usize = 104_857_600;
const READ_AT_LEAST: usize = 64 * 1024;
/// How much a client may pipeline behind a request that waits, before it has to wait with sending, too.
const PIPELINE_MAX: usize = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("a frame claims {claimed} bytes, 1 to {FRAME_MAX} (socket.request.max.bytes) are allowed")]
    FrameLength { claimed: i32 },
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error("{0}")]
    HungUp(String),
    #[error("the client went away")]
    Gone,
    #[error("the client went away in the middle of a frame, {read} bytes of it had arrived")]
    Truncated { read: usize },
    #[error(transparent)]
    Socket(#[from] std::io::Error),
}

struct Connection {
    shell: Rc<Shell>,
    node: usize,
    id: ConnectionId,
    mailbox: Rc<Mailbox>,
    host: StrBytes,
    socket: TcpStream,
    input: BytesMut,
    output: Outgoing,
    requests: u64,
}

/// Serves a connection until either side has enough of it.
pub(crate) async fn serve(shell: Rc<Shell>, node: usize, socket: TcpStream, host: StrBytes) {
    let (id, mailbox) = shell.connect();
    let mut connection = Connection {
        shell: Rc::clone(&shell),
        node,
        id,
        mailbox,
        host,
        socket,
        input: BytesMut::with_capacity(READ_AT_LEAST),
        output: Outgoing::default(),
        requests: 0,
    };
    if let Err(error) = connection.run().await {
        match error {
            // A client that resets its connection is no news.
            ConnectionError::Socket(error) => tracing::debug!(node, %error, "connection lost"),
            ConnectionError::Gone => {}
            error => tracing::warn!(node, %error, "connection closed"),
        }
    }
    shell.disconnect(node, id);
}

impl Connection {
    async fn run(&mut self) -> Result<(), ConnectionError> {
        self.socket.set_nodelay(true)?;
        loop {
            while let Some(frame) = self.frame()? {
                self.request(frame).await?;
            }
            self.flush().await?;
            if !self.read().await? {
                return Err(self.end());
            }
        }
    }

    /// The next whole frame, without its length.
    fn frame(&mut self) -> Result<Option<Bytes>, ConnectionError> {
        let Some(length) = self.input.first_chunk::<4>() else {
            return Ok(None);
        };
        let claimed = i32::from_be_bytes(*length);
        let length = usize::try_from(claimed).ok().filter(|length| (1..=FRAME_MAX).contains(length));
        let length = length.ok_or(ConnectionError::FrameLength { claimed })?;
        if self.input.len() < 4 + length {
            return Ok(None);
        }
        self.input.advance(4);
        Ok(Some(self.input.split_to(length).freeze()))
    }

    /// What the end of the client's bytes means.
    fn end(&self) -> ConnectionError {
        match self.input.len() {
            0 => ConnectionError::Gone,
            read => ConnectionError::Truncated { read },
        }
    }

    /// Reads what is there; false at the end. Room grows with what has arrived, never with what a length claims.
    async fn read(&mut self) -> Result<bool, ConnectionError> {
        self.input.reserve(self.input.len().clamp(READ_AT_LEAST, FRAME_MAX));
        Ok(self.socket.read_buf(&mut self.input).await? > 0)
    }

    async fn request(&mut self, frame: Bytes) -> Result<(), ConnectionError> {
        let frame = request::decode(frame)?;
        let reply = frame.reply;
        let token = RequestToken { connection: self.id, number: self.requests };
        self.requests += 1;
        self.shell.deliver(self.node, Input::Request { token, client_host: self.host.clone(), frame });
        loop {
            let delivery = self.mailbox.content.borrow_mut().pop_front();
            match delivery {
                Some(delivery) => return self.answer(reply, delivery).await,
                None => self.wait().await?,
            }
        }
    }

    async fn answer(&mut self, reply: ReplyHeader, delivery: Delivery) -> Result<(), ConnectionError> {
        match delivery {
            Delivery::Reply(response) => Ok(response::encode(reply, &response, &mut self.output)?),
            Delivery::NoReply => Ok(()),
            Delivery::HangUp(reason) => {
                // Earlier answers still reach the client.
                self.flush().await?;
                Err(ConnectionError::HungUp(reason))
            }
        }
    }

    /// The node keeps the request waiting: earlier answers go out, and a client that leaves is noticed.
    async fn wait(&mut self) -> Result<(), ConnectionError> {
        self.flush().await?;
        if self.input.len() >= PIPELINE_MAX {
            self.mailbox.filled.notified().await;
            return Ok(());
        }
        self.input.reserve(READ_AT_LEAST);
        tokio::select! {
            () = self.mailbox.filled.notified() => Ok(()),
            read = self.socket.read_buf(&mut self.input) => match read? {
                0 => Err(self.end()),
                _ => Ok(()),
            },
        }
    }

    async fn flush(&mut self) -> Result<(), ConnectionError> {
        if self.output.is_empty() {
            return Ok(());
        }
        if let Some(buffer) = self.output.contiguous() {
            self.socket.write_all(buffer).await?;
            buffer.clear();
            return Ok(());
        }
        write_pieces(&mut self.socket, self.output.take()).await?;
        Ok(())
    }
}

/// Writes pieces of memory as they lie, many with one system call.
async fn write_pieces(socket: &mut TcpStream, mut pieces: VecDeque<Bytes>) -> std::io::Result<()> {
    const AT_ONCE: usize = 64;
    while !pieces.is_empty() {
        let slices: Vec<IoSlice<'_>> = pieces.iter().take(AT_ONCE).map(|piece| IoSlice::new(piece)).collect();
        let mut written = socket.write_vectored(&slices).await?;
        if written == 0 {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        while let Some(first) = pieces.front_mut() {
            if written < first.len() {
                first.advance(written);
                break;
            }
            written -= first.len();
            pieces.pop_front();
        }
    }
    Ok(())
}
