//! The report against somebody who saw the same run with other eyes: a consumer of its own that knows the topic's
//! offsets and the broker's timestamps, and nothing of taps, records or checks. What it saw is laid beside the record,
//! message by message.
//!
//! With `SHAKEDOWN_SOAK` set it watches the whole minute of `scenarios/load/tracker-20k.toml`, and that the memory of this
//! process (the cluster, the load generator, the taps) stays flat over the last two thirds; the report's figures must then be
//! those of the topic alone. Otherwise it watches some seconds, on a machine that others may need.

use crate::trial;
use libtest_mimic::Trial;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use shakedown::run::journal::Observer;
use shakedown::{Report, Runner};
use shakedown_reports::RunRecord;
use shakedown_reports::record::{Delivery, Operation, Record as _};
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

/// What the topic says of one message.
#[derive(Clone, Copy, Default)]
struct Stamp {
    partition: i32,
    offset: i64,
    intended_ns: u64,
    /// The broker's timestamp, which is cut to whole milliseconds.
    appended_ms: i64,
}

impl Stamp {
    fn appended_ns(&self) -> u64 {
        self.appended_ms.unsigned_abs() * 1_000_000
    }

    /// From the intended instant to the broker's timestamp.
    #[expect(clippy::cast_precision_loss, reason = "some seconds in nanoseconds")]
    fn latency_ms(&self) -> f64 {
        (self.appended_ns() as f64 - self.intended_ns as f64) / 1e6
    }
}

/// What the topic itself says.
#[derive(Default)]
struct Seen {
    next: BTreeMap<i32, i64>,
    first_ms: i64,
    last_ms: i64,
    /// Every message, in the order in which it was read.
    stamps: Vec<Stamp>,
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
    let mut stamps = vec![Stamp { offset: 1, ..Stamp::default() }; total];
    stamps.clear();
    let mut seen = Seen { first_ms: i64::MAX, stamps, ..Seen::default() };
    while seen.stamps.len() < total && !done.load(Ordering::Relaxed) {
        // What errors cost shows in the count.
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) {
            seen.see(&message);
            if [total / 3, total].contains(&seen.stamps.len()) {
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
        let intended_ns = u64::from_le_bytes(bytes);
        self.stamps.push(Stamp { partition: message.partition(), offset: message.offset(), intended_ns, appended_ms });
    }
}

fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() * percent / 100]
}

fn compare(report: &Report, seen: &Seen) {
    let text = report.text(false);
    let count = seen.stamps.len();
    let total = report.summary().totals["messages acknowledged"];
    assert_eq!(u64::try_from(total), Ok(count as u64), "the topic holds what was acknowledged\n{text}");
    assert_eq!(seen.next.values().sum::<i64>(), total, "offsets count the same\n{text}");
    compare_each(report, seen);
    if is_soak() {
        compare_figures(report, seen);
    }
}

/// Message by message, however busy the machine is: the broker's timestamp lies between the instants at which the load
/// generator says that it sent the message and had the acknowledgement, no tap has it earlier, and what the report says
/// of them all is what their instants come to.
fn compare_each(report: &Report, seen: &Seen) {
    let text = report.text(false);
    let record = RunRecord::open(report.directory()).expect("the record");
    let at = |stamp: &Stamp| (stamp.partition, stamp.offset);
    let stamps: BTreeMap<(i32, i64), Stamp> = seen.stamps.iter().map(|stamp| (at(stamp), *stamp)).collect();
    let of = |partition: i32, offset: i64| stamps.get(&(partition, offset)).copied().expect("the topic has it");
    // The stamp's own cut, and two clocks that were read one after the other.
    let early_ns = 1_000_000;

    let (mut first_sent_ns, mut last_sent_ns, mut acknowledged) = (u64::MAX, 0, 0);
    let each = &mut |operation: &Operation| {
        let stamp = of(operation.partition, operation.offset);
        assert_eq!(operation.intended_ns, stamp.intended_ns);
        let (sent, appended, completed) = (operation.sent_ns, stamp.appended_ns(), operation.completed_ns);
        assert!(sent <= appended + early_ns && appended <= completed, "{sent} {appended} {completed}");
        (first_sent_ns, last_sent_ns) = (first_sent_ns.min(sent), last_sent_ns.max(sent));
        acknowledged += 1;
    };
    record.operations(each).expect("the operations");
    assert_eq!(acknowledged, stamps.len());
    #[expect(clippy::cast_precision_loss, reason = "some seconds and some thousand messages")]
    let offered = (acknowledged - 1) as f64 * 1e9 / (last_sent_ns - first_sent_ns) as f64;
    let stated = stated_rate(report);
    assert!((stated / offered - 1.0).abs() < 0.002, "the record says {offered:.1}/s\n{text}");

    let topic = (0..).zip(record.streams()).find(|(_, stream)| stream.label() == "topic orders").expect("the topic").0;
    let mut latencies_ms = Vec::new();
    let each = &mut |delivery: &Delivery| {
        let stamp = of(delivery.partition, delivery.offset);
        assert!(delivery.received_ns >= stamp.appended_ns(), "{} {}", delivery.received_ns, stamp.appended_ns());
        #[expect(clippy::cast_precision_loss, reason = "some seconds in nanoseconds")]
        latencies_ms.push((delivery.received_ns - stamp.intended_ns) as f64 / 1e6);
    };
    record.deliveries(topic, each).expect("the deliveries");
    assert_eq!(latencies_ms.len(), stamps.len());
    for percent in [50, 99] {
        let (stated, computed) = (percentile_of(&text, percent), percentile(&mut latencies_ms, percent));
        // Three digits of the report, three of its histogram.
        assert!((stated / computed - 1.0).abs() < 0.02, "p{percent} is {computed:.2} ms, not {stated:.2} ms\n{text}");
    }
}

/// Figure by figure, where nothing but the run needs the machine: by the topic's own timestamps alone.
fn compare_figures(report: &Report, seen: &Seen) {
    let (text, stated) = (report.text(false), stated_rate(report));
    #[expect(clippy::cast_precision_loss, reason = "a minute and some million messages")]
    let measured = (seen.stamps.len() - 1) as f64 * 1e3 / (seen.last_ms - seen.first_ms) as f64;
    assert!((stated / measured - 1.0).abs() < 0.01, "the topic says {measured:.1}/s\n{text}");

    // The report's latency ends when a tap has read the message, the topic's when the broker stamps it, and that stamp is
    // cut to whole milliseconds: the report's may be a little more, never less than a millisecond's cut explains.
    let mut latencies_ms: Vec<f64> = seen.stamps.iter().map(Stamp::latency_ms).collect();
    for percent in [50, 99] {
        let stated = percentile_of(&text, percent);
        let measured = percentile(&mut latencies_ms, percent);
        let slack = 5.0 + measured;
        assert!(
            (measured - 0.1..measured + slack).contains(&stated),
            "p{percent} of the topic is {measured:.2} ms, of the report {stated:.2} ms\n{text}"
        );
    }
}

/// The rate at which the report says that the load was offered: `4999.3/s offered, ...`.
fn stated_rate(report: &Report) -> f64 {
    let achieved = report.summary().lines.iter().find(|line| line.label == "achieved").expect("a line about the rate");
    achieved.text.split("/s").next().and_then(|rate| rate.parse().ok()).expect("a rate")
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
