//! Which node gets which replica: round robin over the racks, and over the brokers of each, as Kafka's
//! `StripedReplicaPlacer` does, from a first broker that chance picks. Brokers that are fenced get replicas only where the
//! others do not suffice, and never the first of a partition.

use crate::types::BrokerId;

/// The replicas of `count` partitions, the preferred leader first. `racks` are the brokers that are alive, rack by rack, with
/// one rack where nobody says. `offset` is how many partitions have been placed before, so that a topic that grows goes on
/// where it stopped.
#[must_use]
pub fn place(
    racks: &[Vec<BrokerId>],
    fenced: &[BrokerId],
    count: usize,
    replication_factor: usize,
    offset: usize,
) -> Vec<Vec<BrokerId>> {
    let alive: usize = racks.iter().map(Vec::len).sum();
    if alive == 0 {
        return vec![Vec::new(); count];
    }
    let fill_up = |partition: usize| {
        let most = replication_factor.saturating_sub(alive).min(fenced.len());
        (0..most).map(move |nth| fenced[(offset + partition + nth) % fenced.len()])
    };
    (0..count)
        .map(|partition| {
            let mut replicas = over_racks(racks, offset + partition, replication_factor.min(alive));
            replicas.extend(fill_up(partition));
            replicas
        })
        .collect()
}

/// The replicas of one partition on brokers that are alive, of which there are enough.
fn over_racks(racks: &[Vec<BrokerId>], nth_partition: usize, replicas: usize) -> Vec<BrokerId> {
    let mut taken = vec![0; racks.len()];
    let mut found = Vec::with_capacity(replicas);
    let mut turn = nth_partition;
    while found.len() < replicas {
        let at = turn % racks.len();
        let (rack, taken) = (&racks[at], &mut taken[at]);
        if *taken < rack.len() {
            // The next partition that begins in this rack begins with its next broker.
            found.push(rack[(nth_partition / racks.len() + *taken) % rack.len()]);
            *taken += 1;
        }
        turn += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[i32]) -> Vec<BrokerId> {
        ids.iter().map(|id| BrokerId(*id)).collect()
    }

    #[test]
    fn leaders_are_spread_and_growth_goes_on() {
        let racks = [ids(&[1, 2, 3])];
        let leaders =
            |count, offset| place(&racks, &[], count, 1, offset).into_iter().map(|r| r[0].0).collect::<Vec<_>>();
        assert_eq!(leaders(4, 1), [2, 3, 1, 2]);
        assert_eq!(leaders(2, 5), [3, 1]);
    }

    #[test]
    fn the_fenced_only_fill_up() {
        let (alive, fenced) = ([ids(&[1, 3])], ids(&[2, 4]));
        let placed = place(&alive, &fenced, 2, 3, 0);
        assert_eq!(placed, [ids(&[1, 3, 2]), ids(&[3, 1, 4])]);
        assert_eq!(place(&alive, &fenced, 1, 2, 1), [ids(&[3, 1])]);
    }

    #[test]
    fn no_rack_has_all_replicas_and_leaders_are_spread_over_all_brokers() {
        let racks = [ids(&[1, 2, 3]), ids(&[4, 5, 6])];
        let placed = place(&racks, &[], 6, 3, 0);
        let expected = [[1, 4, 2], [4, 1, 5], [2, 5, 3], [5, 2, 6], [3, 6, 1], [6, 3, 4]];
        assert_eq!(placed, expected.map(|replicas| ids(&replicas)));
        // A rack that is too small takes what it can.
        assert_eq!(place(&[ids(&[1, 2, 3]), ids(&[4])], &[], 2, 3, 0), [ids(&[1, 4, 2]), ids(&[4, 1, 2])]);
    }
}
