//! Which nodes can hear each other. Clients reach every node that runs, whatever is cut here.

/// The links between nodes, each one way; nodes count from 0.
#[derive(Debug)]
pub(crate) struct Links {
    /// For each sender, a bit for each receiver that does not hear it.
    cut: Vec<u32>,
}

impl Links {
    /// Whole links between so many nodes, 32 at most.
    pub(crate) fn new(nodes: usize) -> Self {
        Self { cut: vec![0; nodes] }
    }

    /// Whether what this node sends to that one vanishes.
    pub(crate) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut.get(from).is_some_and(|cut| cut >> to & 1 == 1)
    }

    /// Cuts a link, both ways.
    pub(crate) fn cut(&mut self, one: usize, other: usize) {
        if one != other {
            self.cut[one] |= 1 << other;
            self.cut[other] |= 1 << one;
        }
    }

    /// Cuts a node off from all others.
    pub(crate) fn isolate(&mut self, node: usize) {
        (0..self.cut.len()).for_each(|other| self.cut(node, other));
    }

    /// Mends all links of a node.
    pub(crate) fn reconnect(&mut self, node: usize) {
        self.cut.iter_mut().for_each(|cut| *cut &= !(1 << node));
        self.cut[node] = 0;
    }

    /// Mends everything.
    pub(crate) fn heal(&mut self) {
        self.cut.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::Links;

    fn cut(links: &Links) -> Vec<(usize, usize)> {
        let pairs = (0..3).flat_map(|from| (0..3).map(move |to| (from, to)));
        pairs.filter(|(from, to)| links.is_cut(*from, *to)).collect()
    }

    #[test]
    fn links_are_cut_both_ways_and_mended() {
        let mut links = Links::new(3);
        links.cut(0, 2);
        links.cut(1, 1);
        assert_eq!(cut(&links), [(0, 2), (2, 0)]);
        links.isolate(1);
        assert_eq!(cut(&links), [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]);
        links.reconnect(1);
        assert_eq!(cut(&links), [(0, 2), (2, 0)]);
        links.heal();
        assert_eq!(cut(&links), []);
    }
}
