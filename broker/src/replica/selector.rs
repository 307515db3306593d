//! Which replica a consumer should read from (KIP-392, `replica.selector.class`): one that stands in the consumer's rack,
//! by the rules of Kafka's `RackAwareReplicaSelector`.
//!
//! The leader is asked, which alone knows how far its followers are. What the consumer then reads from a follower may lag.

use super::leader::Leadership;
use crate::metadata::image::Image;
use crate::types::{BrokerId, Offset};

/// The follower that a consumer in a rack should read from at an offset; `None` to stay with the leader.
///
/// Only followers in sync that are alive and have the offset are considered; of several the one that has come furthest.
#[must_use]
pub fn preferred(image: &Image, own: BrokerId, leader: &Leadership, rack: &str, at: Offset) -> Option<BrokerId> {
    let stands_here = |id: BrokerId| {
        let broker = image.brokers.get(&id).filter(|broker| !broker.fenced);
        broker.and_then(|broker| broker.rack.as_deref()) == Some(rack)
    };
    if rack.is_empty() || stands_here(own) {
        return None;
    }
    let candidates = leader.followers().filter(|(id, progress)| {
        leader.isr().contains(id) && progress.end.is_some_and(|end| end >= at) && stands_here(*id)
    });
    let (id, _) = candidates.max_by_key(|(id, progress)| (progress.end, progress.caught_up_ns, *id))?;
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::record::{BrokerRegistration, MetadataRecord};
    use kafka_protocol::protocol::StrBytes;
    use uuid::Uuid;

    const OWN: BrokerId = BrokerId(1);
    const ALL: [BrokerId; 4] = [BrokerId(1), BrokerId(2), BrokerId(3), BrokerId(4)];

    /// Broker 1 stands in rack a, 2 and 3 in b, 4 in c.
    fn image(fenced: &[i32]) -> Image {
        let mut image = Image::default();
        for (id, rack) in ALL.into_iter().zip(["a", "b", "b", "c"]) {
            image.apply(&MetadataRecord::RegisterBroker(BrokerRegistration {
                id,
                epoch: i64::from(id.0),
                incarnation: Uuid::nil(),
                host: StrBytes::from_static_str("127.0.0.1"),
                port: 9092,
                rack: Some(StrBytes::from_static_str(rack)),
                fenced: fenced.contains(&id.0),
                in_controlled_shutdown: false,
            }));
        }
        image
    }

    #[test]
    fn the_furthest_in_the_consumers_rack_is_preferred() {
        let mut leader = Leadership::new(OWN, &ALL, &ALL[..3], Offset(0), 0);
        leader.fetched(BrokerId(2), 2, Offset(8), Offset(10), 1);
        leader.fetched(BrokerId(3), 3, Offset(9), Offset(10), 1);
        leader.fetched(BrokerId(4), 4, Offset(10), Offset(10), 1);
        let image_of_all = image(&[]);
        let preferred_in = |rack, at| preferred(&image_of_all, OWN, &leader, rack, Offset(at));
        assert_eq!(preferred_in("b", 5), Some(BrokerId(3)));
        assert_eq!(preferred_in("b", 10), None, "nobody there has come that far");
        assert_eq!(preferred_in("a", 5), None, "the leader stands there itself");
        assert_eq!(preferred_in("c", 5), None, "not in sync");
        assert_eq!(preferred_in("d", 5), None, "nobody stands there");
        assert_eq!(preferred_in("", 5), None);
        assert_eq!(preferred(&image(&[3]), OWN, &leader, "b", Offset(5)), Some(BrokerId(2)), "3 is fenced");
    }
}
