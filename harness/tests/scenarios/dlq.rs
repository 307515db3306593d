//! `shakedown dlq`, from outside: a poison message on the embedded cluster, on its way to a dead letter and back.

use crate::{tool, trial};
use libtest_mimic::Trial;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// No JSON, no text, and nothing that a terminal should see.
const POISON: &[u8] = b"\x1b[2J\xff not an order";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("dlq::a_poison_message_is_laid_aside_shown_and_played_again_once", poison),
        trial("dlq::letters_that_are_picked_out_are_remembered_one_by_one", picked),
        trial("dlq::what_cannot_be_done_is_refused_with_what_can", refused),
    ]
}

/// A cluster of another process with these topics, of as many partitions.
struct Post {
    cluster: Child,
    bootstrap: String,
}

/// An event in its topic: partition, key, bytes, headers.
type Stored = (i32, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, String)>);

impl Post {
    fn open(topics: &[(&str, i32)]) -> Self {
        let mut cluster = tool::start(&["cluster", "--brokers", "1"]);
        let bootstrap = tool::announced(&mut cluster);
        let post = Self { cluster, bootstrap };
        let admin: AdminClient<DefaultClientContext> = post.client().create().expect("a client");
        let new: Vec<NewTopic<'_>> = topics
            .iter()
            .map(|(name, partitions)| NewTopic::new(name, *partitions, TopicReplication::Fixed(1)))
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let made = runtime.block_on(admin.create_topics(&new, &AdminOptions::new())).expect("an answer");
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        post
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    /// Produces one event, and waits until it is there.
    fn produce(&self, topic: &str, partition: i32, payload: &[u8], headers: &[(&str, &str)]) {
        let producer: BaseProducer = self.client().set("acks", "all").create().expect("a client");
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(*value) }));
        let record = BaseRecord::to(topic).partition(partition).key(b"ada".as_slice()).payload(payload);
        producer.send(record.headers(headers)).expect("an empty queue");
        producer.flush(PATIENCE).expect("an acknowledgement");
    }

    /// Everything in a topic, partition by partition.
    fn read(&self, topic: &str) -> Vec<Stored> {
        let mut config = self.client();
        config.set("group.id", "reader").set("enable.auto.commit", "false").set("enable.partition.eof", "true");
        let consumer: BaseConsumer = config.create().expect("a client");
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).expect("metadata");
        let partitions = metadata.topics()[0].partitions().len();
        let mut list = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            list.add_partition_offset(topic, partition.id(), Offset::Beginning).expect("a partition");
        }
        consumer.assign(&list).expect("an assignment");
        let (mut stored, mut ended) = (Vec::new(), 0);
        while ended < partitions {
            match consumer.poll(PATIENCE).expect("an answer") {
                Ok(message) => {
                    let headers = message.headers().map(|headers| {
                        let text =
                            |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
                        headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect()
                    });
                    let (key, payload) = (message.key().map(<[u8]>::to_vec), message.payload().map(<[u8]>::to_vec));
                    stored.push((message.partition(), key, payload, headers.unwrap_or_default()));
                }
                Err(KafkaError::PartitionEOF(_)) => ended += 1,
                Err(error) => panic!("{topic} cannot be read: {error}"),
            }
        }
        stored
    }

    /// Runs `shakedown dlq` and hands back its exit code, what it printed, and what it complained about.
    fn dlq(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let [command, rest @ ..] = arguments else { panic!("a command") };
        let output = tool::shakedown(&[&["dlq", command, "--bootstrap", &self.bootstrap], rest].concat());
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// As `dlq`, for what must succeed.
    fn done(&self, arguments: &[&str]) -> String {
        let (code, printed, complaints) = self.dlq(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {complaints}");
        printed
    }

    fn close(mut self) {
        drop(self.cluster.stdin.take());
        assert_eq!(tool::wait(&mut self.cluster), Some(0));
    }
}

/// The storefront's payment service, with a store of its own; killed when dropped.
struct Payment(Child);

impl Payment {
    fn start(bootstrap: &str, folder: &Path) -> Self {
        let store = format!("sqlite://{}", folder.join("payment.db").display());
        let child = Command::new(env!("CARGO_BIN_EXE_shakedown"))
            .args(["service", "payment"])
            .env_clear()
            .envs([("SYSTEM", "storefront"), ("KAFKA_BOOTSTRAP_SERVERS", bootstrap), ("DATABASE_URL", store.as_str())])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the service starts");
        Self(child)
    }
}

impl Drop for Payment {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn poison() {
    let post = Post::open(&[
        ("order_created", 2),
        ("order_created.dlq", 2),
        ("inventory_updated", 2),
        ("inventory_updated.dlq", 2),
        ("payment_successful", 2),
        ("payment_failed", 2),
        ("payment.retry", 2),
    ]);
    assert!(
        post.done(&["list", "--topic", "order_created.dlq"]).contains("order_created.dlq  "),
        "an empty topic is one"
    );
    let own = [("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), ("colour", "blue")];
    // A partition that no partitioner would choose for both keys and letters alike.
    post.produce("order_created", 1, POISON, &own);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let payment = Payment::start(&post.bootstrap, folder.path());
    wait_for("the dead letter", || !post.read("order_created.dlq").is_empty());
    drop(payment);

    let listed = post.done(&["list"]);
    let row = listed.lines().find(|line| line.contains("payment")).expect("a row");
    assert!(row.trim_start().starts_with("1  payment") && row.contains("its payload is not JSON"), "{listed}");
    let shown = post.done(&["show", "--topic", "order_created.dlq"]);
    for part in [
        "from      order_created/1 offset 0",
        "service   payment",
        "reason    its payload is not JSON",
        "key       ada",
        "header    colour = blue",
        "payload   18 bytes, binary",
        "1b 5b 32 4a ff 20 6e 6f",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains('\u{1b}'), "nothing of a letter commands a terminal: {shown:?}");

    let everything = ["replay", "--topic", "order_created.dlq", "--all"];
    let rehearsed = post.done(&[&everything[..], &["--dry-run"]].concat());
    assert!(rehearsed.contains("1 events would be sent to order_created"), "{rehearsed}");
    assert_eq!(post.read("order_created").len(), 1, "a rehearsal sends nothing");
    let replayed = post.done(&everything);
    assert!(replayed.contains("-> order_created/1 offset 1"), "{replayed}");
    let again = post.done(&everything);
    assert!(again.contains("0 events sent"), "{again}");
    let events = post.read("order_created");
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let original = (1, Some(b"ada".to_vec()), Some(POISON.to_vec()), own);
    assert_eq!(events, [original.clone(), original], "the same twice, to the byte, without the letter's headers");
    assert!(post.done(&["show", "--topic", "order_created.dlq"]).contains("  replayed\n"));
    post.close();
}

/// The headers of a letter whose event lay at this offset of partition 0.
fn about(offset: &str) -> [(&str, &str); 5] {
    [
        ("dlq-reason", "no"),
        ("dlq-service", "tester"),
        ("dlq-topic", "orders"),
        ("dlq-partition", "0"),
        ("dlq-offset", offset),
    ]
}

fn picked() {
    let post = Post::open(&[("orders", 3), ("orders.dlq", 1), ("elsewhere", 1)]);
    // The last is a second letter of the first's event.
    for (payload, offset) in [("a", "10"), ("b", "11"), ("c", "12"), ("d", "13"), ("a", "10")] {
        post.produce("orders.dlq", 0, payload.as_bytes(), &about(offset));
    }
    let sent = || -> Vec<String> {
        let payloads = post.read("orders").into_iter().map(|(partition, _, payload, _)| {
            assert_eq!(partition, 0, "where it lay");
            String::from_utf8(payload.expect("bytes")).expect("text")
        });
        payloads.collect()
    };
    let replay = |arguments: &[&str]| post.done(&[&["replay", "--topic", "orders.dlq"], arguments].concat());
    replay(&["--offset", "2"]);
    assert_eq!(sent(), ["c"]);
    let repeated = replay(&["--offset", "0:2", "--offset", "0:0"]);
    assert!(repeated.contains("orders.dlq/0 offset 2  was replayed before"), "{repeated}");
    assert_eq!(sent(), ["c", "a"]);
    let listed = post.done(&["list"]);
    assert!(
        listed.lines().any(|line| line.split_whitespace().collect::<Vec<_>>() == ["orders.dlq", "5", "2"]),
        "{listed}"
    );
    // Another group remembers nothing of that, and knows two letters of one event when it sees them.
    let elsewhere = replay(&["--all", "--to", "elsewhere", "--group", "another"]);
    assert!(elsewhere.contains("4 events sent to elsewhere; 1 further letters of the same events"), "{elsewhere}");
    let rest = replay(&["--all"]);
    assert!(rest.contains("3 events sent to orders; 1 letters that were replayed before"), "{rest}");
    assert_eq!(sent(), ["c", "a", "b", "d", "a"], "the rest, in order");
    assert!(replay(&["--all"]).contains("0 events sent to orders"));
    post.produce("orders.dlq", 0, b"e", &about("14"));
    replay(&["--all"]);
    assert_eq!(sent().last().map(String::as_str), Some("e"), "what came later is new");
    post.produce("orders.dlq", 0, b"f", &[&about("15")[..], &[("dlq-shortened", "payload")]].concat());
    let passed = replay(&["--all"]);
    assert!(passed.contains("orders.dlq/0 offset 6  passed over: it has not all of its event"), "{passed}");
    assert!(passed.contains("0 events sent to orders; 1 shortened letters passed over"), "{passed}");
    assert_eq!(sent().last().map(String::as_str), Some("e"), "half an event is another one");
    post.close();
}

fn refused() {
    let post = Post::open(&[("orders", 1), ("orders.dlq", 2), ("lonely.dlq", 1)]);
    post.produce("orders.dlq", 1, b"x", &[]);
    post.produce("lonely.dlq", 0, b"x", &[]);
    for (arguments, complaint) in [
        (&["show", "--topic", "order.dlq"][..], "no topic of dead letters `order.dlq`\n  did you mean `orders.dlq`?"),
        (&["list", "--topic", "orders"], "no topic of dead letters `orders`"),
        (&["replay", "--topic", "orders.dlq", "--offset", "0"], "has 2 partitions: write PARTITION:0"),
        (
            &["replay", "--topic", "orders.dlq", "--offset", "1:1"],
            "no letter at offset 1 of orders.dlq/1\n  it has offsets 0 to 0",
        ),
        (&["show", "--topic", "orders.dlq", "--offset", "7:0"], "no letter at offset 0 of orders.dlq/7\n  it has none"),
        (&["replay", "--topic", "lonely.dlq", "--all"], "no topic `lonely` to send the letters to"),
        (&["replay", "--topic", "orders.dlq", "--all", "--to", "orders.dlq"], "is the topic that the letters lie in"),
    ] {
        let (code, printed, complaints) = post.dlq(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {printed}{complaints}");
        assert!(complaints.contains(complaint), "{arguments:?}: {complaints}");
    }
    // Somebody's group is not taken over: what it has read is not what was replayed.
    let somebody: BaseConsumer = post.client().set("group.id", "somebody").create().expect("a client");
    let mut offsets = TopicPartitionList::new();
    let mut element = offsets.add_partition("orders.dlq", 1);
    element.set_offset(Offset::Offset(1)).expect("an offset");
    element.set_metadata("mine");
    somebody.commit(&offsets, rdkafka::consumer::CommitMode::Sync).expect("a commit");
    let (code, _, complaints) = post.dlq(&["replay", "--topic", "orders.dlq", "--all", "--group", "somebody"]);
    assert_eq!(code, Some(2), "{complaints}");
    assert!(complaints.contains("its metadata is \"mine\""), "{complaints}");
    assert!(post.read("orders").is_empty());
    post.close();
    let nobody = tool::shakedown(&["dlq", "list", "--bootstrap", "127.0.0.1:1"]);
    assert_eq!(nobody.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("no answer from Kafka at 127.0.0.1:1"));
}
