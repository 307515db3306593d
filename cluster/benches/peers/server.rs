//! Servers as processes of their own, ended when dropped.

use crate::measure;
use shakedown_cluster::Cluster;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) struct Server {
    child: Child,
    pub(crate) bootstrap: String,
}

impl Server {
    /// A cluster of ours: this executable again, as a server.
    pub(crate) fn ours(brokers: u32) -> Self {
        let executable = std::env::current_exe().expect("this executable");
        let mut child = Command::new(executable)
            .args(["serve", &brokers.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child process");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("its address");
        Self { child, bootstrap: line.trim().to_owned() }
    }

    /// The floor: a program that takes a port.
    pub(crate) fn floor(program: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        let child = Command::new(program).arg(port.to_string()).spawn().expect("SHAKEDOWN_FLOOR is a program");
        let bootstrap = format!("127.0.0.1:{port}");
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(&bootstrap).is_err() {
            assert!(Instant::now() < deadline, "the floor does not listen on {bootstrap}");
            std::thread::yield_now();
        }
        Self { child, bootstrap }
    }

    pub(crate) fn cpu_seconds(&self) -> f64 {
        measure::cpu_seconds(self.child.id())
    }

    pub(crate) fn memory_mb(&self) -> f64 {
        measure::memory_mb(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until the parent closes its end of the pipe.
pub(crate) fn serve(arguments: &[String]) {
    let brokers = arguments.first().and_then(|brokers| brokers.parse().ok()).expect("a number of brokers");
    let cluster = Cluster::builder().brokers(brokers).start().expect("a cluster");
    println!("{}", cluster.bootstrap_servers());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
