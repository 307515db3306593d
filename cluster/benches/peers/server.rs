//! Servers as processes of their own, ended when dropped.

use crate::measure;
use shakedown_cluster::Cluster;
use shakedown_cluster::apache::Apache;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// One server of one peer: its processes, how to reach it, and what it can.
pub(crate) struct Server {
    pub(crate) nodes: Vec<Child>,
    /// Addresses with commas between them.
    pub(crate) bootstrap: String,
    /// Copies of every message.
    pub(crate) replicas: i16,
    pub(crate) creates_topics: bool,
    /// Just before the first process.
    pub(crate) started: Instant,
    /// Apache Kafka's nodes, in place of all others.
    pub(crate) apache: Option<Apache>,
}

impl Server {
    /// A cluster of ours with three nodes and this many bytes of memory for their logs: this executable again, as a
    /// server.
    pub(crate) fn ours(replicas: i16, memory_budget: u64) -> Self {
        let executable = std::env::current_exe().expect("this executable");
        let started = Instant::now();
        let mut child = Command::new(executable)
            .args(["serve", "3", &memory_budget.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child process");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("its address");
        let bootstrap = line.trim().to_owned();
        Self { nodes: vec![child], bootstrap, replicas, creates_topics: true, started, apache: None }
    }

    /// A program that serves one node on each port that is an argument.
    pub(crate) fn of_ports(program: &Path, nodes: u8, creates_topics: bool) -> Self {
        let ports: Vec<String> = free_ports(nodes.into()).iter().map(ToString::to_string).collect();
        let started = Instant::now();
        let child = Command::new(program).args(&ports).spawn().expect("it was found to be a program");
        let bootstrap = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",");
        Self { nodes: vec![child], bootstrap, replicas: 1, creates_topics, started, apache: None }
    }

    /// Nodes of Apache Kafka that have just come up.
    pub(crate) fn of_apache(apache: Apache, replicas: i16) -> Self {
        let (bootstrap, started) = (apache.bootstrap_servers(), apache.started());
        Self { nodes: Vec::new(), bootstrap, replicas, creates_topics: true, started, apache: Some(apache) }
    }

    fn processes(&self) -> Vec<u32> {
        let of_apache = |apache: &Apache| apache.nodes().into_iter().filter_map(|id| apache.process_id(id)).collect();
        let others = self.nodes.iter().map(Child::id);
        others.chain(self.apache.as_ref().map_or_else(Vec::new, of_apache)).collect()
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = &str> + Clone {
        self.bootstrap.split(',')
    }

    /// User and system time of all nodes so far.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.processes().into_iter().map(measure::cpu_seconds).sum()
    }

    /// Resident memory of all nodes, in MB (10^6).
    pub(crate) fn memory_mb(&self) -> f64 {
        self.processes().into_iter().map(measure::memory_mb).sum()
    }

    /// What the nodes said, for whoever has to find out why the run was given up.
    fn print_logs(&self) {
        let Some(Ok(entries)) = self.apache.as_ref().map(|apache| apache.folder().read_dir()) else { return };
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()) {
            eprintln!("{}: {}", path.display(), std::fs::read_to_string(&path).unwrap_or_default());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            let _ = node.kill();
            let _ = node.wait();
        }
        if std::thread::panicking() {
            self.print_logs();
        }
    }
}

/// Ports that nobody has at this moment, each of them another.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    // All are held until the last is known.
    let held: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    held.iter().map(|socket| socket.local_addr().expect("its address").port()).collect()
}

/// Serves until the parent closes its end of the pipe.
pub(crate) fn serve(arguments: &[String]) {
    let [brokers, budget] = arguments else { panic!("a number of brokers and a budget, not {arguments:?}") };
    let builder = Cluster::builder().brokers(brokers.parse().expect("a number of brokers"));
    let cluster = builder.memory_budget(budget.parse().expect("a number of bytes")).start().expect("a cluster");
    println!("{}", cluster.bootstrap_servers());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
