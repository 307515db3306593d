//! Metadata records as bytes, in Kafka's own format: what `__cluster_metadata` holds here, Kafka's tools can read.
//!
//! A record begins with a frame: the frame's version, the record's key and its version, each as an unsigned varint. Its
//! fields follow as `common/metadata/*.json` has them. Each kind is written and read in one version, the newest that
//! Kafka 4.1 writes. What these brokers do not have (features, log directories, migration from ZooKeeper) is written as
//! Kafka writes it where there is none, and passed over in reading.

mod fields;

use self::fields::{Fields, TaggedFields, put_ids, put_length, put_nullable_text, put_text, put_uvarint};
use super::record::{BrokerRegistration, ConfigResource, MetadataRecord, PartitionChange, PartitionState};
use crate::types::{BrokerId, LeaderEpoch, ProducerId};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;

/// `AbstractApiMessageSerde.DEFAULT_FRAME_VERSION`.
const FRAME_VERSION: u32 = 1;

/// Key and version of `RegisterBrokerRecord`.
const REGISTER_BROKER: (u32, u32) = (0, 3);
/// Key and version of `TopicRecord`.
const TOPIC: (u32, u32) = (2, 0);
/// Key and version of `PartitionRecord`.
const PARTITION: (u32, u32) = (3, 2);
/// Key and version of `ConfigRecord`.
const CONFIG: (u32, u32) = (4, 0);
/// Key and version of `PartitionChangeRecord`.
const PARTITION_CHANGE: (u32, u32) = (5, 2);
/// Key and version of `RemoveTopicRecord`.
const REMOVE_TOPIC: (u32, u32) = (9, 0);
/// Key and version of `ProducerIdsRecord`.
const PRODUCER_IDS: (u32, u32) = (15, 0);
/// Key and version of `BrokerRegistrationChangeRecord`.
const BROKER_REGISTRATION_CHANGE: (u32, u32) = (17, 2);

/// The one listener that a broker has, and its `SecurityProtocol`.
const LISTENER: (&str, i16) = ("PLAINTEXT", 0);
/// `ConfigResource.Type.TOPIC`.
const TOPIC_RESOURCE: i8 = 2;
/// `LeaderConstants.NO_LEADER`.
const NO_LEADER: i32 = -1;
/// `LeaderConstants.NO_LEADER_CHANGE`.
const NO_LEADER_CHANGE: i32 = -2;

/// Bytes that are no metadata record, or one that this version does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed metadata record: {what}")]
pub struct MalformedRecord {
    /// The field that could not be read.
    pub what: &'static str,
}

/// A record's bytes.
#[must_use]
pub fn encode(record: &MetadataRecord) -> Bytes {
    let mut to = BytesMut::with_capacity(64);
    match record {
        MetadataRecord::RegisterBroker(registration) => put_registration(&mut to, registration),
        MetadataRecord::BrokerRegistrationChange { id, epoch, fenced, in_controlled_shutdown } => {
            put_registration_change(&mut to, *id, *epoch, *fenced, *in_controlled_shutdown);
        }
        MetadataRecord::Topic { name, id } => {
            put_frame(&mut to, TOPIC);
            put_text(&mut to, name);
            to.put_slice(id.as_bytes());
            put_no_tagged(&mut to);
        }
        MetadataRecord::Partition { topic, index, state } => {
            put_frame(&mut to, PARTITION);
            to.put_i32(*index);
            to.put_slice(topic.as_bytes());
            put_state(&mut to, state);
        }
        MetadataRecord::PartitionChange { topic, index, change } => {
            put_frame(&mut to, PARTITION_CHANGE);
            to.put_i32(*index);
            to.put_slice(topic.as_bytes());
            put_change(&mut to, change);
        }
        MetadataRecord::RemoveTopic { id } => {
            put_frame(&mut to, REMOVE_TOPIC);
            to.put_slice(id.as_bytes());
            put_no_tagged(&mut to);
        }
        MetadataRecord::Config { resource: ConfigResource::Topic(topic), name, value } => {
            put_frame(&mut to, CONFIG);
            to.put_i8(TOPIC_RESOURCE);
            put_text(&mut to, topic);
            put_text(&mut to, name);
            put_nullable_text(&mut to, value.as_deref());
            put_no_tagged(&mut to);
        }
        MetadataRecord::ProducerIds { broker, broker_epoch, next } => {
            put_frame(&mut to, PRODUCER_IDS);
            to.put_i32(broker.0);
            to.put_i64(*broker_epoch);
            to.put_i64(next.0);
            put_no_tagged(&mut to);
        }
    }
    to.freeze()
}

/// Reads a record back.
///
/// # Errors
/// Whatever [`encode`] cannot have written, but for tagged fields that are not known: those are passed over.
pub fn decode(value: &[u8]) -> Result<MetadataRecord, MalformedRecord> {
    let mut fields = Fields::new(value);
    if fields.uvarint("frame version")? != FRAME_VERSION {
        return Err(MalformedRecord { what: "frame version" });
    }
    let record = match (fields.uvarint("key")?, fields.uvarint("version")?) {
        REGISTER_BROKER => MetadataRecord::RegisterBroker(registration(&mut fields)?),
        BROKER_REGISTRATION_CHANGE => registration_change(&mut fields)?,
        TOPIC => {
            let name = text(fields.text("topic name")?);
            let id = fields.uuid("topic id")?;
            fields.skip_tagged()?;
            MetadataRecord::Topic { name, id }
        }
        PARTITION => {
            let index = fields.i32("partition index")?;
            let topic = fields.uuid("topic id")?;
            MetadataRecord::Partition { topic, index, state: state(&mut fields)? }
        }
        PARTITION_CHANGE => {
            let index = fields.i32("partition index")?;
            let topic = fields.uuid("topic id")?;
            MetadataRecord::PartitionChange { topic, index, change: change(&mut fields)? }
        }
        REMOVE_TOPIC => {
            let id = fields.uuid("topic id")?;
            fields.skip_tagged()?;
            MetadataRecord::RemoveTopic { id }
        }
        CONFIG => config(&mut fields)?,
        PRODUCER_IDS => {
            let broker = BrokerId(fields.i32("broker id")?);
            let broker_epoch = fields.i64("broker epoch")?;
            let next = ProducerId(fields.i64("next producer id")?);
            fields.skip_tagged()?;
            MetadataRecord::ProducerIds { broker, broker_epoch, next }
        }
        _ => return Err(MalformedRecord { what: "key and version" }),
    };
    fields.end("bytes behind the record")?;
    Ok(record)
}

fn put_frame(to: &mut BytesMut, (key, version): (u32, u32)) {
    put_uvarint(to, FRAME_VERSION);
    put_uvarint(to, key);
    put_uvarint(to, version);
}

fn put_no_tagged(to: &mut BytesMut) {
    TaggedFields::default().finish(to);
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn put_registration(to: &mut BytesMut, registration: &BrokerRegistration) {
    put_frame(to, REGISTER_BROKER);
    to.put_i32(registration.id.0);
    to.put_u8(0);
    to.put_slice(registration.incarnation.as_bytes());
    to.put_i64(registration.epoch);
    put_length(to, 1);
    put_text(to, LISTENER.0);
    put_text(to, &registration.host);
    to.put_u16(registration.port);
    to.put_i16(LISTENER.1);
    put_no_tagged(to);
    put_length(to, 0);
    put_nullable_text(to, registration.rack.as_deref());
    to.put_u8(registration.fenced.into());
    to.put_u8(registration.in_controlled_shutdown.into());
    put_no_tagged(to);
}

fn registration(fields: &mut Fields<'_>) -> Result<BrokerRegistration, MalformedRecord> {
    let id = BrokerId(fields.i32("broker id")?);
    fields.is_true("whether it migrates from ZooKeeper")?;
    let incarnation = fields.uuid("incarnation id")?;
    let epoch = fields.i64("broker epoch")?;
    if fields.length("end points")? != Some(1) {
        return Err(MalformedRecord { what: "end points" });
    }
    fields.text("end point name")?;
    let host = text(fields.text("host")?);
    let port = fields.u16("port")?;
    fields.i16("security protocol")?;
    fields.skip_tagged()?;
    for _ in 0..fields.length("features")?.ok_or(MalformedRecord { what: "features" })? {
        fields.text("feature name")?;
        fields.i16("lowest feature version")?;
        fields.i16("highest feature version")?;
        fields.skip_tagged()?;
    }
    let rack = fields.nullable_text("rack")?.map(text);
    let fenced = fields.is_true("whether it is fenced")?;
    let in_controlled_shutdown = fields.is_true("whether it is in controlled shutdown")?;
    fields.skip_tagged()?;
    Ok(BrokerRegistration { id, epoch, incarnation, host, port, rack, fenced, in_controlled_shutdown })
}

fn put_registration_change(
    to: &mut BytesMut,
    id: BrokerId,
    epoch: i64,
    fenced: Option<bool>,
    in_controlled_shutdown: bool,
) {
    put_frame(to, BROKER_REGISTRATION_CHANGE);
    to.put_i32(id.0);
    to.put_i64(epoch);
    let mut tagged = TaggedFields::default();
    if let Some(fenced) = fenced {
        tagged.put(0, &(if fenced { 1_i8 } else { -1 }).to_be_bytes());
    }
    if in_controlled_shutdown {
        tagged.put(1, &[1]);
    }
    tagged.finish(to);
}

fn registration_change(fields: &mut Fields<'_>) -> Result<MetadataRecord, MalformedRecord> {
    let id = BrokerId(fields.i32("broker id")?);
    let epoch = fields.i64("broker epoch")?;
    let (mut fenced, mut in_controlled_shutdown) = (None, false);
    fields.tagged(|tag, field| {
        match tag {
            0 => {
                fenced = match field.i8("fenced")? {
                    -1 => Some(false),
                    0 => None,
                    1 => Some(true),
                    _ => return Err(MalformedRecord { what: "fenced" }),
                }
            }
            1 => in_controlled_shutdown = field.is_true("in controlled shutdown")?,
            _ => field.skip(),
        }
        Ok(())
    })?;
    Ok(MetadataRecord::BrokerRegistrationChange { id, epoch, fenced, in_controlled_shutdown })
}

fn put_state(to: &mut BytesMut, state: &PartitionState) {
    put_ids(to, &state.replicas);
    put_ids(to, &state.isr);
    put_ids(to, &state.removing);
    put_ids(to, &state.adding);
    to.put_i32(state.leader.map_or(NO_LEADER, |leader| leader.0));
    to.put_i32(state.leader_epoch.0);
    to.put_i32(state.partition_epoch);
    // No log directories: Kafka takes that for directories that are not known yet.
    put_length(to, 0);
    let mut tagged = TaggedFields::default();
    if state.recovering {
        tagged.put(0, &[1]);
    }
    if !state.elr.is_empty() {
        tagged.put_ids(1, &state.elr);
    }
    if !state.last_known_elr.is_empty() {
        tagged.put_ids(2, &state.last_known_elr);
    }
    tagged.finish(to);
}

fn state(fields: &mut Fields<'_>) -> Result<PartitionState, MalformedRecord> {
    let mut state = PartitionState {
        replicas: fields.ids("replicas")?,
        isr: fields.ids("isr")?,
        removing: fields.ids("removing replicas")?,
        adding: fields.ids("adding replicas")?,
        leader: leader(fields.i32("leader")?)?,
        leader_epoch: LeaderEpoch(fields.i32("leader epoch")?),
        partition_epoch: fields.i32("partition epoch")?,
        ..PartitionState::default()
    };
    for _ in 0..fields.length("directories")?.ok_or(MalformedRecord { what: "directories" })? {
        fields.uuid("directory")?;
    }
    fields.tagged(|tag, field| {
        match tag {
            0 => state.recovering = field.is_true("leader recovery state")?,
            1 => state.elr = field.nullable_ids("eligible leader replicas")?.unwrap_or_default(),
            2 => state.last_known_elr = field.nullable_ids("last known elr")?.unwrap_or_default(),
            _ => field.skip(),
        }
        Ok(())
    })?;
    Ok(state)
}

fn leader(id: i32) -> Result<Option<BrokerId>, MalformedRecord> {
    match id {
        NO_LEADER => Ok(None),
        0.. => Ok(Some(BrokerId(id))),
        _ => Err(MalformedRecord { what: "leader" }),
    }
}

fn put_change(to: &mut BytesMut, change: &PartitionChange) {
    let mut tagged = TaggedFields::default();
    let put_list = |tagged: &mut TaggedFields, tag, list: &Option<Vec<BrokerId>>| {
        if let Some(list) = list {
            tagged.put_ids(tag, list);
        }
    };
    put_list(&mut tagged, 0, &change.isr);
    if let Some(leader) = change.leader {
        tagged.put(1, &leader.map_or(NO_LEADER, |leader| leader.0).to_be_bytes());
    }
    put_list(&mut tagged, 2, &change.replicas);
    put_list(&mut tagged, 3, &change.removing);
    put_list(&mut tagged, 4, &change.adding);
    if let Some(recovering) = change.recovering {
        tagged.put(5, &[recovering.into()]);
    }
    put_list(&mut tagged, 6, &change.elr);
    put_list(&mut tagged, 7, &change.last_known_elr);
    tagged.finish(to);
}

fn change(fields: &mut Fields<'_>) -> Result<PartitionChange, MalformedRecord> {
    let mut change = PartitionChange::default();
    fields.tagged(|tag, field| {
        match tag {
            0 => change.isr = field.nullable_ids("isr")?,
            1 => {
                change.leader = match field.i32("leader")? {
                    NO_LEADER_CHANGE => None,
                    id => Some(leader(id)?),
                }
            }
            2 => change.replicas = field.nullable_ids("replicas")?,
            3 => change.removing = field.nullable_ids("removing replicas")?,
            4 => change.adding = field.nullable_ids("adding replicas")?,
            5 => {
                change.recovering = match field.i8("leader recovery state")? {
                    -1 => None,
                    0 => Some(false),
                    1 => Some(true),
                    _ => return Err(MalformedRecord { what: "leader recovery state" }),
                }
            }
            6 => change.elr = field.nullable_ids("eligible leader replicas")?,
            7 => change.last_known_elr = field.nullable_ids("last known elr")?,
            _ => field.skip(),
        }
        Ok(())
    })?;
    Ok(change)
}

fn config(fields: &mut Fields<'_>) -> Result<MetadataRecord, MalformedRecord> {
    if fields.i8("resource type")? != TOPIC_RESOURCE {
        return Err(MalformedRecord { what: "resource type" });
    }
    let resource = ConfigResource::Topic(text(fields.text("resource name")?));
    let name = fields.text("setting name")?.to_owned();
    let value = fields.nullable_text("setting value")?.map(str::to_owned);
    fields.skip_tagged()?;
    Ok(MetadataRecord::Config { resource, name, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    const ID: Uuid = Uuid::from_u128(0x00112233_44556677_8899aabb_ccddeeff);
    const ID_BYTES: &[u8] =
        &[0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];

    fn ids(ids: &[i32]) -> Vec<BrokerId> {
        ids.iter().copied().map(BrokerId).collect()
    }

    fn registered(rack: Option<&'static str>, fenced: bool) -> MetadataRecord {
        MetadataRecord::RegisterBroker(BrokerRegistration {
            id: BrokerId(3),
            epoch: 77,
            incarnation: ID,
            host: StrBytes::from_static_str("127.0.0.1"),
            port: 54_321,
            rack: rack.map(StrBytes::from_static_str),
            fenced,
            in_controlled_shutdown: !fenced,
        })
    }

    fn partition(state: PartitionState) -> MetadataRecord {
        MetadataRecord::Partition { topic: ID, index: 1, state }
    }

    fn changed(change: PartitionChange) -> MetadataRecord {
        MetadataRecord::PartitionChange { topic: ID, index: 1, change }
    }

    fn full_state() -> PartitionState {
        PartitionState {
            replicas: ids(&[1, 2, 3]),
            isr: ids(&[2]),
            removing: ids(&[1]),
            adding: ids(&[3]),
            elr: ids(&[1, 3]),
            last_known_elr: ids(&[4]),
            leader: Some(BrokerId(2)),
            leader_epoch: LeaderEpoch(5),
            partition_epoch: 8,
            recovering: true,
        }
    }

    fn full_change() -> PartitionChange {
        PartitionChange {
            isr: Some(ids(&[1])),
            replicas: Some(ids(&[1, 2])),
            removing: Some(Vec::new()),
            adding: Some(ids(&[2])),
            elr: Some(ids(&[2])),
            last_known_elr: Some(Vec::new()),
            leader: Some(Some(BrokerId(1))),
            recovering: Some(false),
        }
    }

    fn every_kind() -> Vec<MetadataRecord> {
        let config = |value: Option<&str>| MetadataRecord::Config {
            resource: ConfigResource::Topic(StrBytes::from_static_str("orders")),
            name: "retention.ms".to_owned(),
            value: value.map(str::to_owned),
        };
        let registration_change = |fenced, in_controlled_shutdown| MetadataRecord::BrokerRegistrationChange {
            id: BrokerId(3),
            epoch: 77,
            fenced,
            in_controlled_shutdown,
        };
        vec![
            registered(None, true),
            registered(Some("rack a"), false),
            registration_change(None, true),
            registration_change(Some(true), false),
            registration_change(Some(false), true),
            MetadataRecord::Topic { name: text(&"long ".repeat(49)), id: ID },
            partition(PartitionState::default()),
            partition(full_state()),
            changed(PartitionChange::default()),
            changed(PartitionChange { leader: Some(None), recovering: Some(true), ..PartitionChange::default() }),
            changed(full_change()),
            MetadataRecord::RemoveTopic { id: ID },
            config(Some("60000")),
            config(None),
            MetadataRecord::ProducerIds { broker: BrokerId(2), broker_epoch: 4, next: ProducerId(3000) },
        ]
    }

    #[test]
    fn a_topic_is_written_as_kafka_writes_it() {
        let record = MetadataRecord::Topic { name: StrBytes::from_static_str("foo"), id: ID };
        let expected = [&[1, 2, 0, 4][..], b"foo", ID_BYTES, &[0]].concat();
        assert_eq!(encode(&record), expected);
    }

    #[test]
    fn a_partition_is_written_as_kafka_writes_it() {
        let numbers = |numbers: &[i32]| numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>();
        let expected = [
            &[1, 3, 2, 0, 0, 0, 1][..],
            ID_BYTES,
            &[&[4][..], &numbers(&[1, 2, 3]), &[2], &numbers(&[2]), &[2], &numbers(&[1]), &[2], &numbers(&[3])]
                .concat(),
            &numbers(&[2, 5, 8]),
            // No directories, then recovery state, eligible and last known replicas, each by tag and size.
            &[1, 3, 0, 1, 1],
            &[1, 9, 3, 0, 0, 0, 1, 0, 0, 0, 3],
            &[2, 5, 2, 0, 0, 0, 4],
        ];
        assert_eq!(encode(&partition(full_state())), expected.concat());
    }

    #[test]
    fn a_partition_change_is_written_as_kafka_writes_it() {
        let change = PartitionChange {
            isr: Some(ids(&[2, 3])),
            leader: Some(Some(BrokerId(2))),
            elr: Some(Vec::new()),
            ..PartitionChange::default()
        };
        let expected = [
            &[1, 5, 2, 0, 0, 0, 1][..],
            ID_BYTES,
            &[3],
            &[0, 9, 3, 0, 0, 0, 2, 0, 0, 0, 3],
            &[1, 4, 0, 0, 0, 2],
            &[6, 1, 1],
        ];
        assert_eq!(encode(&changed(change)), expected.concat());
    }

    #[test]
    fn every_record_reads_back() {
        for record in every_kind() {
            assert_eq!(decode(&encode(&record)), Ok(record));
        }
    }

    #[test]
    fn a_record_that_is_cut_short_or_goes_on_is_refused() {
        for record in every_kind() {
            let bytes = encode(&record);
            for length in 0..bytes.len() {
                assert!(decode(&bytes[..length]).is_err(), "{length} bytes of {record:?}");
            }
            let longer = [&bytes[..], &[0]].concat();
            assert_eq!(decode(&longer), Err(MalformedRecord { what: "bytes behind the record" }));
        }
    }

    #[test]
    fn what_kafka_may_add_is_passed_over() {
        // A directory for the replica, and a tag that is not known.
        let mut bytes = encode(&partition(PartitionState::default())).to_vec();
        assert_eq!(bytes.split_off(bytes.len() - 2), [1, 0]);
        bytes.extend([&[2][..], ID_BYTES, &[1, 9, 2, 7, 7]].concat());
        assert_eq!(decode(&bytes), Ok(partition(PartitionState::default())));
    }

    #[test]
    fn unknown_kinds_and_values_are_refused() {
        let refused = |bytes: &[u8], what| assert_eq!(decode(bytes), Err(MalformedRecord { what }));
        refused(&[0, 2, 0], "frame version");
        refused(&[1, 20, 0, 0], "key and version");
        refused(&[1, 2, 1], "key and version");
        let change = |tagged: &[u8]| [&[1, 5, 2, 0, 0, 0, 1][..], ID_BYTES, tagged].concat();
        refused(&change(&[1, 1, 4, 0xff, 0xff, 0xff, 0xfd]), "leader");
        refused(&change(&[1, 5, 1, 2]), "leader recovery state");
        refused(&change(&[1, 0, 6, 2, 0, 0, 0, 1, 0]), "tagged fields");
        refused(&[1, 4, 0, 4, 2, b'1', 2, b'a', 0, 0], "resource type");
        assert_eq!(decode(&[]).expect_err("nothing").to_string(), "malformed metadata record: frame version");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(key in 0..20_u8, version in 0..4_u8, rest in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(&[&[1, key, version][..], &rest].concat());
        }

        #[test]
        fn no_flipped_byte_makes_it_panic(nth in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte: u8) {
            let mut bytes = encode(nth.get(&every_kind())).to_vec();
            *at.get_mut(&mut bytes) = byte;
            // What is still a record is one that reads back as it is.
            if let Ok(record) = decode(&bytes) {
                prop_assert_eq!(decode(&encode(&record)), Ok(record));
            }
        }
    }
}
