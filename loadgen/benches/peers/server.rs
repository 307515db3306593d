//! One embedded broker as a process of its own, which stands still when it is told to.

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use shakedown_cluster::Cluster;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Partitions of the topic.
pub(crate) const PARTITIONS: i32 = 4;
/// The topic.
pub(crate) const TOPIC: &str = "load";
/// What the broker keeps in memory, and of each partition at all: nobody's figures should have the disk in them.
const MEMORY: u64 = 2 << 30;
const RETENTION: &str = "33554432";
const SEGMENT: &str = "8388608";

/// A broker with one empty topic.
pub(crate) struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub(crate) bootstrap: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this executable"))
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child process");
        let input = child.stdin.take().expect("a pipe");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let bootstrap = line(&mut output);
        create(&bootstrap);
        Self { child, input, output, bootstrap }
    }

    /// Stands still for so long; from when to when, in nanoseconds since the Unix epoch.
    pub(crate) fn pause(&mut self, span: Duration) -> (u64, u64) {
        writeln!(self.input, "{}", span.as_nanos()).expect("the server lives");
        let answer = line(&mut self.output);
        let (from, to) = answer.split_once(' ').expect("two instants");
        (from.parse().expect("an instant"), to.parse().expect("an instant"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(output: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    output.read_line(&mut line).expect("the server lives");
    line.trim().to_owned()
}

fn create(bootstrap: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("an admin client");
    let topic = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Fixed(1))
        .set("retention.bytes", RETENTION)
        .set("segment.bytes", SEGMENT);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let created = runtime.block_on(admin.create_topics([&topic], &AdminOptions::new())).expect("an answer");
    assert!(created.iter().all(Result::is_ok), "{created:?}");
}

/// Serves until the parent closes its end of the pipe; a line on it is for how many nanoseconds to stand still.
pub(crate) fn serve() {
    let cluster = Cluster::builder()
        .brokers(1)
        .memory_budget(MEMORY)
        .config("log.retention.check.interval.ms", "1000")
        .start()
        .expect("a cluster");
    println!("{}", cluster.bootstrap_servers());
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let span = Duration::from_nanos(line.parse().expect("a number of nanoseconds"));
        let from = now_ns();
        cluster.pause(1).expect("it runs");
        thread::sleep(span);
        cluster.resume(1).expect("it runs");
        println!("{from} {}", now_ns());
    }
}

pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_nanos()).expect("before 2554")
}
