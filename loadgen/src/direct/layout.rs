//! The partitions of a load's topics, numbered through: a place is an index into every table of the producer.

/// One topic and its places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicPlaces {
    pub(crate) name: String,
    /// The place of its partition 0.
    pub(crate) first: usize,
    pub(crate) partitions: usize,
}

/// All topics of a load, in the order in which they take turns. How many partitions each has is what it had at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    topics: Vec<TopicPlaces>,
}

impl Layout {
    pub(crate) fn new(topics: impl IntoIterator<Item = (String, usize)>) -> Self {
        let mut first = 0;
        let topics = topics.into_iter().map(|(name, partitions)| {
            let topic = TopicPlaces { name, first, partitions };
            first += partitions;
            topic
        });
        Self { topics: topics.collect() }
    }

    pub(crate) fn topics(&self) -> &[TopicPlaces] {
        &self.topics
    }

    /// The topic whose turn a message is.
    pub(crate) fn topic_of(&self, sequence: u64) -> &TopicPlaces {
        &self.topics[usize::try_from(sequence % self.topics.len() as u64).expect("a place among topics")]
    }

    /// How many places there are.
    pub(crate) fn places(&self) -> usize {
        self.topics.iter().map(|topic| topic.partitions).sum()
    }

    /// What a place is called by everybody else.
    pub(crate) fn name_of(&self, place: usize) -> (&str, i32) {
        let after = self.topics.partition_point(|topic| topic.first <= place);
        let topic = &self.topics[after - 1];
        (&topic.name, i32::try_from(place - topic.first).expect("Kafka numbers partitions with 31 bits"))
    }

    /// The place of a partition; `None` for one that was not there at the start.
    pub(crate) fn place_of(&self, topic: &str, partition: i32) -> Option<usize> {
        let topic = self.topics.iter().find(|known| known.name == topic)?;
        let partition = usize::try_from(partition).ok().filter(|partition| *partition < topic.partitions)?;
        Some(topic.first + partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_partitions_name_each_other() {
        let layout = Layout::new([("orders".to_owned(), 3), ("payments".to_owned(), 1), ("shipping".to_owned(), 2)]);
        assert_eq!(layout.places(), 6);
        let names: Vec<_> = (0..6).map(|place| layout.name_of(place)).collect();
        let expected = [("orders", 0), ("orders", 1), ("orders", 2), ("payments", 0), ("shipping", 0), ("shipping", 1)];
        assert_eq!(names, expected);
        for (place, (topic, partition)) in names.iter().enumerate() {
            assert_eq!(layout.place_of(topic, *partition), Some(place));
        }
        for (topic, partition) in [("orders", 3), ("payments", -1), ("returns", 0)] {
            assert_eq!(layout.place_of(topic, partition), None, "{topic}/{partition}");
        }
        assert_eq!(layout.topic_of(4).name, "payments");
    }
}
