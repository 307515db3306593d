//! Ours beside its peers: the same load on the same broker in one run, on one machine.
//!
//! Everybody, the broker too, is a process of its own. [`peer`] says who they are and how they are found, [`figures`] what
//! each says of itself, [`stall`] what an open loop has to say of a broker that stands still, [`table`] prints. First each
//! sends as fast as it can, in turns; then all offer the same rates; last the broker stands still for 500 ms under each.
//!
//! `cargo bench -p shakedown-loadgen --bench peers [-- --rounds N --seconds N] [-- PART-OF-A-SECTION'S-NAME ...]`; it fails
//! where a target of ours is missed.

mod c_peer;
mod figures;
mod open_loop;
mod ours;
mod peer;
mod server;
mod stall;
mod table;

use figures::Figures;
use peer::{Peer, Task};
use server::Server;
use std::process::ExitCode;
use table::{Check, Table};

/// See the workspace's table of dependencies.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rounds of everybody at full speed, if nobody says how many; medians are compared.
const ROUNDS: usize = 3;
/// How long a rate is offered, if nobody says how long.
const SECONDS: u64 = 30;
/// Messages at full speed.
const MESSAGES: u64 = 3_000_000;
/// Bytes of a message's value.
const BYTES: u32 = 200;
/// The rates that everybody offers, beside 0.8 of the most that ours can.
const RATES: [u64; 3] = [1_000, 10_000, 100_000];
/// Of the fastest peer's rate.
const SPEED_MIN: f64 = 0.95;
/// Of the planned rate, either way.
const RATE_ERROR_MAX: f64 = 0.001;

/// What is wanted of a run.
struct Options {
    rounds: usize,
    seconds: u64,
    parts: Vec<String>,
}

impl Options {
    fn of(mut arguments: Vec<String>) -> Self {
        let mut number = |name: &str, default: u64| {
            let Some(at) = arguments.iter().position(|argument| argument == name) else { return default };
            let number = arguments.get(at + 1).and_then(|number| number.parse().ok());
            arguments.drain(at..(at + 2).min(arguments.len()));
            number.unwrap_or_else(|| panic!("a number after {name}"))
        };
        let rounds = number("--rounds", ROUNDS as u64);
        let seconds = number("--seconds", SECONDS);
        Self { rounds: usize::try_from(rounds).expect("a small number"), seconds, parts: arguments }
    }

    fn wants(&self, section: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|part| section.contains(part.as_str()))
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.first().map(String::as_str) {
        Some("serve") => {
            server::serve();
            return ExitCode::SUCCESS;
        }
        Some("ours") => {
            ours::run(&arguments[1..]);
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let options = Options::of(arguments);
    let peers = Peer::find();
    let mut table = Table::default();
    println!(
        "one embedded broker with {} partitions a topic; {BYTES} B, acks=all, idempotent, linger 5 ms; everybody on this machine",
        server::PARTITIONS
    );
    let speed =
        (options.wants("full speed") || options.wants("rates")).then(|| full_speed(&options, &peers, &mut table));
    if options.wants("rates") {
        let most = speed.expect("it was measured for this");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some million messages a second")]
        let fast = (most * 0.8) as u64 / 1_000 * 1_000;
        for rate in RATES.into_iter().chain([fast]) {
            same_rate(&options, &peers, rate, &mut table);
        }
    }
    if options.wants("stall") {
        stall::run(&peers, &mut table);
    }
    if table.end() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Everybody as fast as they can; how fast ours was.
fn full_speed(options: &Options, peers: &[Peer], table: &mut Table) -> f64 {
    table.section(&format!("full speed: {MESSAGES} messages, medians of {} rounds", options.rounds));
    let peers: Vec<&Peer> = peers.iter().filter(|peer| peer.has_full_speed()).collect();
    let mut all: Vec<Vec<Figures>> = peers.iter().map(|_| Vec::new()).collect();
    for round in 0..options.rounds {
        for turn in 0..peers.len() {
            // Nobody is always the first on a machine that has slept, nor always behind the same one.
            let at = (turn + round) % peers.len();
            let server = Server::start();
            all[at].push(peers[at].run(&server, &Task { rate: None, messages: MESSAGES, stall: None }));
        }
    }
    let medians: Vec<Figures> = all.into_iter().map(Figures::median_by_rate).collect();
    for (peer, figures) in peers.iter().zip(&medians) {
        table.row(peer.name(), None, figures);
    }
    let rate = |ours: bool| {
        let rates = peers.iter().zip(&medians).filter(|(peer, _)| peer.is_ours() == ours);
        rates.map(|(_, figures)| figures.rate).fold(0.0, f64::max)
    };
    let (ours, fastest) = (rate(true), rate(false));
    // Without a peer there is no figure, and not one beyond all bounds.
    let part = if fastest > 0.0 { ours / fastest } else { f64::NAN };
    table.check(Check::at_least("rate of ours, of the fastest peer's", part, SPEED_MIN));
    ours
}

/// Everybody at one rate.
fn same_rate(options: &Options, peers: &[Peer], rate: u64, table: &mut Table) {
    table.section(&format!("{rate}/s for {} s", options.seconds));
    for peer in peers {
        let server = Server::start();
        let figures = peer.run(&server, &Task { rate: Some(rate), messages: rate * options.seconds, stall: None });
        table.row(peer.name(), peer.keeps_rates().then_some(rate as f64), &figures);
        if peer.is_ours() {
            let error = figures.rate / rate as f64 - 1.0;
            table.check(Check::at_most(&format!("rate error at {rate}/s"), error.abs(), RATE_ERROR_MAX));
        }
    }
}
