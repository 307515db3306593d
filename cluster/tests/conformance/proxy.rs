//! A cluster of ours behind a proxy that changes replies on their way: the connection is real, the bytes are decoded,
//! changed and encoded again, and nobody behind or before it knows.

use crate::peers::Peer;
use crate::wire::{framed, read_frame};
use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, ResponseHeader, ResponseKind};
use kafka_protocol::protocol::{Decodable, Encodable};
use std::collections::BTreeMap;
use std::io::{Result, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What becomes of a reply.
pub(crate) type Change = fn(&mut ResponseKind);

/// Node 1 of a cluster, as the proxy shows it.
pub(crate) struct Proxy {
    address: SocketAddr,
}

impl Proxy {
    /// In front of a node. Its threads end with the connections that they serve, and the one that waits for more with the
    /// process.
    pub(crate) fn start(behind: SocketAddr, change: Change) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client whose node does not answer sees its connection end.
                if let Ok(server) = TcpStream::connect(behind) {
                    thread::spawn(move || serve(client, &server, change));
                }
            }
        });
        Ok(Self { address })
    }
}

impl Peer for Proxy {
    fn address(&self, _: i32) -> SocketAddr {
        self.address
    }

    fn kill(&self, _: i32) {
        unreachable!("nobody dies behind a proxy");
    }

    fn restart(&self, _: i32) {
        unreachable!("nobody dies behind a proxy");
    }
}

/// What was asked by correlation id, until it is answered.
type Asked = Arc<Mutex<BTreeMap<i32, (ApiKey, i16)>>>;

fn serve(client: TcpStream, server: &TcpStream, change: Change) -> Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let asked = Asked::default();
    let back = {
        let (asked, client, server) = (Arc::clone(&asked), client.try_clone()?, server.try_clone()?);
        thread::spawn(move || answer(server, client, &asked, change))
    };
    let ended = ask(client, server, &asked);
    server.shutdown(std::net::Shutdown::Both)?;
    drop(back.join());
    ended
}

/// Requests go through as they are.
fn ask(mut client: TcpStream, mut server: &TcpStream, asked: &Asked) -> Result<()> {
    loop {
        let frame = read_frame(&mut client)?;
        let mut header = frame.clone();
        let (key, version, correlation_id) = (header.get_i16(), header.get_i16(), header.get_i32());
        if let Ok(key) = ApiKey::try_from(key) {
            asked.lock().expect("nobody panics with it").insert(correlation_id, (key, version));
        }
        server.write_all(&framed(&frame))?;
    }
}

/// Replies are changed.
fn answer(mut server: TcpStream, mut client: TcpStream, asked: &Asked, change: Change) -> Result<()> {
    loop {
        let Ok(frame) = read_frame(&mut server) else {
            return client.shutdown(std::net::Shutdown::Both);
        };
        let correlation_id = frame.clone().get_i32();
        let known = asked.lock().expect("nobody panics with it").remove(&correlation_id);
        let (key, version) = known.expect("it was asked");
        client.write_all(&framed(&changed(key, version, frame, change)))?;
    }
}

fn changed(key: ApiKey, version: i16, mut frame: Bytes, change: Change) -> BytesMut {
    let header_version = key.response_header_version(version);
    let header = ResponseHeader::decode(&mut frame, header_version).expect("a header of ours");
    let mut body = ResponseKind::decode(key, &mut frame, version).expect("a reply of ours");
    change(&mut body);
    let mut out = BytesMut::new();
    header.encode(&mut out, header_version).expect("a header");
    body.encode(&mut out, version).expect("what was decoded can be encoded");
    out
}
