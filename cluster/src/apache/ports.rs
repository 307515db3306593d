//! Ports that a node finds free again when it is restarted.
//!
//! A JVM takes seconds to come back. A port from the range out of which the system serves everybody who asks for any would
//! often belong to somebody's connection by then, so these come from below that range.

use std::hash::{BuildHasher as _, RandomState};
use std::io::{Error, ErrorKind};
use std::net::{Ipv4Addr, TcpListener};

/// The lowest port: below it, programs listen that people know.
const LOWEST: u16 = 10_000;

/// Where the range begins out of which the system serves, unless it says otherwise.
const EPHEMERAL: u16 = 32_768;

/// So many sockets, each on a port of its own that nobody else has: held, so that they stay theirs until they are dropped.
///
/// # Errors
/// When there are not so many.
pub(super) fn hold(count: usize) -> std::io::Result<Vec<TcpListener>> {
    let ephemeral = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let ephemeral = ephemeral.ok().and_then(|range| range.split_whitespace().next()?.parse().ok());
    let highest = ephemeral.unwrap_or(EPHEMERAL).max(LOWEST + 1) - 1;
    let span = highest - LOWEST + 1;
    // Clusters that start at the same time should not look at the same ports.
    let first = u16::try_from(RandomState::new().hash_one(std::process::id()) % u64::from(span)).unwrap_or_default();
    let ports = (first..span).chain(0..first).map(|n| LOWEST + n);
    let held: Vec<TcpListener> =
        ports.filter_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()).take(count).collect();
    if held.len() < count {
        let reason = format!("{count} are needed, {} of those from {LOWEST} to {highest} are free", held.len());
        return Err(Error::new(ErrorKind::AddrInUse, reason));
    }
    Ok(held)
}

/// A socket on this port.
///
/// # Errors
/// When somebody else has it, or there is none with this number.
pub(super) fn hold_one(port: u32) -> std::io::Result<TcpListener> {
    let number = u16::try_from(port);
    let number = number.map_err(|_| Error::new(ErrorKind::InvalidInput, format!("there is no port {port}")))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, number));
    listener.map_err(|error| Error::new(error.kind(), format!("port {port}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_port_is_another_and_none_is_handed_out_by_the_system() {
        let held = hold(20).expect("twenty ports");
        let ports: BTreeSet<u16> = held.iter().map(|socket| socket.local_addr().expect("its address").port()).collect();
        assert_eq!(ports.len(), 20);
        let system = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("any port").local_addr().expect("its address");
        assert!(ports.last() < Some(&system.port()), "{ports:?} against {system}");
    }

    #[test]
    fn a_port_that_somebody_has_is_named() {
        let held = hold(1).expect("a port");
        let port = u32::from(held[0].local_addr().expect("its address").port());
        let error = hold_one(port).expect_err("it is held");
        assert!(
            error.kind() == ErrorKind::AddrInUse && error.to_string().starts_with(&format!("port {port}: ")),
            "{error}"
        );
        assert_eq!(hold_one(65_536).expect_err("no such port").to_string(), "there is no port 65536");
    }
}
