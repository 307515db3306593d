//! One client's connection: bytes to frames, frames to requests, answers to bytes, in order.
//!
//! A connection has one request at a time at its node, as in Kafka; what the client has pipelined behind it waits in
//! the buffer. Whatever cannot be understood closes this connection with a log line, and nothing else suffers. When the
//! node is killed, what it had answered still goes out, as it would lie in the system's buffers already. What is done to
//! its answers and its bytes on purpose is in [`weathered`].

mod weathered;

use crate::mailbox::{Delivery, Interruption, Mailbox};
use crate::shell::Shell;
use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use shakedown_broker::wire::request::{self, FrameError, ReplyHeader};
use shakedown_broker::wire::response::{self, EncodeError, Outgoing, Response};
use shakedown_broker::{ConnectionId, Input, RequestToken};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use weathered::Weathered;

/// `socket.request.max.bytes`, Kafka's default.
const FRAME_MAX: usize = 104_857_600;
const READ_AT_LEAST: usize = 64 * 1024;
/// How much a client may pipeline behind a request that waits, before it has to wait with sending, too.
const PIPELINE_MAX: usize = 1024 * 1024;
/// How often a connection that does not read looks whether its client has left: nothing else tells, as long as there are bytes
/// that were sent before.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long a client may take for the last answers of a node that was killed: none at all, if it reads.
const LAST_WORDS_MAX: Duration = Duration::from_millis(5);
/// How long a client may take to notice that its node was killed, and close its end.
const LINGER_MAX: Duration = Duration::from_secs(2);

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
    #[error("the node was killed")]
    Killed,
    #[error("the connection was reset in the middle of an answer, as a fault demands")]
    Reset,
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
    /// The request that the node has.
    pending: Option<ReplyHeader>,
    /// Whether some of the output may have gone out already, so that nothing can follow it but the rest of it.
    writing: bool,
    requests: u64,
    /// Once something was done to its answers or its bytes.
    weathered: Option<Box<Weathered>>,
}

/// Serves a connection until either side has enough of it, or its node is killed.
pub(crate) async fn serve(
    shell: Rc<Shell>,
    node: usize,
    socket: TcpStream,
    host: StrBytes,
    id: ConnectionId,
    mailbox: Rc<Mailbox>,
) {
    let mut connection = Connection {
        shell: Rc::clone(&shell),
        node,
        id,
        mailbox: Rc::clone(&mailbox),
        host,
        socket,
        input: BytesMut::with_capacity(READ_AT_LEAST),
        output: Outgoing::default(),
        pending: None,
        writing: false,
        requests: 0,
        weathered: None,
    };
    // People count brokers from 1.
    let broker = node + 1;
    match mailbox.attend(connection.run()).await {
        Err(Interruption::Killed) | Ok(Err(ConnectionError::Killed)) => {
            connection.last_words().await;
            return shell.mailboxes.close(id);
        }
        Err(Interruption::Forgotten(undone)) => {
            shell.disconnect(node, id);
            undone.wait().await;
            return connection.reset();
        }
        Ok(Err(ConnectionError::Reset)) => {
            tracing::debug!(broker, "connection reset");
            shell.disconnect(node, id);
            return connection.reset();
        }
        // A client that resets its connection is no news.
        Ok(Err(ConnectionError::Socket(error))) => tracing::debug!(broker, %error, "connection lost"),
        Ok(Ok(()) | Err(ConnectionError::Gone)) => {}
        Ok(Err(error)) => tracing::warn!(broker, %error, "connection closed"),
    }
    shell.disconnect(node, id);
    connection.close_slowly().await;
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
                Box::pin(self.carry_all()).await?;
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
        if self.is_weathered() {
            return Box::pin(self.read_weathered(None)).await;
        }
        self.input.reserve(self.input.len().clamp(READ_AT_LEAST, FRAME_MAX));
        let count = self.socket.read_buf(&mut self.input).await?;
        // The weather may have turned while nothing came.
        if self.is_weathered() { Box::pin(self.read_weathered(Some(count))).await } else { Ok(count > 0) }
    }

    async fn request(&mut self, frame: Bytes) -> Result<(), ConnectionError> {
        if self.mailbox.is_dead() {
            // What the client has pipelined must not reach the node's next life.
            return Err(ConnectionError::Killed);
        }
        let frame = request::decode(frame)?;
        self.pending = Some(frame.reply);
        let token = RequestToken { connection: self.id, number: self.requests };
        if self.requests == 0 {
            Box::pin(self.introduce(frame.client_id.as_deref())).await;
        }
        self.requests += 1;
        self.shell.enter(self.node, token, Input::Request { token, client_host: self.host.clone(), frame });
        loop {
            let delivery = self.mailbox.content.borrow_mut().pop_front();
            match delivery {
                Some(delivery) => return self.answer(delivery).await,
                None => self.wait().await?,
            }
        }
    }

    async fn answer(&mut self, delivery: Delivery) -> Result<(), ConnectionError> {
        match delivery {
            Delivery::Reply(response) if self.is_weathered() => Box::pin(self.answer_weathered(&response)).await,
            Delivery::Reply(response) => self.encode(&response),
            Delivery::NoReply => {
                self.pending = None;
                Ok(())
            }
            Delivery::HangUp(reason) => {
                // Earlier answers still reach the client.
                self.flush().await?;
                Box::pin(self.carry_all()).await?;
                Err(ConnectionError::HungUp(reason))
            }
        }
    }

    fn encode(&mut self, response: &Response) -> Result<(), ConnectionError> {
        if let Some(reply) = self.pending.take() {
            response::encode(reply, response, &mut self.output)?;
        }
        Ok(())
    }

    /// Sends what the node had answered before it was killed.
    async fn last_words(&mut self) {
        self.mailbox.heard().await;
        if self.writing {
            return;
        }
        let delivery = self.mailbox.content.borrow_mut().pop_front();
        if let Some(delivery @ Delivery::Reply(_)) = delivery {
            match self.answer(delivery).await {
                Ok(()) => {}
                Err(ConnectionError::Reset) => return self.reset(),
                Err(_) => return,
            }
        }
        // What the network delays, it has already.
        let delivered = self.carry_all().await.is_ok();
        // A client that does not read at once does not get it, as if the machine had failed with the node.
        if let (true, Ok(Ok(()))) = (delivered, tokio::time::timeout(LAST_WORDS_MAX, self.flush()).await) {
            self.close_slowly().await;
            drop(tokio::time::timeout(LINGER_MAX, self.linger()).await);
        }
    }

    /// Takes what the client still sends, and does nothing with it. To close a socket with bytes in it that nobody has read
    /// resets the connection, and the client's system then forgets the answers that the client has not read either.
    async fn linger(&mut self) -> std::io::Result<()> {
        self.socket.shutdown().await?;
        loop {
            self.input.clear();
            if self.socket.read_buf(&mut self.input).await? == 0 {
                return Ok(());
            }
        }
    }

    /// The node keeps the request waiting: earlier answers go out, and a client that leaves is noticed.
    async fn wait(&mut self) -> Result<(), ConnectionError> {
        self.flush().await?;
        if self.is_weathered() {
            return Box::pin(self.wait_weathered()).await;
        }
        if self.input.len() >= PIPELINE_MAX {
            return tokio::select! {
                () = self.mailbox.filled.notified() => Ok(()),
                gone = Box::pin(left(&self.socket)) => gone.map_or_else(|error| Err(error.into()), |()| Err(self.end())),
            };
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
        self.writing = true;
        if let Some(buffer) = self.output.contiguous() {
            self.socket.write_all(buffer).await?;
            buffer.clear();
        } else {
            write_pieces(&mut self.socket, self.output.take()).await?;
        }
        self.writing = false;
        Ok(())
    }
}

/// Ends when the client has closed its end, whatever it had sent before and nobody has read.
async fn left(socket: &TcpStream) -> std::io::Result<()> {
    while !socket.ready(Interest::READABLE).await?.is_read_closed() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
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
