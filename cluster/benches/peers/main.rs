//! Ours beside its peers, in one run on one machine, as ratios: absolute times on shared machines mean little.
//!
//! Every peer is a process of its own, so that its CPU seconds and memory are its own. The floor is any program that
//! takes a port as its only argument and serves topics of ten partitions there without replication; name it by
//! `SHAKEDOWN_FLOOR=path`. Without it, the columns of the floor are left out, and the run says so.
//!
//! `cargo bench -p shakedown-cluster --bench peers [-- --rounds N] [-- ROW ...]`

mod measure;
mod server;
mod tail;
mod workload;

use measure::median;
use server::Server;
use std::path::PathBuf;

/// Messages of the throughput row.
const MESSAGES: u64 = 2_000_000;
/// Requests of the round-trip row.
const ROUND_TRIPS: u64 = 60_000;

/// One figure of ours, of the floor, and what their ratio (or ours alone) may be.
struct Row {
    what: &'static str,
    unit: &'static str,
    ours: Vec<f64>,
    floor: Vec<f64>,
    target: &'static str,
    holds: fn(ours: f64, ratio: Option<f64>) -> Option<bool>,
}

impl Row {
    fn new(
        what: &'static str,
        unit: &'static str,
        target: &'static str,
        holds: fn(f64, Option<f64>) -> Option<bool>,
    ) -> Self {
        Self { what, unit, ours: Vec::new(), floor: Vec::new(), target, holds }
    }

    fn print(&self) {
        let ours = median(&self.ours);
        let floor = (!self.floor.is_empty()).then(|| median(&self.floor));
        let ratio = floor.map(|floor| ours / floor);
        let text = |value: Option<f64>| value.map_or_else(|| String::from("-"), |value| format!("{value:.3}"));
        let verdict = match (self.holds)(ours, ratio) {
            Some(true) => "holds",
            Some(false) => "MISSED",
            None => "not measured",
        };
        let (what, unit, target) = (self.what, self.unit, self.target);
        println!("{what:<44} {unit:<8} {ours:>12.3} {:>12} {:>8}  {target:<14} {verdict}", text(floor), text(ratio));
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.first().map(String::as_str) == Some("serve") {
        return server::serve(&arguments[1..]);
    }
    let rounds_at = arguments.iter().position(|argument| argument == "--rounds");
    let rounds = rounds_at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(3);
    let floor = std::env::var_os("SHAKEDOWN_FLOOR").map(PathBuf::from);
    if floor.is_none() {
        println!("SHAKEDOWN_FLOOR names no program: ours is measured alone");
    }
    println!("{:<44} {:<8} {:>12} {:>12} {:>8}  target", "", "", "ours", "floor", "ratio");
    let mut rows = rows();
    for _ in 0..rounds {
        measure_round(&mut rows, floor.as_ref());
    }
    measure_alone(&mut rows);
    rows.iter().for_each(Row::print);
}

fn rows() -> Vec<Row> {
    vec![
        Row::new("throughput, 200 B, acks=all, linger 5 ms", "msg/s", ">= 0.75 x", |_, ratio| Some(ratio? >= 0.75)),
        Row::new("broker CPU for 2 M messages", "s", "<= 1.5 x", |_, ratio| Some(ratio? <= 1.5)),
        Row::new("broker CPU for 60,000 round trips", "s", "<= 1.7 x", |_, ratio| Some(ratio? <= 1.7)),
        Row::new("end to end at 5,000/s, linger 0, p50", "ms", "<= 2 x", |_, ratio| Some(ratio? <= 2.0)),
        Row::new("end to end at 5,000/s, linger 0, p99", "ms", "<= 2 x", |_, ratio| Some(ratio? <= 2.0)),
        Row::new("memory, idle", "MB", "<= 20", |ours, _| Some(ours <= 20.0)),
        Row::new("memory growth for 1 GB of log", "MB", "<= 356", |ours, _| Some(ours <= 356.0)),
        Row::new("1,000 topics x 10 partitions created", "s", "<= 1", |ours, _| Some(ours <= 1.0)),
        Row::new("memory for them", "MB", "<= 100", |ours, _| Some(ours <= 100.0)),
    ]
}

/// Ours and the floor, one after the other, so that both see the same machine.
fn measure_round(rows: &mut [Row], floor: Option<&PathBuf>) {
    for is_floor in [false, true] {
        let server = match (is_floor, floor) {
            (false, _) => Server::ours(3),
            (true, Some(path)) => Server::floor(path),
            (true, None) => continue,
        };
        let mut push = |nth: usize, value: f64| {
            let row: &mut Row = &mut rows[nth];
            if is_floor { row.floor.push(value) } else { row.ours.push(value) }
        };
        push(5, server.memory_mb());
        let before = server.cpu_seconds();
        push(0, workload::throughput(&server.bootstrap, MESSAGES));
        push(1, server.cpu_seconds() - before);
        let before = server.cpu_seconds();
        workload::round_trips(&server.bootstrap, ROUND_TRIPS);
        push(2, server.cpu_seconds() - before);
        let (p50, p99) = workload::end_to_end(&server.bootstrap, 5_000, 5);
        push(3, p50);
        push(4, p99);
    }
}

/// What only ours can do.
fn measure_alone(rows: &mut [Row]) {
    let server = Server::ours(3);
    let idle = server.memory_mb();
    workload::throughput(&server.bootstrap, 5_000_000);
    rows[6].ours.push(server.memory_mb() - idle);
    let server = Server::ours(3);
    rows[7].ours.push(workload::many_topics(&server.bootstrap, 1_000, 10));
    rows[8].ours.push(server.memory_mb());
}
