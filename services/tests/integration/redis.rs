//! A Redis server of this machine's packages.

use crate::process::wait_for;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

/// A running server on a port of its own; gone when dropped.
pub(crate) struct Redis {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Redis {
    /// `None` where the machine has none, which is said aloud; with `SHAKEDOWN_REQUIRE_PEERS` that is a failure.
    pub(crate) fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        // Taken and given back: the server cannot be asked which port it took.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let spawned = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string(), "--dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = spawned else {
            assert!(std::env::var_os("SHAKEDOWN_REQUIRE_PEERS").is_none(), "redis-server is not installed");
            eprintln!("skipped with Redis: redis-server is not installed");
            return None;
        };
        let redis = Self { child, port, _folder: folder };
        wait_for("Redis to listen", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        Some(redis)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
