//! A broker that stands still for 500 ms under a steady load, and what everybody says of it.

use crate::figures::Figures;
use crate::open_loop;
use crate::peer::{Peer, Seen, Task};
use crate::server::Server;
use crate::table::{Check, Table};
use shakedown_reports::RunRecord;
use shakedown_reports::record::Record as _;
use std::time::Duration;

const RATE: u64 = 10_000;
const SECONDS: u64 = 10;
/// From the start of a process: even a JVM offers by then.
const AFTER: Duration = Duration::from_secs(5);
const STALL: Duration = Duration::from_millis(500);
/// How far a percentile may be from what arithmetic says.
const ERROR_MAX: f64 = 0.05;

pub(crate) fn run(peers: &[Peer], table: &mut Table) {
    table.section(&format!(
        "{RATE}/s for {SECONDS} s, with a broker that stands still for {} ms; nobody idempotent",
        STALL.as_millis()
    ));
    let task = Task { rate: Some(RATE), messages: RATE * SECONDS, stall: Some((AFTER, STALL)) };
    for peer in peers {
        let mut server = Server::start();
        let Seen { figures, stall, said } = peer.run_stalled(&mut server, &task);
        table.row(peer.name(), peer.keeps_rates().then_some(RATE as f64), &figures);
        let (Some(said), Some(stall)) = (said, stall) else { continue };
        let mut operations = Vec::new();
        let record = RunRecord::open(&said.directory).expect("a readable run");
        record.operations(&mut |operation| operations.push(*operation)).expect("readable operations");
        std::fs::remove_dir_all(&said.directory).expect("its run directory");
        let expected = open_loop::expected(&operations, stall);
        let ms = expected.map(|ns| Some(ns as f64 / 1e6));
        let arithmetic =
            Figures { rate: RATE as f64, p50: ms[0], p99: ms[1], p999: ms[2], p9999: ms[3], ..Figures::default() };
        table.row("  by arithmetic", None, &arithmetic);
        for ((quantile, seen), expected) in open_loop::QUANTILES.iter().zip(open_loop::seen(&operations)).zip(expected)
        {
            let error = (seen as f64 / expected as f64 - 1.0).abs();
            let what = format!("{}: p{} of the stall, from arithmetic", peer.name(), quantile * 100.0);
            table.check(Check::at_most(&what, error, ERROR_MAX));
        }
    }
}
