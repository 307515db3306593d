//! Bytes that are no requests close their own connection and disturb nobody else.

use super::{client, consume, create_topic, produce};
use rdkafka::Offset;
use shakedown_cluster::Cluster;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Sends bytes, and tells what came back before the broker closed the connection.
fn send(cluster: &Cluster, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(cluster.bootstrap_servers()).expect("it listens");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    // The broker may close in the middle of what is sent.
    let _ = socket.write_all(bytes);
    let mut answer = Vec::new();
    match socket.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "the broker kept waiting"),
    }
    answer
}

fn frame(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a short frame");
    [&length.to_be_bytes(), body].concat()
}

#[test]
fn hostile_bytes_close_their_own_connection_only() {
    let cluster = Cluster::builder().brokers(1).start().expect("a cluster");
    create_topic(&cluster, "orders", 1, &[]);
    let header =
        |key: i16, version: i16| [&key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 1, 0xff, 0xff]].concat();
    let hostile: Vec<(&str, Vec<u8>)> = vec![
        ("a web browser", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("a length of 2 GiB", i32::MAX.to_be_bytes().to_vec()),
        ("a negative length", (-5_i32).to_be_bytes().to_vec()),
        ("an empty frame", vec![0, 0, 0, 0]),
        ("half a header", frame(&[0, 3])),
        ("an unknown API", frame(&header(999, 0))),
        ("a version of the future", frame(&header(3, 99))),
        ("two billion topics", frame(&[header(3, 1), i32::MAX.to_be_bytes().to_vec()].concat())),
        ("two billion compact topics", frame(&[header(3, 9), vec![0, 0xff, 0xff, 0xff, 0xff, 0x07]].concat())),
        ("a group name that is not there", frame(&[header(12, 0), vec![0x7f, 0xff]].concat())),
    ];
    let steady = TcpStream::connect(cluster.bootstrap_servers()).expect("it listens");
    for (what, bytes) in hostile {
        assert!(send(&cluster, &bytes).is_empty(), "{what} was answered");
    }
    produce(&client(&cluster), "orders", 0, 0..10);
    assert_eq!(consume(&cluster, "orders", 0, Offset::Beginning, 10).len(), 10);
    steady.set_nonblocking(true).expect("a socket");
    let still_open = (&steady).read(&mut [0]).expect_err("nobody spoke on it").kind();
    assert_eq!(still_open, std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_frame_that_never_ends_is_no_harm() {
    let cluster = Cluster::builder().brokers(1).start().expect("a cluster");
    let mut socket = TcpStream::connect(cluster.bootstrap_servers()).expect("it listens");
    socket.write_all(&[0, 0, 0, 100, 0, 3]).expect("a beginning");
    create_topic(&cluster, "orders", 1, &[]);
    drop(socket);
    produce(&client(&cluster), "orders", 0, 0..10);
}
