//! What goes wrong in consumer groups on purpose, and what real members see of it.

use super::{PATIENCE, client, create_topic, produce, read, wait_for};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use shakedown_cluster::{
    ApiKey, ClientEffect, ClientFault, Clients, Cluster, Condition, Effect, Event, KeyedMessage, NodeFault,
    ResponseError, Role, Rule, Selector,
};
use std::time::Duration;

const GROUP: &str = "order-tracker";

fn cluster() -> Cluster {
    let builder = Cluster::builder().brokers(3).config("group.min.session.timeout.ms", "100");
    let cluster = builder.start().expect("a cluster");
    create_topic(&cluster, "orders", 4, &[]);
    cluster
}

fn member(cluster: &Cluster, name: &str, settings: &[(&str, &str)]) -> BaseConsumer {
    let mut config = client(cluster);
    config.set("group.id", GROUP).set("client.id", name).set("auto.offset.reset", "earliest");
    config.set("enable.auto.commit", "false").set("heartbeat.interval.ms", "100");
    for (name, value) in settings {
        config.set(*name, *value);
    }
    let consumer: BaseConsumer = config.create().expect("a consumer");
    consumer.subscribe(&["orders"]).expect("a subscription");
    consumer
}

fn share(consumer: &BaseConsumer) -> usize {
    consumer.assignment().expect("an assignment").elements().len()
}

/// Polls members until they have so many partitions each.
fn settle(members: &[&BaseConsumer], expected: &[usize]) {
    wait_for("the assignment", || {
        members.iter().for_each(|member| drop(member.poll(Duration::from_millis(10))));
        members.iter().map(|member| share(member)).eq(expected.iter().copied())
    });
}

fn commit(consumer: &BaseConsumer, partition: i32, offset: i64) -> KafkaResult<()> {
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset("orders", partition, rdkafka::Offset::Offset(offset)).expect("an offset");
    consumer.commit(&offsets, CommitMode::Sync)
}

fn code(result: KafkaResult<()>) -> Option<RDKafkaErrorCode> {
    result.expect_err("it is refused").rdkafka_error_code()
}

/// What is committed, as anybody may ask.
fn committed(consumer: &BaseConsumer, partition: i32) -> rdkafka::Offset {
    look_up(consumer, partition).expect("an answer")
}

fn look_up(consumer: &BaseConsumer, partition: i32) -> KafkaResult<rdkafka::Offset> {
    let mut asked = TopicPartitionList::new();
    asked.add_partition("orders", partition);
    let answer = consumer.committed_offsets(asked, PATIENCE)?;
    Ok(answer.elements().first().map(TopicPartitionListElem::offset).expect("the partition"))
}

#[test]
fn who_is_expelled_loses_its_partitions_and_cannot_commit_what_it_has_in_hand() {
    let cluster = cluster();
    // It does not notice by itself for a while, as one that is busy with a message.
    let slow = member(&cluster, "slow", &[("heartbeat.interval.ms", "20000"), ("session.timeout.ms", "60000")]);
    settle(&[&slow], &[4]);
    assert_eq!(commit(&slow, 0, 1), Ok(()), "so far it is a member");
    let expelled = cluster.expel(GROUP, Some("slo*")).expect("it is a member");
    assert_eq!(expelled.what, "1 of 1 members are out of group order-tracker");
    let other = member(&cluster, "other", &[]);
    settle(&[&other], &[4]);
    assert_eq!(code(commit(&slow, 0, 9)), Some(RDKafkaErrorCode::UnknownMemberId));
    assert_eq!(committed(&other, 0), rdkafka::Offset::Offset(1));
    drop(other);
    // It joins again, once it looks.
    settle(&[&slow], &[4]);
}

#[test]
fn a_second_static_member_of_the_same_name_fences_the_first() {
    let cluster = cluster();
    let first = member(&cluster, "first", &[("group.instance.id", "till-1")]);
    let second = member(&cluster, "second", &[("group.instance.id", "till-2")]);
    settle(&[&first, &second], &[2, 2]);
    std::thread::scope(|scope| {
        let clashing = scope.spawn(|| cluster.clash(GROUP, "till-1", Duration::from_secs(2)));
        wait_for("the fence", || {
            drop(first.poll(Duration::from_millis(10)));
            first.client().fatal_error().is_some()
        });
        let clashed = clashing.join().expect("no panic").expect("there is such a member");
        assert_eq!(clashed.what, "a second member till-1 is in group order-tracker");
    });
    let fatal = first.client().fatal_error().map(|(code, _)| code);
    assert_eq!(fatal, Some(RDKafkaErrorCode::FencedInstanceId));
    // The second one of its name has left, too.
    settle(&[&second], &[4]);
}

#[test]
fn in_a_storm_everybody_joins_again_and_again() {
    let cluster = cluster();
    produce(&client(&cluster), "orders", 0, 0..10);
    let tracker = member(&cluster, "tracker", &[]);
    settle(&[&tracker], &[4]);
    let events = cluster.events();
    std::thread::scope(|scope| {
        let storming = scope.spawn(|| cluster.rebalance_storm(GROUP, 3));
        wait_for("the end of the storm", || {
            drop(tracker.poll(Duration::from_millis(10)));
            storming.is_finished()
        });
        assert!(storming.join().expect("no panic").expect("there is such a group").changed);
    });
    let sizes: Vec<usize> = events
        .try_iter()
        .filter_map(|event| match event.event {
            Event::Rebalanced { members, .. } => Some(members),
            _ => None,
        })
        .collect();
    assert!(sizes.iter().filter(|members| **members == 2).count() == 3, "a stand-in joined three times: {sizes:?}");
    settle(&[&tracker], &[4]);
    produce(&client(&cluster), "orders", 0, 10..12);
    // A new generation goes on where the last one had committed: nowhere.
    tracker.seek("orders", 0, rdkafka::Offset::Beginning, PATIENCE).expect("it has the partition");
    assert_eq!(read(&tracker, 12).last(), Some(&(0, 11)));
}

#[test]
fn a_zombie_wakes_up_to_find_its_partitions_gone() {
    let cluster = cluster();
    let zombie = member(&cluster, "zombie", &[("session.timeout.ms", "500")]);
    let heir = member(&cluster, "heir", &[]);
    settle(&[&zombie, &heir], &[2, 2]);
    let taken = zombie.assignment().expect("an assignment").elements()[0].partition();
    let asleep = ClientFault::new(ClientEffect::Cut).of(Clients::Named(String::from("zombie")));
    let asleep = cluster.inject(asleep).expect("the cluster runs");
    settle(&[&heir], &[4]);
    assert_eq!(commit(&heir, taken, 7), Ok(()));
    assert!(asleep.undo() > 0);
    let refused = code(commit(&zombie, taken, 3));
    assert!(
        matches!(refused, Some(RDKafkaErrorCode::UnknownMemberId | RDKafkaErrorCode::IllegalGeneration)),
        "{refused:?}"
    );
    assert_eq!(committed(&heir, taken), rdkafka::Offset::Offset(7));
}

#[test]
fn a_commit_that_meets_a_rebalance_is_refused() {
    let cluster = cluster();
    let tracker = member(&cluster, "tracker", &[]);
    settle(&[&tracker], &[4]);
    let commits = Selector { apis: vec![ApiKey::OffsetCommit], group: Some(GROUP.to_owned()), ..Selector::default() };
    let refusal = Effect::Error { error: ResponseError::RebalanceInProgress, applied: false };
    let rule = cluster.rule(Rule::new(commits.clone(), refusal).times(1));
    assert_eq!(code(commit(&tracker, 0, 1)), Some(RDKafkaErrorCode::RebalanceInProgress));
    assert_eq!(rule.end(), 1);
    // The same without a lie: the commit is under way while the group gets a new generation.
    let held = cluster.rule(Rule::new(commits, Effect::Hold { applied: false, lasts: None }).times(1));
    std::thread::scope(|scope| {
        let committing = scope.spawn(|| commit(&tracker, 0, 2));
        assert!(held.wait(1, PATIENCE).is_some());
        cluster.expel(GROUP, None).expect("there is a member");
        held.release();
        let refused = code(committing.join().expect("no panic"));
        assert_eq!(refused, Some(RDKafkaErrorCode::UnknownMemberId));
    });
}

#[test]
fn a_coordinator_moves_and_its_group_goes_on() {
    let cluster = cluster();
    let tracker = member(&cluster, "tracker", &[]);
    settle(&[&tracker], &[4]);
    assert_eq!(commit(&tracker, 0, 5), Ok(()));
    let before = cluster.group_coordinator(GROUP).expect("a coordinator");
    let moved = cluster.move_coordinator(GROUP, None).expect("another one has its offsets");
    assert!(moved.changed, "{moved:?}");
    wait_for("another coordinator", || cluster.group_coordinator(GROUP).is_some_and(|now| now != before));
    // Whoever still asks the old one is told so, and finds the new one, which has read what the group had committed.
    wait_for("what was committed", || look_up(&tracker, 0).is_ok_and(|offset| offset == rdkafka::Offset::Offset(5)));
    wait_for("a commit at the new coordinator", || {
        drop(tracker.poll(Duration::from_millis(10)));
        commit(&tracker, 0, 6).is_ok()
    });
    assert_eq!(committed(&tracker, 0), rdkafka::Offset::Offset(6));
}

#[test]
fn faults_strike_when_a_group_has_committed_so_much_or_rebalances() {
    let cluster = cluster();
    let tracker = member(&cluster, "tracker", &[]);
    settle(&[&tracker], &[4]);
    let consumed = |count| Condition::Consumed { topic: "orders".to_owned(), group: GROUP.to_owned(), count };
    let told = cluster.when(consumed(7), None).expect("the cluster runs");
    assert_eq!(commit(&tracker, 0, 3), Ok(()));
    assert!(told.outcome().is_none(), "three are not seven");
    let kill = (NodeFault::Kill, Role::GroupCoordinator(GROUP.to_owned()));
    let killed = cluster.when(consumed(8), Some(kill)).expect("the cluster runs");
    assert_eq!(commit(&tracker, 1, 4), Ok(()));
    assert!(told.outcome().is_some(), "three and four are");
    let coordinator = cluster.group_coordinator(GROUP).expect("a coordinator");
    assert!(killed.outcome().is_none());
    assert_eq!(commit(&tracker, 2, 1), Ok(()), "its answer was on its way");
    assert_eq!(killed.outcome().expect("it happened").expect("somebody coordinates").nodes, [coordinator]);

    wait_for("a commit at the next coordinator", || {
        drop(tracker.poll(Duration::from_millis(10)));
        commit(&tracker, 3, 1).is_ok()
    });
    let rebalancing = Condition::Rebalancing { group: GROUP.to_owned() };
    let told = cluster.when(rebalancing, None).expect("the cluster runs");
    assert!(told.outcome().is_none(), "nobody comes or goes");
    let second = member(&cluster, "second", &[]);
    settle(&[&tracker, &second], &[2, 2]);
    assert!(told.outcome().is_some());
}

#[test]
fn faults_strike_when_the_nth_message_of_a_key_is_produced_and_committed() {
    let cluster = cluster();
    let message = |committed_by: Option<&str>| KeyedMessage {
        topic: "orders".to_owned(),
        key: "user-7".to_owned(),
        nth: 3,
        committed_by: committed_by.map(str::to_owned),
    };
    let watch = |by| cluster.when(Condition::Message(message(by)), None).expect("the cluster runs");
    let (produced, committed) = (watch(None), watch(Some(GROUP)));
    for (codec, keys) in [("none", ["user-1", "user-7", "user-7"]), ("lz4", ["user-2", "user-77", "user-1"])] {
        send(&cluster, codec, &keys);
    }
    assert!(produced.outcome().is_none(), "two are not three");
    // Offsets 6, 7 and 8 of the partition.
    send(&cluster, "zstd", &["user-1", "user-7", "user-7"]);
    assert!(produced.outcome().is_some());
    let tracker = member(&cluster, "tracker", &[]);
    settle(&[&tracker], &[4]);
    assert_eq!(commit(&tracker, 2, 7), Ok(()));
    assert!(committed.outcome().is_none(), "the third lies behind it");
    assert_eq!(commit(&tracker, 2, 8), Ok(()));
    assert!(committed.outcome().is_some());
}

/// Sends messages with these keys to partition 2, in one batch.
fn send(cluster: &Cluster, codec: &str, keys: &[&str]) {
    let mut config = client(cluster);
    config.set("compression.type", codec).set("linger.ms", "50");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().expect("a producer");
    for key in keys {
        let record = BaseRecord::to("orders").partition(2).key(*key).payload("7");
        producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
    }
    producer.flush(PATIENCE).expect("they are acknowledged");
}

#[test]
fn faults_strike_when_replicas_fall_out_of_sync() {
    let cluster = Cluster::builder().brokers(3).controllers(1).start().expect("a cluster");
    create_topic(&cluster, "orders", 1, &[]);
    let shrunk = Condition::InSync { topic: "orders".to_owned(), partition: 0, at_most: 2 };
    let leader = Role::Leader { topic: "orders".to_owned(), partition: 0 };
    let killed = cluster.when(shrunk, Some((NodeFault::Kill, leader))).expect("the cluster runs");
    let [first, second] = cluster.followers("orders", 0)[..] else { panic!("two followers") };
    produce(&client(&cluster), "orders", 0, 0..3);
    assert!(killed.outcome().is_none(), "all are in sync");
    cluster.kill(first).expect("it runs");
    let mut strike = None;
    wait_for("the kill", || {
        strike = killed.outcome();
        strike.is_some()
    });
    let struck = strike.expect("it was waited for").expect("somebody leads").nodes;
    assert!(struck.len() == 1 && struck[0] != first && struck[0] != second, "{struck:?}");
    wait_for("the last one to lead", || cluster.leader("orders", 0) == Some(second));
}
