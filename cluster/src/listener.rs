//! A node's port, and the connections that are accepted there, one task each.
//!
//! A node that is down refuses connections, and its port waits for it: a socket that is bound but does not listen keeps
//! it from everybody else, above all from the clients of this very machine, whose own ports are drawn from the same
//! range.

use crate::connection;
use crate::shell::Shell;
use kafka_protocol::protocol::StrBytes;
use socket2::SockRef;
use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::AbortHandle;

/// How long to wait after accepting failed, so that a process without free descriptors does not spin.
const RETRY: Duration = Duration::from_millis(10);

/// What a connection may have received that nobody has read. On loopback a segment is 64 KiB, and the usual window at first
/// no larger: the sender of a large request may then wait for an acknowledgement that the receiver's kernel puts off for 40 ms,
/// because not more than one segment has come. Linux gives at most `net.core.rmem_max`, some three segments by default.
const RECEIVE_BYTES: u32 = 1 << 20;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Shared with the task that accepts, which must not keep the socket open when the node is killed.
type Shared = Rc<RefCell<Option<TcpListener>>>;

/// A node's port over all its lives.
pub(crate) struct Door {
    address: SocketAddr,
    listener: Shared,
    accepting: Option<AbortHandle>,
    /// Keeps the port while the node is down.
    held: Option<TcpSocket>,
}

impl Door {
    /// The door of a node that runs.
    pub(crate) fn new(listener: std::net::TcpListener) -> io::Result<Self> {
        SockRef::from(&listener).set_recv_buffer_size(RECEIVE_BYTES as usize)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        Ok(Self { address, listener: Rc::new(RefCell::new(Some(listener))), accepting: None, held: None })
    }

    /// Begins to accept.
    pub(crate) fn accept(&mut self, shell: Rc<Shell>, node: usize) {
        let task = tokio::task::spawn_local(accept(shell, node, Rc::clone(&self.listener)));
        self.accepting = Some(task.abort_handle());
    }

    /// From here on clients are refused.
    pub(crate) fn close(&mut self) {
        if let Some(task) = self.accepting.take() {
            task.abort();
        }
        self.listener.take();
        // Should somebody have been faster, the port may still be free again when the node comes back.
        self.held = hold(self.address).ok();
    }

    /// Listens again, on the same port.
    pub(crate) fn open(&mut self) -> io::Result<()> {
        let socket = match self.held.take() {
            Some(socket) => socket,
            None => hold(self.address)?,
        };
        self.listener = Rc::new(RefCell::new(Some(socket.listen(BACKLOG)?)));
        Ok(())
    }
}

/// Binds without listening. Connections of the node's last life that have not quite ended do not stand in the way.
fn hold(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_recv_buffer_size(RECEIVE_BYTES)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn accept(shell: Rc<Shell>, node: usize, listener: Shared) {
    loop {
        match next(&listener).await {
            None => return,
            Some(Ok((socket, address))) => {
                // As Kafka shows clients in group descriptions: a slash and the address.
                let host = StrBytes::from_string(format!("/{}", address.ip()));
                // Its mailbox is open before its task runs, so that a kill in between reaches it.
                let (id, mailbox) = shell.mailboxes.open(node, address.port());
                shell.weather.meet(&mailbox);
                tokio::task::spawn_local(connection::serve(Rc::clone(&shell), node, socket, host, id, mailbox));
            }
            Some(Err(error)) => {
                tracing::warn!(broker = node + 1, %error, "cannot accept a connection");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// The next connection; nothing once the door is closed.
async fn next(listener: &Shared) -> Option<io::Result<(TcpStream, SocketAddr)>> {
    std::future::poll_fn(|context| match &*listener.borrow() {
        Some(listener) => listener.poll_accept(context).map(Some),
        None => Poll::Ready(None),
    })
    .await
}
