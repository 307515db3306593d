//! How long hops take: from when a message was first seen at one end of a flow to when it was first seen at the other.
//!
//! No check: a latency is judged from the intended instant ([`crate::latency`]), since a hop that begins late is no fast hop.
//! This tells where the time went. At the load a message is seen when it is handed to the client.

use crate::evidence;
use crate::paged::Paged;
use roaring::RoaringTreemap;
use shakedown_reports::record::{Flow, Record, RecordError, StreamKind};

/// A message that came through a hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// The partition at which it arrived.
    pub partition: i32,
    /// When it arrived, in nanoseconds since the Unix epoch.
    pub received_ns: u64,
    /// How long the hop took; 0 where both ends were read so that the far one came first.
    pub took_ns: u64,
}

/// Visits every message that came through, once, in the order of its arrivals. What was never seen at the beginning has no
/// hop, and is left out.
///
/// # Errors
/// When the record cannot be read to its end.
pub fn measure(record: &dyn Record, flow: Flow, visit: &mut dyn FnMut(Arrival)) -> Result<(), RecordError> {
    let mut seen_ns = Paged::new(0_u64);
    if evidence::kind(record, flow.from) == StreamKind::Load {
        record.operations(&mut |operation| *seen_ns.slot(operation.identity.to_bits()) = operation.sent_ns)?;
    } else {
        record.deliveries(flow.from, &mut |delivery| {
            let first = seen_ns.slot(delivery.identity.to_bits());
            if *first == 0 {
                *first = delivery.received_ns;
            }
        })?;
    }
    let mut arrived = RoaringTreemap::new();
    record.deliveries(flow.to, &mut |delivery| {
        let bits = delivery.identity.to_bits();
        let began_ns = seen_ns.get(bits);
        if began_ns != 0 && arrived.insert(bits) {
            let (partition, received_ns) = (delivery.partition, delivery.received_ns);
            visit(Arrival { partition, received_ns, took_ns: received_ns.saturating_sub(began_ns) });
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_reports::MemoryRecord;
    use shakedown_reports::identity::{Identity, Key};
    use shakedown_reports::record::Delivery;

    fn delivery(number: u64, partition: i32, received_ns: u64) -> Delivery {
        Delivery {
            identity: Identity::planned(number),
            key: Key::planned(1),
            partition,
            offset: 0,
            timestamp_ms: -1,
            value: 0,
            intended_ns: 5,
            received_ns,
        }
    }

    #[test]
    fn a_hop_runs_from_first_sight_to_first_sight() {
        let mut record = MemoryRecord::new();
        let orders = record.add_stream("orders", StreamKind::Topic);
        let shipped = record.add_stream("shipped", StreamKind::Topic);
        let flow = Flow { from: orders, to: shipped };
        for (number, received_ns) in [(1, 100), (2, 200), (1, 300), (4, 900)] {
            record.push_delivery(orders, delivery(number, 0, received_ns));
        }
        // No. 2 comes twice, no. 3 was never seen before, and no. 4 is read here before it is read there.
        for (number, partition, received_ns) in [(2, 7, 250), (1, 8, 400), (2, 7, 500), (3, 7, 600), (4, 7, 800)] {
            record.push_delivery(shipped, delivery(number, partition, received_ns));
        }
        let mut arrivals = Vec::new();
        measure(&record, flow, &mut |arrival| arrivals.push(arrival)).expect("in memory");
        let told: Vec<_> =
            arrivals.iter().map(|arrival| (arrival.partition, arrival.received_ns, arrival.took_ns)).collect();
        assert_eq!(told, [(7, 250, 50), (8, 400, 300), (7, 800, 0)]);
    }
}
