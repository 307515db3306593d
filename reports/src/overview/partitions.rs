//! Latency by partition and time: what a heat map draws.

use super::course_slots::{CourseSlots, Merge};
use crate::record::{Operation, Outcome, Record, RecordError, Share, StreamId, StreamKind};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;

/// Fewer than those of a chart: every one of them has a cell for each partition.
pub(super) const COLUMNS_MAX: usize = 120;

/// How many partitions are kept, over all maps; of more, those that were the slowest.
const ROWS_MAX: usize = 48;

/// How many a map has at least, however many maps there are.
const ROWS_LEAST: usize = 4;

/// Latency by partition and time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionMap {
    /// Whose partitions, and what is measured: `acknowledged`, `acknowledged by orders` where a load is spread over
    /// several topics, or `read from orders`.
    pub measured: String,
    /// The partitions, by number.
    pub rows: Vec<PartitionRow>,
    /// How many partitions there were, with those that were left out.
    pub partitions: usize,
    /// How many slots of time each row has.
    pub columns: usize,
    /// When the first slot begins, in nanoseconds since the Unix epoch.
    pub origin_ns: u64,
    /// How long a slot is.
    pub width_ns: u64,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionRow {
    /// Its number.
    pub partition: i32,
    /// How many messages it has.
    pub count: u64,
    /// The slowest of them.
    pub max_ns: u64,
    /// p99 of those that were due in each slot, to one significant digit; nothing where none was.
    pub p99_ns: Vec<Option<u64>>,
}

/// The histograms of one slot, by partition.
#[derive(Debug, Default)]
pub(super) struct Cells(BTreeMap<i32, Histogram<u32>>);

impl Cells {
    fn record(&mut self, partition: i32, latency_ns: u64) {
        let cell = self.0.entry(partition).or_insert_with(|| Histogram::new(1).expect("a digit is allowed"));
        cell.record(latency_ns).expect("a histogram that resizes itself takes every value");
    }
}

impl Merge for Cells {
    fn merge(&mut self, later: Self) {
        for (partition, other) in later.0 {
            match self.0.get_mut(&partition) {
                Some(own) => own.add(other).expect("a histogram that resizes itself takes every value"),
                None => {
                    self.0.insert(partition, other);
                }
            }
        }
    }
}

/// What is gathered for a map.
#[derive(Debug)]
struct Gathering {
    cells: CourseSlots<Cells>,
    /// Messages and the slowest, by partition.
    totals: BTreeMap<i32, (u64, u64)>,
    origin_ns: u64,
}

impl Gathering {
    fn new(origin_ns: u64) -> Self {
        Self { cells: CourseSlots::new(origin_ns, COLUMNS_MAX), totals: BTreeMap::new(), origin_ns }
    }

    /// Takes an acknowledged operation, if somebody with partitions acknowledged it.
    fn operation(&mut self, operation: &Operation) {
        if operation.outcome == Outcome::Ok && operation.partition >= 0 {
            self.record(operation.partition, operation.intended_ns, operation.completed_ns);
        }
    }

    fn record(&mut self, partition: i32, intended_ns: u64, seen_ns: u64) {
        let latency_ns = seen_ns.saturating_sub(intended_ns);
        self.cells.at(intended_ns).record(partition, latency_ns);
        let (count, max_ns) = self.totals.entry(partition).or_default();
        *count += 1;
        *max_ns = latency_ns.max(*max_ns);
    }

    /// The map with so many rows at most, if there was anything.
    fn finish(self, measured: String, rows_max: usize) -> Option<PartitionMap> {
        let partitions = self.totals.len();
        let mut kept: Vec<(i32, u64, u64)> =
            self.totals.into_iter().map(|(partition, (count, max_ns))| (partition, count, max_ns)).collect();
        kept.sort_by_key(|(partition, _, max_ns)| (std::cmp::Reverse(*max_ns), *partition));
        kept.truncate(rows_max);
        kept.sort_unstable();
        let row = |(partition, count, max_ns)| {
            let p99 = |cells: &Cells| Some(cells.0.get(&partition)?.value_at_quantile(0.99).min(max_ns));
            let p99_ns = self.cells.iter().map(|(_, cells)| p99(cells)).collect();
            PartitionRow { partition, count, max_ns, p99_ns }
        };
        (partitions > 0).then(|| PartitionMap {
            measured,
            partitions,
            columns: self.cells.iter().count(),
            origin_ns: self.origin_ns,
            width_ns: self.cells.width_ns(),
            rows: kept.into_iter().map(row).collect(),
        })
    }
}

/// The maps of a load: one, or one for each topic where flows tell which part of the load goes where. Partition 0 of
/// one topic is not that of another.
#[derive(Debug)]
pub(super) struct LoadMaps {
    /// A part of the load, and the place of its map.
    shares: Vec<(Share, usize)>,
    /// What is measured, and the map; the first is of what belongs to no part.
    maps: Vec<(String, Gathering)>,
}

impl LoadMaps {
    pub(super) fn new(record: &dyn Record, origin_ns: u64) -> Self {
        let mut load = Self { shares: Vec::new(), maps: vec![("acknowledged".to_owned(), Gathering::new(origin_ns))] };
        let stream = |id: StreamId| record.streams().get(usize::from(id));
        for flow in record.flows() {
            let is_of_load = stream(flow.from).is_some_and(|from| from.kind == StreamKind::Load);
            let topic = stream(flow.to).filter(|to| to.kind == StreamKind::Topic && is_of_load);
            let (Some(topic), Some(share)) = (topic, record.share(*flow)) else { continue };
            load.shares.push((share, load.maps.len()));
            load.maps.push((format!("acknowledged by {}", topic.name), Gathering::new(origin_ns)));
        }
        load
    }

    /// Takes an operation.
    pub(super) fn operation(&mut self, operation: &Operation) {
        let part = self.shares.iter().find(|(share, _)| share.has(operation.identity));
        self.maps[part.map_or(0, |(_, place)| *place)].1.operation(operation);
    }

    /// The maps in which there is anything.
    pub(super) fn finish(self) -> Vec<PartitionMap> {
        finished(self.maps)
    }
}

/// The maps in which there is anything; they share the rows that a page has room for.
fn finished(mut maps: Vec<(String, Gathering)>) -> Vec<PartitionMap> {
    maps.retain(|(_, gathering)| !gathering.totals.is_empty());
    let rows_max = (ROWS_MAX / maps.len().max(1)).max(ROWS_LEAST);
    maps.into_iter().filter_map(|(measured, gathering)| gathering.finish(measured, rows_max)).collect()
}

/// The maps of the tapped topics whose messages know when they were due: for loads that a service offers.
pub(super) fn of_deliveries(record: &dyn Record, origin_ns: u64) -> Result<Vec<PartitionMap>, RecordError> {
    let topics = (0..).zip(record.streams()).filter(|(_, stream)| stream.kind == StreamKind::Topic);
    let mut maps = Vec::new();
    for (id, stream) in topics {
        let id: StreamId = id;
        let mut gathering = Gathering::new(origin_ns);
        record.deliveries(id, &mut |delivery| {
            if delivery.intended_ns > 0 && delivery.partition >= 0 {
                gathering.record(delivery.partition, delivery.intended_ns, delivery.received_ns);
            }
        })?;
        maps.push((format!("read from {}", stream.name), gathering));
    }
    Ok(finished(maps))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryRecord;
    use crate::identity::{Identity, Key};

    #[test]
    fn topics_of_one_load_have_a_map_each() {
        let mut record = MemoryRecord::new();
        let load = record.add_stream("load", StreamKind::Load);
        for (place, name) in (0..).zip(["orders", "refunds"]) {
            let topic = record.add_stream(name, StreamKind::Topic);
            let flow = record.add_flow(load, topic);
            record.shares.push((flow, Share { place, of: 2 }));
        }
        let mut maps = LoadMaps::new(&record, 0);
        for n in 0..6 {
            maps.operation(&Operation {
                identity: Identity::planned(n),
                key: Key::planned(0),
                key_sequence: 0,
                outcome: Outcome::Ok,
                error: 0,
                partition: 0,
                offset: 0,
                value: 0,
                intended_ns: n,
                sent_ns: n,
                completed_ns: n + 1_000 * (1 + n % 2),
            });
        }
        let maps = maps.finish();
        let told: Vec<_> =
            maps.iter().map(|map| (map.measured.as_str(), map.rows[0].count, map.rows[0].max_ns)).collect();
        assert_eq!(told, [("acknowledged by orders", 3, 1_000), ("acknowledged by refunds", 3, 2_000)]);
    }

    #[test]
    fn the_slowest_partitions_are_kept_and_an_empty_slot_is_none() {
        let mut gathering = Gathering::new(0);
        for partition in 0..60 {
            gathering.record(partition, 10_000_000, 10_000_000 + 1_000_000 * u64::from(partition.unsigned_abs()));
        }
        gathering.record(0, 350_000_000, 950_000_000);
        let map = gathering.finish("acknowledged".to_owned(), ROWS_MAX).expect("a map");
        assert_eq!((map.partitions, map.rows.len(), map.columns), (60, ROWS_MAX, 4));
        assert_eq!(map.rows[0].p99_ns, [Some(0), None, None, Some(600_000_000)]);
        assert_eq!(map.rows[1].partition, 13);
        assert_eq!((map.rows[0].count, map.rows[0].max_ns), (2, 600_000_000));
    }

    #[test]
    fn long_runs_have_no_more_columns() {
        let mut gathering = Gathering::new(0);
        (0..100_000).for_each(|n| gathering.record(n % 3, u64::from(n.unsigned_abs()) * 10_000_000, u64::MAX / 4));
        let map = gathering.finish(String::new(), ROWS_MAX).expect("a map");
        assert!(map.columns <= COLUMNS_MAX && map.width_ns == 10_000_000_000, "{} of {}", map.columns, map.width_ns);
        assert_eq!(map.rows.iter().map(|row| row.count).sum::<u64>(), 100_000);
    }
}
