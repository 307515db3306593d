//! Which node gets which replica: round robin over the brokers, as Kafka's `StripedReplicaPlacer` does without racks,
//! from a first broker that chance picks.

use crate::types::BrokerId;

/// The replicas of `count` partitions, the preferred leader first. `offset` is how many partitions have been placed
/// before, so that a topic that grows goes on where it stopped.
#[must_use]
pub fn place(brokers: &[BrokerId], count: usize, replication_factor: usize, offset: usize) -> Vec<Vec<BrokerId>> {
    if brokers.is_empty() {
        return vec![Vec::new(); count];
    }
    let replica = |partition: usize, replica: usize| brokers[(offset + partition + replica) % brokers.len()];
    (0..count).map(|partition| (0..replication_factor).map(|nth| replica(partition, nth)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaders_are_spread_and_growth_goes_on() {
        let brokers = [BrokerId(1), BrokerId(2), BrokerId(3)];
        let leaders = |count, offset| place(&brokers, count, 1, offset).into_iter().map(|r| r[0].0).collect::<Vec<_>>();
        assert_eq!(leaders(4, 1), [2, 3, 1, 2]);
        assert_eq!(leaders(2, 5), [3, 1]);
    }
}
