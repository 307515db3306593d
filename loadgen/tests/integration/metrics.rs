//! Metrics while a load runs, as Prometheus would get them.

use crate::Test;
use crate::bench::{Bench, TOPIC, wait_until};
use clap::Parser;
use shakedown_loadgen::cli::{self, LoadArguments};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

pub(crate) const TESTS: &[Test] = &[
    ("metrics::a_load_is_scraped_while_it_runs", a_load_is_scraped_while_it_runs),
    ("metrics::a_port_in_use_is_told_before_anything_is_offered", a_port_in_use_is_told_before_anything_is_offered),
];

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    load: LoadArguments,
}

/// Every sample by its name with labels, after Prometheus' text format 0.0.4. Panics where a line is none.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut types: BTreeMap<&str, &str> = BTreeMap::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (word, name, rest) = (words.next(), words.next().expect("a name"), words.next().expect("a text"));
            match word {
                Some("TYPE") => assert!(types.insert(name, rest).is_none(), "{name} has two types"),
                Some("HELP") => {}
                _ => panic!("no comment of the format: {line}"),
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        let value = value.parse().unwrap_or_else(|_| panic!("{value:?} of {name} is no number"));
        let family = name.split('{').next().expect("a name");
        let family = ["_sum", "_count"].iter().find_map(|part| family.strip_suffix(part)).unwrap_or(family);
        assert!(types.contains_key(family), "{family} has no type");
        assert!(samples.insert(name.to_owned(), value).is_none(), "{name} is there twice");
    }
    samples
}

/// Head and body of what is at this path; nothing while nobody listens.
fn get(address: SocketAddr, path: &str) -> Option<(String, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(head, body)| (head.to_owned(), body.to_owned()))
}

fn a_load_is_scraped_while_it_runs() {
    let bench = Bench::new();
    let out = tempfile::tempdir().expect("a temporary directory");
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let (bootstrap, address) = (bench.bootstrap, free.to_string());
    let arguments = ["loadgen", "--bootstrap", &bootstrap, "--topic", TOPIC, "--rate", "1000/s", "--for", "3s"];
    let more = ["--tap", "--per-partition", "--metrics-addr", &address, "--out", out.path().to_str().expect("UTF-8")];
    let load = Command::parse_from(arguments.into_iter().chain(more)).load;
    let running = std::thread::spawn(move || cli::run(&load).expect("the load runs"));

    let acknowledged = "shakedown_load_acknowledged_total";
    let count = |labels: &str| format!("shakedown_latency_seconds_count{{{labels}}}");
    let metrics = ["ack", "service", "delay", "lateness"];
    let mut last = (String::new(), BTreeMap::new());
    wait_until("a second was measured", || {
        let Some((head, body)) = get(free, "/metrics") else { return false };
        last = (head, parse(&body));
        // One metric after the other comes to the end of its second.
        let seen = |labels: &str| last.1.get(&count(labels)).is_some_and(|count| *count > 0.0);
        metrics.iter().all(|metric| seen(&format!("metric=\"{metric}\"")))
    });
    let (head, samples) = last;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.to_lowercase().contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert!(samples[acknowledged] > 0.0, "{samples:?}");
    assert!(samples["shakedown_load_offered_total"] >= samples[acknowledged], "{samples:?}");
    assert_eq!(samples["shakedown_load_planned_messages"], 3_000.0);
    assert_eq!(samples["shakedown_faults_active"], 0.0);
    for metric in metrics {
        let at =
            |quantile| samples[&format!("shakedown_latency_seconds{{metric=\"{metric}\",quantile=\"{quantile}\"}}")];
        assert!(at("0.5") <= at("0.99") && at("0.99") <= at("1"), "{metric}: {samples:?}");
    }
    let named = |name: &str| samples.keys().any(|sample| sample.starts_with(name));
    assert!(named("shakedown_latency_seconds_count{metric=\"deliver\",topic=\"orders\"}"), "{samples:?}");
    assert!(named("shakedown_latency_seconds_count{metric=\"ack\",partition=\"0\"}"), "{samples:?}");
    if cfg!(target_os = "linux") {
        assert!(samples["shakedown_cpu_seconds_total{of=\"generator\"}"] > 0.0, "{samples:?}");
        assert!(samples["shakedown_resident_bytes"] > 0.0, "{samples:?}");
    }
    assert!(get(free, "/other").expect("an answer").0.starts_with("HTTP/1.1 404"));
    let report = running.join().expect("the load ends");
    assert_eq!(report.unacknowledged(), 0);
    assert!(get(free, "/metrics").is_none(), "nobody listens behind the load");
}

fn a_port_in_use_is_told_before_anything_is_offered() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let out = tempfile::tempdir().expect("a temporary directory");
    let arguments = ["loadgen", "--bootstrap", "127.0.0.1:1", "--topic", TOPIC, "--metrics-addr", &address];
    let more = ["--out", out.path().to_str().expect("UTF-8")];
    let error = cli::run(&Command::parse_from(arguments.into_iter().chain(more)).load).expect_err("in use").to_string();
    assert!(error.contains(&address) && error.contains("another program listens there"), "{error}");
    assert_eq!(std::fs::read_dir(out.path()).expect("a folder").count(), 0, "no run directory for what never began");
}
