//! The report against somebody who saw the same run with other eyes: a consumer of its own that knows the topic's
//! offsets and the broker's timestamps, and nothing of taps, records or checks.
//!
//! With `SHAKEDOWN_SOAK` set it watches the whole minute of `scenarios/load/tracker-20k.toml`, and that the memory of this
//! process (the cluster, the load generator, the taps) stays flat over the last two thirds; otherwise some seconds of it.

use crate::trial;
use libtest_mimic::Trial;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use shakedown::run::journal::Observer;
use shakedown::{Report, Runner};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const PARTITIONS: i32 = 10;
/// How much larger the process may be at the end of a soak than at a third of it.
const GROWTH_MAX: f64 = 1.25;
/// How long the cluster stays up for the follower's tail.
const TAIL: Duration = Duration::from_secs(10);
/// Where the intended instant lies in the load generator's header: behind version, run, producer, sequence and keys.
const INTENDED_AT: usize = 1 + 4 + 2 + 8 + 4 + 4;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("agreement::the_report_says_what_the_topic_says", agree)]
}

/// Tells where the cluster is, as soon as the run says so, and holds the run at its end until the follower has its tail.
struct Overheard {
    address: Mutex<Sender<String>>,
    finished: Mutex<Receiver<()>>,
    done: Arc<AtomicBool>,
}

impl Observer for Overheard {
    fn phase(&self, text: &str) {
        if let Some(bootstrap) = text.strip_prefix("boot: done: ") {
            // Nobody listens any more once the address is known.
            let _ = self.address.lock().expect("no panic while it is held").send(bootstrap.to_owned());
        }
        if text.starts_with("stop: ") {
            // What has not come by then is missing, which the comparison will say.
            let _ = self.finished.lock().expect("no panic while it is held").recv_timeout(TAIL);
            self.done.store(true, Ordering::Relaxed);
        }
    }
}

/// What the topic itself says.
#[derive(Default)]
struct Seen {
    next: BTreeMap<i32, i64>,
    first_ms: i64,
    last_ms: i64,
    /// From the intended instant to the broker's timestamp, in milliseconds.
    latencies_ms: Vec<f64>,
    /// Resident memory at a third of the messages, and at the last one.
    resident: Vec<u64>,
}

fn is_soak() -> bool {
    std::env::var_os("SHAKEDOWN_SOAK").is_some()
}

fn scenario(folder: &Path) -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/load/tracker-20k.toml");
    if is_soak() {
        return file;
    }
    let mut text = std::fs::read_to_string(file).expect("the scenario");
    let systems = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/systems/tracker.toml");
    let system = format!("system = \"{}\"", systems.display());
    for (part, change) in [
        ("rate = \"20000/s\", for = \"60s\"", "rate = \"5000/s\", for = \"4s\""),
        ("system = \"tracker\"", system.as_str()),
    ] {
        assert!(text.contains(part), "the scenario has no {part}");
        text = text.replace(part, change);
    }
    let short_file = folder.join("tracker-short.toml");
    std::fs::write(&short_file, text).expect("a scenario file");
    short_file
}

fn agree() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (address, addresses) = channel();
    let (finish, finished) = channel();
    let done = Arc::new(AtomicBool::new(false));
    let runner = Runner::new(scenario(folder.path()))
        .executable(env!("CARGO_BIN_EXE_shakedown"))
        .output(folder.path())
        .observer(Arc::new(Overheard {
            address: Mutex::new(address),
            finished: Mutex::new(finished),
            done: Arc::clone(&done),
        }));
    let total = runner.plan().unwrap_or_else(|error| panic!("{error}")).total;
    let total = usize::try_from(total).expect("some million messages");
    let follower: JoinHandle<Seen> = std::thread::spawn(move || {
        let seen = follow(&addresses, &done, total);
        // Nobody waits if the run has broken off.
        let _ = finish.send(());
        seen
    });
    let report = runner.run().unwrap_or_else(|error| panic!("{error}"));
    let seen = follower.join().expect("the follower ends");
    report.assert_passed();
    compare(&report, &seen);
    let [third, end] = seen.resident.as_slice() else { panic!("the memory was not looked at: {:?}", seen.resident) };
    #[expect(clippy::cast_precision_loss, reason = "some million kilobytes")]
    let growth = *end as f64 / *third as f64;
    // In some seconds buffers and the log in memory still fill up.
    assert!(!is_soak() || growth < GROWTH_MAX, "from {third} kB at a third of the run to {end} kB at its end");
}

/// The resident memory of this process, in kilobytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("this test reads /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line about resident memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number of kilobytes")
}

/// Reads all partitions from the beginning until so many messages were seen, or the cluster is about to stop.
fn follow(addresses: &Receiver<String>, done: &AtomicBool, total: usize) -> Seen {
    let bootstrap = addresses.recv().expect("the run says where its cluster is");
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "independent")
        .set("enable.auto.commit", "false")
        .set_log_level(RDKafkaLogLevel::Emerg)
        .create()
        .expect("a consumer");
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        all.add_partition_offset("orders", partition, Offset::Beginning).expect("an offset");
    }
    consumer.assign(&all).expect("an assignment");
    // Written to before it is needed, so that the follower itself does not grow while it watches memory.
    let mut latencies_ms = vec![1.0; total];
    latencies_ms.clear();
    let mut seen = Seen { first_ms: i64::MAX, latencies_ms, ..Seen::default() };
    while seen.latencies_ms.len() < total && !done.load(Ordering::Relaxed) {
        // What errors cost shows in the count.
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) {
            seen.see(&message);
            if [total / 3, total].contains(&seen.latencies_ms.len()) {
                seen.resident.push(resident());
            }
        }
    }
    seen
}

impl Seen {
    fn see(&mut self, message: &BorrowedMessage<'_>) {
        let next = self.next.entry(message.partition()).or_default();
        assert_eq!(message.offset(), *next, "offsets of partition {} count up", message.partition());
        *next += 1;
        let appended_ms = message.timestamp().to_millis().expect("the broker's timestamp");
        self.first_ms = self.first_ms.min(appended_ms);
        self.last_ms = self.last_ms.max(appended_ms);
        let headers = message.headers().expect("headers");
        let identity = headers.iter().find(|header| header.key == "shakedown").and_then(|header| header.value);
        let bytes = identity.expect("an identity")[INTENDED_AT..INTENDED_AT + 8].try_into().expect("eight bytes");
        let appended = Duration::from_millis(appended_ms.unsigned_abs()).as_secs_f64();
        let intended = Duration::from_nanos(u64::from_le_bytes(bytes)).as_secs_f64();
        self.latencies_ms.push((appended - intended) * 1e3);
    }

    fn percentile(&mut self, percent: usize) -> f64 {
        self.latencies_ms.sort_by(f64::total_cmp);
        self.latencies_ms[self.latencies_ms.len() * percent / 100]
    }
}

fn compare(report: &Report, seen: &Seen) {
    let text = report.text(false);
    let count = seen.latencies_ms.len();
    let total = report.summary().totals["messages acknowledged"];
    assert_eq!(u64::try_from(total), Ok(count as u64), "the topic holds what was acknowledged\n{text}");
    assert_eq!(seen.next.values().sum::<i64>(), total, "offsets count the same\n{text}");

    let achieved = report.summary().lines.iter().find(|line| line.label == "achieved").expect("a line about the rate");
    let stated: f64 = achieved.text.split("/s").next().and_then(|rate| rate.parse().ok()).expect("a rate");
    #[expect(clippy::cast_precision_loss, reason = "some seconds and some thousand messages")]
    let measured = (count - 1) as f64 * 1e3 / (seen.last_ms - seen.first_ms) as f64;
    assert!((stated / measured - 1.0).abs() < 0.01, "the topic says {measured:.1}/s\n{text}");

    // The report's latency ends when a tap has read the message, the topic's when the broker stamps it, and that stamp is
    // cut to whole milliseconds: the report's may be a little more, never less than a millisecond's cut explains.
    let mut seen = Seen { latencies_ms: seen.latencies_ms.clone(), ..Seen::default() };
    for percent in [50, 99] {
        let stated = percentile_of(&text, percent);
        let measured = seen.percentile(percent);
        let slack = 5.0 + measured;
        assert!(
            (measured - 0.1..measured + slack).contains(&stated),
            "p{percent} of the topic is {measured:.2} ms, of the report {stated:.2} ms\n{text}"
        );
    }
}

/// Finds `p50 3.44 ms` in the line of the latency.
fn percentile_of(text: &str, percent: usize) -> f64 {
    let line = text.lines().find(|line| line.contains("latency end-to-end")).expect("a line about latency");
    let behind = line.split(&format!("p{percent} ")).nth(1).expect("the percentile");
    let mut words = behind.split_whitespace();
    let value: f64 = words.next().and_then(|word| word.parse().ok()).expect("a number");
    match words.next() {
        Some("us") => value / 1e3,
        Some("ms") => value,
        Some("s") => value * 1e3,
        other => panic!("an unknown unit {other:?} in {line}"),
    }
}
