//! Sets of links, in the words in which partitions are spoken of.

use crate::faults::FaultError;

/// Links between nodes, each of them one way. Nodes are named by id, dedicated controllers among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkSet {
    /// What one node says to another, and not what it hears from it.
    OneWay {
        /// Who speaks.
        from: i32,
        /// Who listens.
        to: i32,
    },
    /// Both ways between two nodes.
    Between(i32, i32),
    /// Every link to and from a node.
    Around(i32),
    /// The links between groups: all but those of two nodes that share a group. A node may be in several groups, which
    /// then do not hear each other but through it. All nodes that are named nowhere are one more group.
    Across(Vec<Vec<i32>>),
    /// The links between two halves of the cluster, by id, which both hear this node; of an odd rest, the first half has
    /// one more.
    Bridge(i32),
    /// All links but those of neighbours, where the nodes stand in a ring by id. With three nodes there is no such link.
    Ring,
}

impl LinkSet {
    /// For each sender a bit for each receiver, by their places among these ids.
    pub(super) fn bits(&self, ids: &[i32]) -> Result<Vec<u32>, FaultError> {
        if let Some(id) = self.named().into_iter().find(|id| !ids.contains(id)) {
            return Err(FaultError::UnknownNode { id, known: ids.to_vec() });
        }
        let towards = |from: usize| {
            let heard = (0..ids.len()).filter(|to| *to != from && self.has(ids, from, *to));
            heard.fold(0, |bits, to| bits | 1 << to)
        };
        Ok((0..ids.len()).map(towards).collect())
    }

    fn named(&self) -> Vec<i32> {
        match self {
            Self::OneWay { from: one, to: other } | Self::Between(one, other) => vec![*one, *other],
            Self::Around(id) | Self::Bridge(id) => vec![*id],
            Self::Across(groups) => groups.concat(),
            Self::Ring => Vec::new(),
        }
    }

    fn has(&self, ids: &[i32], from: usize, to: usize) -> bool {
        let (speaker, listener) = (ids[from], ids[to]);
        match self {
            Self::OneWay { from, to } => (speaker, listener) == (*from, *to),
            Self::Between(one, other) => [(*one, *other), (*other, *one)].contains(&(speaker, listener)),
            Self::Around(id) => speaker == *id || listener == *id,
            Self::Across(groups) => {
                let is_named = |id: i32| groups.iter().any(|group| group.contains(&id));
                let share = groups.iter().any(|group| group.contains(&speaker) && group.contains(&listener));
                !share && (is_named(speaker) || is_named(listener))
            }
            Self::Bridge(bridge) => {
                let rest: Vec<i32> = ids.iter().copied().filter(|id| id != bridge).collect();
                let first_half = &rest[..rest.len().div_ceil(2)];
                ![speaker, listener].contains(bridge) && first_half.contains(&speaker) != first_half.contains(&listener)
            }
            Self::Ring => {
                let apart = from.abs_diff(to);
                apart != 1 && apart != ids.len() - 1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The links by the ids of their ends.
    fn links(set: &LinkSet, ids: &[i32]) -> Vec<(i32, i32)> {
        let bits = set.bits(ids).expect("known nodes");
        let pairs = (0..ids.len()).flat_map(|from| (0..ids.len()).map(move |to| (from, to)));
        pairs.filter(|(from, to)| bits[*from] >> to & 1 == 1).map(|(from, to)| (ids[from], ids[to])).collect()
    }

    /// The pairs that are apart, both ways.
    fn apart(set: &LinkSet, ids: &[i32]) -> Vec<(i32, i32)> {
        let links = links(set, ids);
        assert!(links.iter().all(|(from, to)| links.contains(&(*to, *from))), "one way only: {links:?}");
        links.into_iter().filter(|(from, to)| from < to).collect()
    }

    #[test]
    fn one_way_is_one_way() {
        assert_eq!(links(&LinkSet::OneWay { from: 3, to: 1 }, &[1, 2, 3]), [(3, 1)]);
        assert_eq!(links(&LinkSet::OneWay { from: 3, to: 3 }, &[1, 2, 3]), []);
        assert_eq!(links(&LinkSet::Between(1, 3), &[1, 2, 3]), [(1, 3), (3, 1)]);
        assert_eq!(apart(&LinkSet::Around(2), &[1, 2, 3]), [(1, 2), (2, 3)]);
    }

    #[test]
    fn groups_hear_themselves_and_whoever_is_in_two_is_a_bridge() {
        let across = |groups: &[&[i32]]| LinkSet::Across(groups.iter().map(|group| group.to_vec()).collect());
        assert_eq!(apart(&across(&[&[1, 2], &[3]]), &[1, 2, 3]), [(1, 3), (2, 3)]);
        assert_eq!(apart(&across(&[&[1]]), &[1, 2, 3]), [(1, 2), (1, 3)], "the others stay together");
        assert_eq!(apart(&across(&[&[1, 2], &[2, 3]]), &[1, 2, 3]), [(1, 3)]);
        assert_eq!(apart(&across(&[]), &[1, 2, 3]), []);
        assert_eq!(apart(&LinkSet::Bridge(3), &[1, 2, 3, 4, 5]), [(1, 4), (1, 5), (2, 4), (2, 5)]);
        assert_eq!(apart(&LinkSet::Bridge(1), &[1, 2, 3, 4]), [(2, 4), (3, 4)]);
    }

    #[test]
    fn in_a_ring_each_hears_its_neighbours() {
        assert_eq!(apart(&LinkSet::Ring, &[1, 2, 3, 4, 5]), [(1, 3), (1, 4), (2, 4), (2, 5), (3, 5)]);
        assert_eq!(apart(&LinkSet::Ring, &[1, 2, 3, 4]), [(1, 3), (2, 4)]);
        for ids in [&[1, 2, 3][..], &[1, 2], &[1]] {
            assert_eq!(apart(&LinkSet::Ring, ids), []);
        }
    }

    #[test]
    fn a_node_that_is_not_there_is_named() {
        let error = LinkSet::Across(vec![vec![1, 9]]).bits(&[1, 2]).expect_err("no such node");
        assert_eq!(error.to_string(), "there is no node 9: nodes are 1, 2");
    }
}
