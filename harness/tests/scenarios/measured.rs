//! What a run tells of itself while it goes on, and what of its measuring is in its directory afterwards.

use crate::{tool, trial};
use libtest_mimic::Trial;
use shakedown_reports::resources::Usage;
use shakedown_reports::{RunRecord, intervals};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("measured::a_run_is_scraped_while_it_goes_on_and_keeps_what_it_cost", scraped),
        trial("measured::a_port_in_use_is_told_before_anything_runs", || {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let address = listener.local_addr().expect("an address").to_string();
            let output = tool::shakedown(&["run", &scenario(), "--metrics-addr", &address]);
            assert_eq!(output.status.code(), Some(4));
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(text.contains(&address) && text.contains("another program listens there"), "{text}");
        }),
    ]
}

/// One whose groups are watched, so that there is a lag to tell of.
fn scenario() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/correctness/platform.toml");
    file.display().to_string()
}

fn scraped() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let runs = folder.path().join("runs").display().to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_shakedown"))
        .args(["run", &scenario(), "--metrics-addr", "0", "--out", &runs])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool starts");
    let mut errors = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    errors.read_line(&mut line).expect("a line");
    let address = line.trim().strip_prefix("metrics at http://").and_then(|rest| rest.strip_suffix("/metrics"));
    let address = address.unwrap_or_else(|| panic!("no address in {line:?}")).to_owned();
    // Somebody has to read what it says meanwhile.
    let reader = std::thread::spawn(move || std::io::copy(&mut errors, &mut std::io::sink()));

    let wanted = [
        "shakedown_latency_seconds_count{metric=\"deliver\"",
        "shakedown_group_lag_messages{group=",
        "shakedown_cpu_seconds_total{of=\"brokers\"}",
    ];
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut text = String::new();
    while !wanted.iter().all(|name| text.contains(name)) {
        assert!(
            Instant::now() < deadline && child.try_wait().expect("a child").is_none(),
            "not all of it was told:\n{text}"
        );
        std::thread::sleep(Duration::from_millis(20));
        text = scrape(&address);
    }
    assert!(text.contains("shakedown_run_info{run="), "{text}");
    let output = child.wait_with_output().expect("it ends");
    reader.join().expect("a reader").expect("a pipe");
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(TcpStream::connect(&address).is_err(), "nobody listens behind the run");

    let record = RunRecord::open(&tool::find_run(folder.path()).expect("a run directory")).expect("a readable run");
    let usage = Usage::over(&record.resources().expect("good readings")).expect("a load of some seconds");
    assert!(usage.brokers_cpu_ns > 0 && usage.services_cpu_ns > 0 && usage.messages > 0, "{usage:?}");
    let summary = record.summary().expect("readable").expect("it came to its end");
    assert_eq!(summary.usage, Some(usage));
    assert!(report.contains("brokers "), "{report}");
    let log = intervals::read(&tool::find_run(folder.path()).expect("a run directory")).expect("a good log");
    let hops: Vec<_> = log.iter().filter(|interval| interval.tag.starts_with("hop:")).collect();
    assert!(!hops.is_empty(), "latencies of flows are expected, so hops are measured");
    for hop in hops {
        assert!(hop.end_ns > hop.start_ns && !hop.histogram.is_empty(), "{hop:?}");
    }
}

fn scrape(address: &str) -> String {
    let mut text = String::new();
    let Ok(mut stream) = TcpStream::connect(address) else { return text };
    // A run that ends meanwhile answers nothing.
    let _ = write!(stream, "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let _ = stream.read_to_string(&mut text);
    text
}
