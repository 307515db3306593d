//! Named stories of metadata snapshots: a node that lacks what the log does not have any more goes on from a snapshot, and
//! does what the records in between would have had it do.
//!
//! That all nodes with metadata up to the same offset have the same image is checked at every step, as everywhere.

use crate::language::Cluster;
use shakedown_broker::types::Offset;

/// A follower of the tests' partition that does not lead the quorum.
fn bystander(cluster: &Cluster) -> usize {
    let controller = cluster.controller();
    cluster.followers().into_iter().find(|node| *node != controller).expect("one of two followers")
}

/// The nodes without a replica of the tests' partition.
fn others(cluster: &Cluster) -> Vec<usize> {
    let leader = cluster.leader();
    (0..5).filter(|node| *node != leader && !cluster.followers().contains(node)).collect()
}

#[test]
fn a_node_that_was_down_while_the_metadata_log_was_compacted_catches_up_by_snapshot() {
    let mut cluster = Cluster::with_snapshots(3);
    let (leader, node) = (cluster.leader(), bystander(&cluster));
    let (end, replicas) = (cluster.metadata(node).log_end, cluster.replicas(node).len());
    cluster.kill(node);
    cluster.compact(leader);
    cluster.restart(node);
    assert!(cluster.metadata(node).log_end <= end, "it has nothing but what it had");
    cluster.settle();
    assert!(cluster.metadata(node).log_start > end);
    assert!(cluster.replicas(node).len() > replicas, "it has replicas of what was created meanwhile");
}

#[test]
fn a_broker_that_runs_jumps_over_what_it_has_not_seen() {
    let mut cluster = Cluster::with_snapshots(3);
    let (leader, node) = (cluster.leader(), bystander(&cluster));
    cluster.create_topic(leader, "gone");
    cluster.settle();
    let (end, replicas) = (cluster.metadata(node).log_end, cluster.replicas(node));
    cluster.isolate(node);
    assert_eq!(cluster.delete_topic(leader, "gone"), Some(Ok(())));
    cluster.compact(leader);
    cluster.settle();
    assert!(cluster.metadata(node).log_start > end);
    let now = cluster.replicas(node);
    let removed: Vec<_> = replicas.iter().filter(|replica| !now.contains(replica)).collect();
    assert_eq!((removed.len(), now.len() > replicas.len()), (1, true), "{replicas:?} became {now:?}");
}

#[test]
fn a_leader_that_was_deposed_behind_a_snapshot_follows() {
    let mut cluster = Cluster::with_snapshots(5);
    let old = cluster.leader();
    cluster.produce(old, -1, 1);
    let end = cluster.metadata(old).log_end;
    cluster.isolate(old);
    cluster.produce(old, 1, 2);
    cluster.run_ms(3_000);
    let new = cluster.leader();
    cluster.produce(new, -1, 3);
    cluster.compact(new);
    cluster.settle();
    assert!(cluster.metadata(old).log_start > end);
    assert_eq!(cluster.values(old), [1, 3]);
}

#[test]
fn a_node_boots_from_its_own_snapshot_after_power_loss() {
    let mut cluster = Cluster::with_snapshots(3);
    let (leader, node) = (cluster.leader(), bystander(&cluster));
    cluster.compact(leader);
    cluster.settle();
    let start = cluster.metadata(node).log_start;
    assert!(start > Offset(0));
    for node in 0..3 {
        cluster.lose_power(node);
    }
    cluster.restart(node);
    assert_eq!(cluster.metadata(node).log_start, start);
    assert!(cluster.image_end(node) >= start, "nobody has told it anything yet");
    cluster.settle();
}

#[test]
fn a_replica_that_moved_away_behind_a_snapshot_is_gone() {
    let mut cluster = Cluster::with_snapshots(5);
    let (leader, node, other) = (cluster.leader(), bystander(&cluster), others(&cluster)[0]);
    let stays = cluster.followers().into_iter().find(|follower| *follower != node).expect("there are two");
    cluster.produce(leader, -1, 1);
    let (end, id) = (cluster.metadata(node).log_end, cluster.partition());
    cluster.isolate(node);
    assert_eq!(cluster.reassign(leader, &[leader, stays, other]), Some(Ok(())));
    cluster.run_ms(3_000);
    cluster.compact(leader);
    assert!(cluster.replicas(node).contains(&id), "it knows nothing of it");
    cluster.settle();
    assert!(cluster.metadata(node).log_start > end && !cluster.replicas(node).contains(&id));
    assert_eq!(cluster.values(other), [1]);
}

#[test]
fn a_replica_that_was_added_behind_a_snapshot_is_filled() {
    let mut cluster = Cluster::with_snapshots(5);
    let (leader, followers) = (cluster.leader(), cluster.followers());
    let others = others(&cluster);
    let controller = cluster.controller();
    let node = others.into_iter().find(|other| *other != controller).expect("one of two");
    cluster.produce(leader, -1, 1);
    let (end, id) = (cluster.metadata(node).log_end, cluster.partition());
    cluster.isolate(node);
    assert_eq!(cluster.reassign(leader, &[leader, followers[0], node]), Some(Ok(())));
    cluster.compact(leader);
    assert!(!cluster.replicas(node).contains(&id), "it knows nothing of it");
    cluster.settle();
    assert!(cluster.metadata(node).log_start > end);
    assert_eq!(cluster.values(node), [1]);
    assert_eq!(cluster.isr().len(), 3);
}
