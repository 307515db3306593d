//! Named stories, one assertion each: what replication promises, and what it does not.

use crate::language::Cluster;
use kafka_protocol::error::ResponseError;

#[test]
fn acks_1_is_lost_when_the_leader_dies_before_it_is_replicated() {
    let mut cluster = Cluster::of(3);
    let leader = cluster.leader();
    cluster.produce(leader, -1, 1);
    cluster.isolate(leader);
    assert_eq!(cluster.produce(leader, 1, 2), Some(Ok(1)), "one replica is enough for acks=1");
    cluster.kill(leader);
    cluster.run_ms(2_000);
    cluster.settle();
    assert_eq!(cluster.values(leader), [1]);
}

#[test]
fn acks_all_survives_the_leader() {
    let mut cluster = Cluster::of(3);
    let leader = cluster.leader();
    (0..5).for_each(|value| assert!(matches!(cluster.produce(leader, -1, value), Some(Ok(_)))));
    cluster.kill(leader);
    cluster.run_ms(2_000);
    let leader = cluster.leader();
    assert_eq!(cluster.values(leader), [0, 1, 2, 3, 4]);
}

#[test]
fn a_cut_off_leader_truncates_what_it_accepted() {
    let mut cluster = Cluster::of(3);
    let old = cluster.leader();
    cluster.produce(old, -1, 1);
    cluster.isolate(old);
    cluster.produce(old, 1, 2);
    cluster.run_ms(2_000);
    let new = cluster.leader();
    cluster.produce(new, -1, 3);
    cluster.settle();
    assert_eq!(cluster.values(old), [1, 3]);
}

#[test]
fn a_cut_off_leader_acknowledges_nothing_to_acks_all() {
    let mut cluster = Cluster::of(3);
    let leader = cluster.leader();
    cluster.isolate(leader);
    assert!(!matches!(cluster.produce(leader, -1, 1), Some(Ok(_))));
}

#[test]
fn the_minority_controller_cannot_change_metadata() {
    let mut cluster = Cluster::of(3);
    let controller = cluster.controller();
    cluster.isolate(controller);
    assert!(!matches!(cluster.create_topic(controller, "never"), Some(Ok(()))));
}

#[test]
fn the_majority_elects_another_controller() {
    let mut cluster = Cluster::of(3);
    let old = cluster.controller();
    cluster.isolate(old);
    cluster.run_ms(3_000);
    assert_ne!(cluster.controller(), old);
}

#[test]
fn losing_the_quorum_does_not_stop_produce() {
    let mut cluster = Cluster::of(5);
    let replicas: Vec<usize> = cluster.followers().into_iter().chain([cluster.leader()]).collect();
    let others: Vec<usize> = (0..5).filter(|node| !replicas.contains(node)).collect();
    // Of five voters three remain once those two are gone; one more follower breaks the majority.
    let leader = cluster.leader();
    let follower = cluster.followers()[0];
    others.into_iter().chain([follower]).for_each(|node| cluster.kill(node));
    cluster.run_ms(200);
    assert!(matches!(cluster.produce(leader, 1, 1), Some(Ok(_))));
}

#[test]
fn min_isr_refuses() {
    let mut cluster = Cluster::of(3);
    let leader = cluster.leader();
    cluster.followers().into_iter().for_each(|follower| cluster.pause(follower));
    // With both followers paused a quorum of combined nodes is gone, too: the ISR cannot shrink, and acks=all waits.
    assert_eq!(cluster.produce(leader, -1, 1), Some(Err(ResponseError::RequestTimedOut)));
}

#[test]
fn min_isr_refuses_before_the_append_once_the_isr_has_shrunk() {
    let mut cluster = Cluster::of(5);
    let leader = cluster.leader();
    cluster.followers().into_iter().for_each(|follower| cluster.pause(follower));
    cluster.run_ms(3_000);
    assert_eq!(cluster.produce(leader, -1, 1), Some(Err(ResponseError::NotEnoughReplicas)));
}

#[test]
fn a_restarted_follower_rejoins_the_isr() {
    let mut cluster = Cluster::of(3);
    let (leader, follower) = (cluster.leader(), cluster.followers()[0]);
    cluster.kill(follower);
    cluster.run_ms(2_000);
    cluster.produce(leader, -1, 1);
    assert_eq!(cluster.isr().len(), 2, "it has left");
    cluster.restart(follower);
    cluster.run_ms(3_000);
    assert_eq!(cluster.isr().len(), 3);
}

#[test]
fn power_loss_of_the_last_isr_member() {
    let mut cluster = Cluster::of(5);
    let leader = cluster.leader();
    cluster.followers().into_iter().for_each(|follower| cluster.kill(follower));
    cluster.run_ms(3_000);
    assert_eq!(cluster.isr(), [leader]);
    cluster.produce(leader, 1, 1);
    cluster.lose_power(leader);
    cluster.run_ms(500);
    cluster.settle();
    let leader = cluster.leader();
    assert_eq!(cluster.values(leader), [0; 0], "nobody else had it, and nothing had been synced");
}

#[test]
fn power_loss_of_one_replica_loses_nothing() {
    let mut cluster = Cluster::of(3);
    let leader = cluster.leader();
    cluster.produce(leader, -1, 1);
    cluster.lose_power(leader);
    cluster.restart(leader);
    cluster.settle();
    assert_eq!(cluster.values(leader), [1]);
}

#[test]
fn clean_leader_after_pause() {
    let mut cluster = Cluster::of(3);
    let old = cluster.leader();
    cluster.produce(old, -1, 1);
    cluster.pause(old);
    cluster.run_ms(3_000);
    let new = cluster.leader();
    cluster.produce(new, -1, 2);
    cluster.resume(old);
    // Until it has fetched metadata it takes itself for the leader.
    cluster.run_ms(500);
    assert!(!matches!(cluster.produce(old, 1, 3), Some(Ok(_))), "it has been told by now");
    cluster.settle();
    assert_eq!(cluster.values(old), [1, 2]);
}

#[test]
fn coordinator_failover_keeps_offsets() {
    let mut cluster = Cluster::of(3);
    let old = cluster.coordinator(0);
    cluster.settle();
    assert_eq!(cluster.commit(old, 7), Some(Ok(())));
    cluster.kill(old);
    cluster.run_ms(2_000);
    let new = cluster.coordinator((old + 1) % 3);
    cluster.run_ms(500);
    assert_eq!(cluster.committed(new), Some(Ok(7)));
}

#[test]
fn high_watermarks_of_followers_follow() {
    let mut cluster = Cluster::of(3);
    let (leader, followers) = (cluster.leader(), cluster.followers());
    cluster.produce(leader, -1, 1);
    cluster.run_ms(1_000);
    let watermarks: Vec<i64> = followers.iter().map(|node| cluster.replica(*node).high_watermark.0).collect();
    assert_eq!(watermarks, [1, 1]);
}
