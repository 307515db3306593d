//! What is done to nodes on purpose, and what clients see of it.

use super::{PATIENCE, client, consume, create_replicated, produce, wait_for};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use shakedown_cluster::{Cluster, Event, FaultError, NodeFault, Produced, Role};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

pub(crate) fn leader_of(cluster: &Cluster, topic: &str) -> i32 {
    let mut leader = None;
    wait_for("a leader", || {
        leader = cluster.leader(topic, 0);
        leader.is_some()
    });
    leader.expect("it was waited for")
}

fn port_of(cluster: &Cluster, id: i32) -> u16 {
    cluster.nodes().iter().find(|node| node.id == id).expect("a broker").port
}

pub(crate) fn patient(cluster: &Cluster) -> ClientConfig {
    let mut config = client(cluster);
    config.set("enable.idempotence", "true").set("linger.ms", "1");
    config
}

/// An ApiVersions request of version 0.
const HELLO: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];

#[test]
fn a_killed_node_refuses_and_comes_back_on_its_port_with_its_log() {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    create_replicated(&cluster, "orders", 1, 3);
    produce(&patient(&cluster), "orders", 0, 0..100);
    let leader = leader_of(&cluster, "orders");
    let port = port_of(&cluster, leader);
    let mut open = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    open.set_read_timeout(Some(PATIENCE)).expect("a timeout");

    cluster.kill(leader).expect("it runs");
    let refused = TcpStream::connect(("127.0.0.1", port)).expect_err("it is down");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    // Closed or reset; never silent.
    assert!(open.read(&mut [0]).map_or(true, |length| length == 0));
    assert!(matches!(cluster.kill(leader), Err(FaultError::Down { .. })));
    assert_ne!(cluster.leader("orders", 0), Some(leader));

    produce(&patient(&cluster), "orders", 0, 100..200);
    assert_ne!(leader_of(&cluster, "orders"), leader);
    cluster.restart(leader).expect("its port is free");
    TcpStream::connect(("127.0.0.1", port)).expect("it listens again");
    wait_for("a cluster that is whole", || cluster.unsettled().is_none());
    let expected: Vec<u64> = (0..200).collect();
    assert_eq!(consume(&cluster, "orders", 0, Offset::Beginning, 200), expected);
}

#[test]
fn a_paused_node_is_silent_and_answers_when_it_goes_on() {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    let port = port_of(&cluster, 2);
    cluster.pause(2).expect("it runs");
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("its system still accepts");
    socket.write_all(&HELLO).expect("there is room for it");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    let silence = socket.read(&mut [0; 4]).expect_err("nobody answers").kind();
    assert!(matches!(silence, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silence}");
    cluster.resume(2).expect("it runs");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.read_exact(&mut [0; 4]).expect("an answer");
    wait_for("a cluster that is whole", || cluster.unsettled().is_none());
}

#[test]
fn a_leader_that_is_cut_off_is_replaced_and_follows_when_the_link_is_mended() {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    create_replicated(&cluster, "orders", 1, 3);
    produce(&patient(&cluster), "orders", 0, 0..50);
    let first = leader_of(&cluster, "orders");
    cluster.isolate(first).expect("there is such a node");
    wait_for("another leader", || cluster.leader("orders", 0).is_some_and(|leader| leader != first));
    // A client that asks the one that is cut off hears that it still leads, and would wait for it in vain.
    let mut elsewhere = client(&cluster);
    let address = format!("127.0.0.1:{}", port_of(&cluster, leader_of(&cluster, "orders")));
    produce(elsewhere.set("bootstrap.servers", address), "orders", 0, 50..100);
    cluster.heal();
    wait_for("three replicas in sync", || {
        cluster.unsettled().is_none() && cluster.followers("orders", 0).contains(&first)
    });
    let expected: Vec<u64> = (0..100).collect();
    assert_eq!(consume(&cluster, "orders", 0, Offset::Beginning, 100), expected);
}

#[test]
fn roles_follow_what_happens_and_events_tell_of_it() {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    let events = cluster.events();
    create_replicated(&cluster, "orders", 1, 3);
    let controller = cluster.controller().expect("a controller");
    let struck = cluster.strike(NodeFault::Kill, &Role::Controller).expect("there is one");
    assert_eq!(struck.nodes, [controller]);
    wait_for("another controller", || cluster.controller().is_some());
    assert_ne!(cluster.controller(), Some(controller));
    wait_for("a leader and one follower", || {
        cluster.followers("orders", 0).len() == 1 && cluster.leader("orders", 0).is_some()
    });
    cluster.undo(NodeFault::Kill, controller).expect("its port is free");
    wait_for("two followers", || cluster.followers("orders", 0).len() == 2 && cluster.unsettled().is_none());
    let told: Vec<Event> = events.try_iter().map(|event| event.event).collect();
    assert!(told.iter().any(|event| matches!(event, Event::ControllerElected { .. })), "{told:?}");
    assert!(
        told.iter().any(|event| matches!(event, Event::Leads { partition, .. } if &*partition.topic == "orders")),
        "{told:?}"
    );

    let nobody = cluster.strike(NodeFault::Kill, &Role::Leader { topic: String::from("no-such-topic"), partition: 0 });
    assert_eq!(nobody.expect_err("nobody leads it").to_string(), "nobody is leader(no-such-topic/0) at the moment");
    let unknown = cluster.pause(9).expect_err("there is no such node");
    assert_eq!(unknown.to_string(), "there is no node 9: nodes are 1, 2, 3");
}

/// Followers stand still, a leader that acknowledges by itself goes on, and dies: what it had acknowledged alone is lost,
/// to the record.
#[test]
fn faults_strike_in_the_very_step_and_acknowledgements_still_reach_their_client() {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    create_replicated(&cluster, "orders", 1, 3);
    leader_of(&cluster, "orders");
    let (topic, partition) = (String::from("orders"), 0);
    let after = |count| Produced { topic: String::from("orders"), count };
    let pause = (NodeFault::Pause, Role::Followers { topic: topic.clone(), partition });
    let kill = (NodeFault::Kill, Role::Leader { topic, partition });
    let paused = cluster.when_produced(after(30), Some(pause)).expect("the cluster runs");
    let killed = cluster.when_produced(after(50), Some(kill)).expect("the cluster runs");
    let told = cluster.when_produced(after(40), None).expect("the cluster runs");

    let mut config = client(&cluster);
    config.set("acks", "1").set("batch.num.messages", "1").set("linger.ms", "0").set("message.timeout.ms", "60000");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().expect("a producer");
    for number in 0..70_u64 {
        let payload = number.to_string();
        let record = BaseRecord::<str, str>::to("orders").partition(0).payload(&payload).key("key");
        producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
    }
    let mut dead = None;
    wait_for("the kill", || {
        dead = killed.outcome();
        dead.is_some()
    });
    let dead = dead.expect("it was waited for").expect("somebody led");
    let still = paused.outcome().expect("it came before the kill").expect("there were followers");
    assert_eq!(still.nodes.len(), 2);
    assert!(told.outcome().is_some());
    for id in &still.nodes {
        cluster.undo(NodeFault::Pause, *id).expect("it is up");
    }
    producer.flush(PATIENCE).expect("the rest is acknowledged by the next leader");
    cluster.restart(dead.nodes[0]).expect("its port is free");
    wait_for("a cluster that is whole", || cluster.unsettled().is_none());
    let mut survived = consume(&cluster, "orders", 0, Offset::Beginning, 50);
    survived.sort_unstable();
    assert_eq!(survived, (0..30).chain(50..70).collect::<Vec<u64>>());
}

#[test]
fn a_watch_that_is_called_off_does_nothing() {
    let cluster = Cluster::builder().brokers(1).start().expect("a cluster");
    create_replicated(&cluster, "orders", 1, 1);
    let after = |count| Produced { topic: String::from("orders"), count };
    let kill = || Some((NodeFault::Kill, Role::Broker(1)));
    drop(cluster.when_produced(after(1), kill()).expect("the cluster runs"));
    assert!(cluster.when_produced(after(2), kill()).expect("the cluster runs").cancel().is_none());
    let told = cluster.when_produced(after(3), None).expect("the cluster runs");
    produce(&client(&cluster), "orders", 0, 0..3);
    assert!(told.cancel().expect("three were produced").expect("nothing to fail").nodes.is_empty());
}

#[test]
fn losing_power_takes_what_was_not_synced_and_no_more() {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    create_replicated(&cluster, "orders", 1, 3);
    produce(&patient(&cluster), "orders", 0, 0..100);
    let leader = leader_of(&cluster, "orders");
    cluster.power_loss(leader).expect("it runs");
    produce(&patient(&cluster), "orders", 0, 100..200);
    cluster.restart(leader).expect("its port is free");
    wait_for("a cluster that is whole", || cluster.unsettled().is_none());
    let expected: Vec<u64> = (0..200).collect();
    assert_eq!(consume(&cluster, "orders", 0, Offset::Beginning, 200), expected);
}

#[test]
fn dedicated_controllers_keep_the_metadata_and_no_partition() {
    let cluster = Cluster::builder().brokers(2).controllers(3).start().expect("a cluster");
    assert_eq!(cluster.nodes().len(), 2);
    let controller = cluster.controller().expect("a controller");
    assert!((3..=5).contains(&controller), "{controller}");
    create_replicated(&cluster, "orders", 2, 2);
    cluster.kill(controller).expect("it runs");
    wait_for("another controller", || cluster.controller().is_some());
    create_replicated(&cluster, "payments", 2, 2);
    for partition in 0..2 {
        assert!(cluster.leader("orders", partition).is_some_and(|leader| leader <= 2));
    }
}

#[test]
fn a_group_moves_with_its_coordinator() {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    create_replicated(&cluster, "orders", 1, 3);
    assert_eq!(cluster.group_coordinator("order-tracker"), None, "nobody has asked for one");
    let consumer: BaseConsumer = client(&cluster).set("group.id", "order-tracker").create().expect("a consumer");
    let committed = || {
        let mut asked = TopicPartitionList::new();
        asked.add_partition("orders", 0);
        consumer.committed_offsets(asked, PATIENCE).expect("an answer").elements()[0].offset()
    };
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset("orders", 0, Offset::Offset(7)).expect("an offset");
    consumer.commit(&offsets, CommitMode::Sync).expect("a commit");
    wait_for("a coordinator", || cluster.group_coordinator("order-tracker").is_some());
    let first = cluster.group_coordinator("order-tracker").expect("it was waited for");
    cluster.kill(first).expect("it runs");
    wait_for("another coordinator", || cluster.group_coordinator("order-tracker").is_some_and(|next| next != first));
    assert_eq!(committed(), Offset::Offset(7), "nothing is forgotten");
}

#[test]
fn a_connection_that_waits_for_its_answer_is_closed_with_its_node() {
    let cluster = Cluster::builder().brokers(1).start().expect("a cluster");
    cluster.pause(1).expect("it runs");
    let mut socket = TcpStream::connect(("127.0.0.1", cluster.nodes()[0].port)).expect("it listens");
    socket.write_all(&HELLO).expect("there is room for it");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    cluster.kill(1).expect("a node that stands still can be killed");
    match socket.read(&mut [0; 4]) {
        Ok(length) => assert_eq!(length, 0, "nobody was there to answer"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    cluster.restart(1).expect("its port is free");
    let producer: BaseProducer = client(&cluster).create().expect("a producer");
    let metadata = producer.client().fetch_metadata(None, PATIENCE).expect("an answer");
    assert_eq!(metadata.brokers().len(), 1);
}

/// A client in the middle of sending must not learn that its node is gone before it has read what the node had answered.
#[test]
fn what_a_client_still_sends_to_a_killed_node_does_not_cost_it_the_answers() {
    let cluster = Cluster::builder().brokers(1).start().expect("a cluster");
    let mut socket = TcpStream::connect(("127.0.0.1", cluster.nodes()[0].port)).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.write_all(&HELLO).expect("there is room for it");
    socket.peek(&mut [0; 1]).expect("an answer, which is not read yet");
    cluster.kill(1).expect("it runs");
    for _ in 0..100 {
        socket.write_all(&HELLO).expect("somebody takes it");
    }
    socket.shutdown(Shutdown::Write).expect("the client has had enough");
    let mut answers = Vec::new();
    socket.read_to_end(&mut answers).expect("no reset");
    let length = answers.first_chunk::<4>().map(|length| u32::from_be_bytes(*length) as usize);
    assert_eq!(length, Some(answers.len() - 4), "one whole answer, and no other");
}
