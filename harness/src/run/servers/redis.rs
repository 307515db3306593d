//! Redis of this machine's packages: a cache, which keeps nothing on disk.

use super::server::Program;
use crate::run::error::RunError;
use rustix::process::Signal;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub(super) const NAME: &str = "Redis";

const PROGRAM: &str = "redis-server";

/// For one question: whoever asks asks again.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A server with its folder.
pub(super) struct Redis {
    program: PathBuf,
    folder: PathBuf,
}

impl Redis {
    /// Makes what a server starts with.
    pub(super) fn prepare(folder: &Path) -> Result<Self, RunError> {
        let program = program()?;
        super::make_folder(folder)?;
        Ok(Self { program, folder: folder.to_owned() })
    }
}

impl Program for Redis {
    fn name(&self) -> &'static str {
        NAME
    }

    fn command(&self, port: u16) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
        command.args(["--databases", "1024", "--dir"]).arg(&self.folder);
        command
    }

    fn answers(&self, port: u16) -> bool {
        ping(port).is_ok_and(|answer| answer == *b"+PONG")
    }

    fn end(&self) -> Signal {
        Signal::TERM
    }

    fn crash(&self) -> Signal {
        Signal::KILL
    }
}

fn ping(port: u16) -> std::io::Result<[u8; 5]> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

/// Where a service finds its cache: those that share a server have a database each.
pub(super) fn url(port: u16, database: usize) -> String {
    format!("redis://127.0.0.1:{port}/{database}")
}

/// The program on the `PATH`.
pub(super) fn program() -> Result<PathBuf, RunError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(PROGRAM)).find(|program| program.is_file());
    found.ok_or_else(|| RunError::NoServer {
        server: NAME,
        package: "redis-server",
        looked: format!("no {PROGRAM} on the PATH"),
    })
}
