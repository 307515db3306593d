//! Ours beside its peers, in one run on one machine, as ratios: absolute times on shared machines mean little.
//!
//! Every peer is a process of its own, so that its CPU seconds and memory are its own; [`peer`] says who they are and
//! how they are found, [`table`] which rows there are and what ours may be. In each round everybody is measured once,
//! in an order that rotates; what is printed are medians over the rounds.
//!
//! `cargo bench -p shakedown-cluster --features apache --bench peers [-- --rounds N] [-- PART-OF-A-ROW'S-NAME ...]`; it fails where a
//! target of ours is missed.

mod client;
mod kafka;
mod measure;
mod peer;
mod server;
mod table;
mod tail;
mod workload;

use peer::{Column, Peer};
use server::Server;
use std::process::ExitCode;
use table::{Row, Table};

/// Rounds, if nobody says how many.
const ROUNDS: usize = 3;
/// Messages of the throughput row.
const MESSAGES: u32 = 2_000_000;
/// Messages that make 1 GB of payload.
const LOG_MESSAGES: u32 = 5_000_000;
/// Requests of the round-trip row.
const ROUND_TRIPS: u32 = 60_000;
/// How many of them a slow server gets; its CPU seconds are scaled.
const ROUND_TRIPS_SLOW: u32 = 10_000;
/// Messages a second of the end-to-end rows, and for how many seconds.
const STEADY: (u32, u32) = (5_000, 5);

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.first().map(String::as_str) == Some("serve") {
        server::serve(&arguments[1..]);
        return ExitCode::SUCCESS;
    }
    let mut rounds = ROUNDS;
    if let Some(at) = arguments.iter().position(|argument| argument == "--rounds") {
        rounds = arguments.get(at + 1).and_then(|rounds| rounds.parse().ok()).expect("a number after --rounds");
        arguments.drain(at..at + 2);
    }
    let is_wanted = |row: &Row| arguments.is_empty() || arguments.iter().any(|part| row.name().contains(part.as_str()));
    let mut run = Run { wanted: Row::ALL.into_iter().filter(is_wanted).collect(), table: Table::default() };
    let mut peers = Peer::find();
    // A machine that has slept hands out memory and cores slowly at first; nobody's figures should have that in them.
    workload::throughput(&peers[0].start(), MESSAGES);
    for round in 0..rounds {
        peers.iter().filter(|peer| round == 0 || !peer.column.is_slow()).for_each(|peer| run.measure(peer));
        peers.rotate_left(1);
    }
    println!("medians of {rounds} rounds, all servers and clients on the same machine");
    if peers.iter().any(|peer| peer.column.is_slow()) {
        println!(
            "Apache Kafka: one round; CPU of {ROUND_TRIPS} round trips scaled up from {ROUND_TRIPS_SLOW}, JIT and all"
        );
    }
    if run.table.print(&run.wanted) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What memory grows by, in MB, while [`LOG_MESSAGES`] come in.
fn log_growth(server: &Server) -> f64 {
    client::boot_seconds(server);
    let idle = server.memory_mb();
    workload::throughput(server, LOG_MESSAGES);
    server.memory_mb() - idle
}

/// What is to be measured, and what was.
struct Run {
    wanted: Vec<Row>,
    table: Table,
}

impl Run {
    fn wants(&self, rows: &[Row]) -> bool {
        rows.iter().any(|row| self.wanted.contains(row))
    }

    /// One round of one peer.
    fn measure(&mut self, peer: &Peer) {
        let column = peer.column;
        if column == Column::OursUnreplicated {
            // It is there for what replication costs while messages pour in, and for nothing else.
            return self.measure_stream(peer);
        }
        self.measure_stream(peer);
        if !column.is_slow() && self.wants(&[Row::Log, Row::LogBytes]) {
            let growth = log_growth(&peer.start());
            self.table.add(Row::Log, column, growth);
            if column == Column::Ours {
                self.table.add(Row::LogBytes, column, growth - log_growth(&Server::ours(workload::REPLICAS, 0)));
            }
        }
        if column == Column::Ours && self.wants(&[Row::Topics, Row::TopicsMemory]) {
            let server = peer.start();
            self.table.add(Row::Topics, column, workload::many_topics(&server, 1_000, 10));
            self.table.add(Row::TopicsMemory, column, server.memory_mb());
        }
    }

    /// What one server shows from its boot on.
    fn measure_stream(&mut self, peer: &Peer) {
        let column = peer.column;
        let stream = [Row::Boot, Row::Idle, Row::Throughput, Row::Cpu, Row::RoundTrips, Row::Median, Row::Tail];
        if !self.wants(&stream) {
            return;
        }
        let server = peer.start();
        self.table.add(Row::Boot, column, client::boot_seconds(&server) * 1e3);
        self.table.add(Row::Idle, column, server.memory_mb());
        if self.wants(&[Row::Throughput, Row::Cpu]) {
            let before = server.cpu_seconds();
            self.table.add(Row::Throughput, column, workload::throughput(&server, MESSAGES));
            self.table.add(Row::Cpu, column, server.cpu_seconds() - before);
        }
        if column == Column::OursUnreplicated {
            return;
        }
        if self.wants(&[Row::RoundTrips]) {
            let count = if column.is_slow() { ROUND_TRIPS_SLOW } else { ROUND_TRIPS };
            let before = server.cpu_seconds();
            workload::round_trips(&server, count);
            let scale = f64::from(ROUND_TRIPS) / f64::from(count);
            self.table.add(Row::RoundTrips, column, (server.cpu_seconds() - before) * scale);
        }
        if self.wants(&[Row::Median, Row::Tail]) {
            let (p50, p99) = workload::end_to_end(&server, STEADY.0, STEADY.1);
            self.table.add(Row::Median, column, p50);
            self.table.add(Row::Tail, column, p99);
        }
    }
}
