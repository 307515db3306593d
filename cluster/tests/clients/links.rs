//! What is done to links between nodes, and what clients see of it.

use super::raw::Raw;
use super::{PATIENCE, client, consume, create_replicated, produce, wait_for};
use rdkafka::Offset;
use rdkafka::producer::{BaseProducer, Producer};
use shakedown_cluster::{Cluster, Delay, Disturbance, FaultError, LinkFault, LinkSet, Links, Role};
use std::time::{Duration, Instant};

/// The brokers that one node takes for alive, as it tells clients.
fn brokers_by(cluster: &Cluster, node: i32) -> Vec<i32> {
    let node = cluster.nodes().iter().find(|known| known.id == node).expect("a broker");
    let mut config = client(cluster);
    let address = format!("{}:{}", node.host, node.port);
    let producer: BaseProducer = config.set("bootstrap.servers", address).create().expect("a client");
    let metadata = producer.client().fetch_metadata(None, PATIENCE).expect("an answer");
    let mut brokers: Vec<i32> = metadata.brokers().iter().map(rdkafka::metadata::MetadataBroker::id).collect();
    brokers.sort_unstable();
    brokers
}

/// A CreateTopics request (version 2) for one partition on any broker.
fn create_orders(correlation_id: i32, raw: &Raw) {
    let mut body = 1_i32.to_be_bytes().to_vec();
    body.extend([0, 6]);
    body.extend(b"orders");
    body.extend(1_i32.to_be_bytes());
    body.extend(1_i16.to_be_bytes());
    // No assignment, no settings; half a minute; not for validation only.
    body.extend([0; 8]);
    body.extend(30_000_i32.to_be_bytes());
    body.push(0);
    raw.send(19, 2, correlation_id, &body);
}

#[test]
fn what_is_cut_one_way_is_heard_and_not_answered() {
    let cluster = Cluster::builder().brokers(2).controllers(1).start().expect("a cluster");
    let raw = Raw::connect(&cluster, 1, "order");
    raw.hello();
    cluster.cut_one_way(3, 1).expect("there are such nodes");
    create_orders(1, &raw);
    wait_for("the topic, of which the controller has heard", || cluster.leader("orders", 0).is_some());
    assert!(raw.is_silent(), "what the controller says is not heard");
    cluster.heal();
    assert_eq!(raw.answered(), 1);
}

#[test]
fn what_is_cut_the_other_way_is_not_heard() {
    let cluster = Cluster::builder().brokers(2).controllers(1).start().expect("a cluster");
    let raw = Raw::connect(&cluster, 1, "order");
    raw.hello();
    let fault = cluster.inject(LinkFault::Cut(LinkSet::OneWay { from: 1, to: 3 })).expect("there are such nodes");
    create_orders(1, &raw);
    assert!(raw.is_silent());
    assert_eq!(cluster.leader("orders", 0), None);
    assert!(fault.undo() > 0);
    assert_eq!(raw.answered(), 1, "it was said again");
    wait_for("the topic", || cluster.leader("orders", 0).is_some());
}

#[test]
fn a_ring_fences_who_does_not_stand_beside_the_controller() {
    let cluster = Cluster::builder().brokers(5).start().expect("a cluster");
    let controller = cluster.controller().expect("a controller");
    cluster.ring().expect("the cluster runs");
    let neighbours = [controller - 1, controller + 1].map(|id| (id + 4) % 5 + 1);
    let mut beside = vec![controller, neighbours[0], neighbours[1]];
    beside.sort_unstable();
    wait_for("three brokers that are alive", || brokers_by(&cluster, controller) == beside);
    assert_eq!(cluster.controller(), Some(controller), "it still has a majority");
    cluster.heal();
    wait_for("a cluster that is whole", || cluster.unsettled().is_none());
    assert_eq!(brokers_by(&cluster, controller), [1, 2, 3, 4, 5]);
}

#[test]
fn a_bridge_belongs_to_the_half_with_the_controller() {
    let cluster = Cluster::builder().brokers(5).start().expect("a cluster");
    let controller = cluster.controller().expect("a controller");
    let bridge = if controller == 1 { 2 } else { 1 };
    let rest: Vec<i32> = (1..=5).filter(|id| *id != bridge).collect();
    let half = if rest[..2].contains(&controller) { &rest[..2] } else { &rest[2..] };
    let mut together = [half, &[bridge]].concat();
    together.sort_unstable();
    cluster.bridge(bridge).expect("there is such a node");
    wait_for("three brokers that are alive", || brokers_by(&cluster, controller) == together);
    cluster.heal();
    wait_for("a cluster that is whole", || cluster.unsettled().is_none());
}

#[test]
fn the_larger_part_of_a_partition_goes_on_without_the_controller() {
    let cluster = Cluster::builder().brokers(5).start().expect("a cluster");
    create_replicated(&cluster, "orders", 1, 5);
    let controller = cluster.controller().expect("a controller");
    let alone = [controller, controller % 5 + 1];
    cluster.partition(&[&alone]).expect("there are such nodes");
    let others: Vec<i32> = (1..=5).filter(|id| !alone.contains(id)).collect();
    wait_for("another controller", || cluster.controller().is_some_and(|next| others.contains(&next)));
    wait_for("a leader among them", || cluster.leader("orders", 0).is_some_and(|leader| others.contains(&leader)));
    wait_for("three brokers that are alive", || brokers_by(&cluster, others[0]) == others);
    let address =
        cluster.nodes().iter().find(|node| node.id == others[0]).map(|node| format!("127.0.0.1:{}", node.port));
    let mut config = client(&cluster);
    produce(config.set("bootstrap.servers", address.expect("a broker")), "orders", 0, 0..100);
    cluster.heal();
    wait_for("a cluster that is whole", || cluster.unsettled().is_none());
    let expected: Vec<u64> = (0..100).collect();
    assert_eq!(consume(&cluster, "orders", 0, Offset::Beginning, 100), expected);
}

#[test]
fn an_acknowledgement_by_all_waits_for_slow_links_and_nothing_gets_out_of_order() {
    let cluster = Cluster::builder().brokers(3).controllers(1).start().expect("a cluster");
    create_replicated(&cluster, "orders", 1, 3);
    wait_for("a leader", || cluster.leader("orders", 0).is_some());
    let leader = cluster.leader("orders", 0).expect("it was waited for");
    produce(&client(&cluster), "orders", 0, 0..1);
    let delay = Delay { by: Duration::from_millis(40), jitter: Duration::from_millis(20) };
    let groups = LinkSet::Across(vec![vec![leader, 4], vec![4, leader % 3 + 1, (leader + 1) % 3 + 1]]);
    let fault = cluster.inject(LinkFault::Delay(groups, delay)).expect("there are such nodes");
    let start = Instant::now();
    produce(&client(&cluster), "orders", 0, 1..2);
    // Followers hear of the record that much later, and so does the leader of them.
    assert!(start.elapsed() >= delay.by * 2, "acknowledged after {:?}", start.elapsed());
    let mut config = client(&cluster);
    config.set("enable.idempotence", "true").set("batch.num.messages", "20").set("linger.ms", "0");
    produce(&config, "orders", 0, 2..200);
    assert!(fault.undo() > 10);
    produce(&config, "orders", 0, 200..300);
    let expected: Vec<u64> = (0..300).collect();
    assert_eq!(consume(&cluster, "orders", 0, Offset::Beginning, 300), expected);
    assert_eq!(cluster.leader("orders", 0), Some(leader), "slow is not dead");
}

#[test]
fn a_delay_stays_until_it_is_mended_and_a_later_one_counts_instead() {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    let hour = Delay::by(Duration::from_secs(3600));
    cluster.delay(1, 2, hour).expect("there are such nodes");
    cluster.delay_one_way(1, 3, hour).expect("there are such nodes");
    wait_for("a cluster that does not hear node 1", || cluster.unsettled().is_some());
    cluster.delay_one_way(1, 3, Delay::by(Duration::from_millis(1))).expect("there are such nodes");
    cluster.reconnect(1).expect("there is such a node");
    wait_for("a cluster that is whole", || cluster.unsettled().is_none());
    create_replicated(&cluster, "orders", 1, 3);
    produce(&client(&cluster), "orders", 0, 0..10);
}

/// Half of a partition would cut off others than it says.
#[test]
fn groups_wait_for_all_whom_they_name() {
    let orders = || String::from("orders");
    let leader = Role::Leader { topic: orders(), partition: 0 };
    let followers = Role::Followers { topic: orders(), partition: 0 };
    let groups = Links::Groups(vec![vec![leader.clone()], vec![Role::Broker(4), followers]]);
    let apart = Disturbance::Links { links: groups, delay: None };
    let during_election = |role: &Role| if *role == leader { vec![] } else { vec![2, 3] };
    assert_eq!(apart.on(during_election), Err(leader.clone()));
    let players = |role: &Role| match role {
        Role::Broker(id) => vec![*id],
        role if *role == leader => vec![1],
        _ => vec![2, 3],
    };
    let cut = LinkFault::Cut(LinkSet::Across(vec![vec![1], vec![4, 2, 3]]));
    assert_eq!(apart.on(players), Ok(cut.into()));

    let cluster = Cluster::builder().brokers(1).start().expect("a cluster");
    let nobody = cluster.disturb(&apart).expect_err("there is no such topic");
    assert!(matches!(&nobody, FaultError::Nobody { role } if *role == leader), "{nobody}");
    let unknown = Disturbance::Links { links: Links::Around(Role::Broker(9)), delay: None };
    let unknown = cluster.disturb(&unknown).expect_err("there is no such node");
    assert!(matches!(unknown, FaultError::UnknownNode { id: 9, .. }), "{unknown}");
}
