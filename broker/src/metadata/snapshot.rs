//! A snapshot of the metadata log (KIP-630): the records that an image amounts to, in place of those that led to it.
//!
//! The records are Kafka's, in one batch, where Kafka has batches between two control records that say who wrote them and
//! when. Which end and epoch a snapshot has is the name of Kafka's file; here it stands in front of the batch.

use super::codec::{self, MalformedRecord};
use super::image::Image;
use super::record::MetadataRecord;
use crate::batch::build::BatchBuilder;
use crate::batch::header::{self, BatchHeader, HEADER_SIZE};
use crate::batch::records::Records;
use crate::batch::validate;
use crate::replica::log::SnapshotId;
use crate::types::{BrokerId, LeaderEpoch, Offset};
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// `ProducerIdsImage` does not know any more who got the last block.
const NO_BROKER: (BrokerId, i64) = (BrokerId(-1), -1);
/// An end and an epoch.
const ID_SIZE: usize = 12;

/// What a metadata log holds up to an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What it stands for.
    pub id: SnapshotId,
    /// One batch of records.
    batch: Bytes,
}

impl Snapshot {
    /// The snapshot of an image. `epoch` is that of the last record that the image holds.
    #[must_use]
    pub fn of(image: &Image, epoch: LeaderEpoch, wall_ms: i64) -> Self {
        let put = |batch: BatchBuilder, record: &MetadataRecord| batch.keyless(&codec::encode(record));
        let mut batch = records(image).iter().fold(BatchBuilder::new(wall_ms), put).finish();
        header::patch(&mut batch, Offset(0), epoch);
        Self { id: SnapshotId { end: image.end, epoch }, batch: batch.freeze() }
    }

    /// The image that it was made of.
    ///
    /// # Errors
    /// When the bytes are not what was written.
    pub fn image(&self) -> Result<Image, MalformedRecord> {
        let header = BatchHeader::read(&self.batch).filter(|header| validate::is_sound(&self.batch, header));
        header.ok_or(MalformedRecord { what: "the batch of a snapshot" })?;
        let mut image = Image::default();
        for record in Records::new(&self.batch[HEADER_SIZE..]) {
            let value = record.ok().and_then(|record| record.value);
            image.apply(&codec::decode(value.ok_or(MalformedRecord { what: "a record of a snapshot" })?)?);
        }
        image.end = self.id.end;
        Ok(image)
    }

    /// As a store keeps it.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut to = BytesMut::with_capacity(ID_SIZE + self.batch.len());
        to.put_i64(self.id.end.0);
        to.put_i32(self.id.epoch.0);
        to.put_slice(&self.batch);
        to.freeze()
    }

    /// What a store has kept; `None` for bytes that [`Self::to_bytes`] cannot have written.
    #[must_use]
    pub fn from_bytes(mut from: Bytes) -> Option<Self> {
        if from.len() < ID_SIZE {
            return None;
        }
        let id = SnapshotId { end: Offset(from.get_i64()), epoch: LeaderEpoch(from.get_i32()) };
        Some(Self { id, batch: from })
    }
}

/// The records that add up to an image.
fn records(image: &Image) -> Vec<MetadataRecord> {
    let mut records: Vec<MetadataRecord> =
        image.brokers.values().map(|broker| MetadataRecord::RegisterBroker(broker.clone())).collect();
    for (name, topic) in &image.topics {
        records.push(MetadataRecord::Topic { name: name.clone(), id: topic.id });
        let partitions = (0..).zip(&topic.partitions);
        records.extend(partitions.map(|(index, state)| MetadataRecord::Partition {
            topic: topic.id,
            index,
            state: state.clone(),
        }));
    }
    for (resource, settings) in &image.configs {
        records.extend(settings.iter().map(|(name, value)| MetadataRecord::Config {
            resource: resource.clone(),
            name: name.clone(),
            value: Some(value.clone()),
        }));
    }
    let (broker, broker_epoch) = NO_BROKER;
    records.push(MetadataRecord::ProducerIds { broker, broker_epoch, next: image.next_producer_id });
    records
}

#[cfg(test)]
mod tests {
    use super::super::record::{BrokerRegistration, ConfigResource, PartitionState};
    use super::*;
    use crate::types::ProducerId;
    use kafka_protocol::protocol::StrBytes;
    use uuid::Uuid;

    fn image() -> Image {
        let ids = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect::<Vec<_>>();
        let topic = Uuid::from_u128(7);
        let name = StrBytes::from_static_str("orders");
        let resource = ConfigResource::Topic(name.clone());
        let broker = |id, fenced| {
            MetadataRecord::RegisterBroker(BrokerRegistration {
                id: BrokerId(id),
                epoch: 5,
                incarnation: Uuid::from_u128(9),
                host: StrBytes::from_static_str("localhost"),
                port: 9092,
                rack: Some(StrBytes::from_static_str("a")),
                fenced,
                in_controlled_shutdown: !fenced,
            })
        };
        let state = |leader| PartitionState {
            replicas: ids(&[1, 2, 3]),
            isr: ids(&[1]),
            removing: ids(&[2]),
            adding: ids(&[3]),
            elr: ids(&[2]),
            last_known_elr: ids(&[3]),
            leader,
            leader_epoch: LeaderEpoch(4),
            partition_epoch: 9,
            recovering: true,
        };
        let (config, value) = (String::from("retention.ms"), Some(String::from("1")));
        let mut image = Image::default();
        let records = [
            broker(1, false),
            broker(2, true),
            MetadataRecord::Topic { name, id: topic },
            MetadataRecord::Partition { topic, index: 0, state: state(Some(BrokerId(1))) },
            MetadataRecord::Partition { topic, index: 1, state: state(None) },
            MetadataRecord::Config { resource, name: config, value },
            MetadataRecord::ProducerIds { broker: BrokerId(1), broker_epoch: 5, next: ProducerId(3000) },
        ];
        records.iter().for_each(|record| image.apply(record));
        image.end = Offset(100);
        image
    }

    #[test]
    fn a_snapshot_is_the_image_that_it_was_made_of() {
        for image in [Image { end: Offset(1), ..Image::default() }, image()] {
            let snapshot = Snapshot::of(&image, LeaderEpoch(3), 1_700_000_000_000);
            assert_eq!(snapshot.id, SnapshotId { end: image.end, epoch: LeaderEpoch(3) });
            assert_eq!(snapshot.image(), Ok(image));
            assert_eq!(Snapshot::from_bytes(snapshot.to_bytes()), Some(snapshot));
        }
    }

    #[test]
    fn a_snapshot_that_was_damaged_is_none() {
        let bytes = Snapshot::of(&image(), LeaderEpoch(3), 0).to_bytes();
        let mut altered = bytes.to_vec();
        altered[ID_SIZE + HEADER_SIZE + 30] ^= 1;
        let cut = bytes.slice(..bytes.len() - 1);
        for damaged in [Bytes::from(altered), cut, bytes.slice(..ID_SIZE)] {
            assert!(Snapshot::from_bytes(damaged).is_some_and(|snapshot| snapshot.image().is_err()));
        }
        assert_eq!(Snapshot::from_bytes(bytes.slice(..ID_SIZE - 1)), None);
    }
}
