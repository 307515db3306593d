//! `shakedown service --is-ready`: a health check for images that have nothing else to ask with.

use crate::exit::Exit;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long the service may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

pub(super) fn run() -> Exit {
    let text = std::env::var("HTTP_ADDR").unwrap_or_default();
    let Ok(address) = text.parse::<SocketAddr>() else {
        eprintln!("error: HTTP_ADDR=\"{text}\" does not say where a service listens\n  allowed: an address and a port");
        return Exit::Usage;
    };
    match ask(reachable(address)) {
        Ok(answer) if answer.split_whitespace().nth(1) == Some("200") => Exit::Pass,
        Ok(answer) => {
            eprintln!("the service at {address} is not ready: {}", answer.lines().last().unwrap_or_default());
            Exit::Fail
        }
        Err(error) => {
            eprintln!("nobody answers at {address}: {error}");
            Exit::Fail
        }
    }
}

/// Whoever listens on every address is asked on this machine's own.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(address) if address.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
        SocketAddr::V6(address) if address.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, address.port()).into(),
        _ => address,
    }
}

/// HTTP 1.0 without a client: the answer ends with the connection.
fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut connection = TcpStream::connect_timeout(&address, PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    connection.write_all(format!("GET /ready HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    connection.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_listens_everywhere_is_asked_here() {
        for (listens, asked) in
            [("0.0.0.0:8001", "127.0.0.1:8001"), ("[::]:8001", "[::1]:8001"), ("10.0.0.7:80", "10.0.0.7:80")]
        {
            assert_eq!(reachable(listens.parse().expect("an address")), asked.parse().expect("an address"));
        }
    }
}
