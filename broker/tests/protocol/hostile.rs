//! Real requests with bytes flipped, cut, repeated and overwritten: whatever still decodes must be answered or refused,
//! and never end the node.

use crate::client::{Cluster, Reply, batch, expect_kind};
use crate::every_version::sample;
use crate::topics::{create, describe};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, RequestKind};
use kafka_protocol::protocol::{Encodable, StrBytes};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use shakedown_broker::{api, wire::request};

const MUTATIONS: usize = 40;
/// Where a request's header ends, so that most mutations hit a body.
const HEADER: usize = 14;

fn frame(key: ApiKey, version: i16, request: &RequestKind) -> Bytes {
    let header = RequestHeader::default()
        .with_request_api_key(key as i16)
        .with_request_api_version(version)
        .with_correlation_id(17)
        .with_client_id(Some(StrBytes::from_static_str("test")));
    let mut frame = BytesMut::new();
    header.encode(&mut frame, key.request_header_version(version)).expect("a header");
    request.encode(&mut frame, version).expect("a request");
    frame.freeze()
}

fn below(rng: &mut ChaCha8Rng, limit: usize) -> usize {
    usize::try_from(rng.next_u32()).unwrap_or(0) % limit.max(1)
}

fn mutate(rng: &mut ChaCha8Rng, frame: &Bytes) -> Bytes {
    let mut bytes = frame.to_vec();
    for _ in 0..=below(rng, 3) {
        let at = HEADER.min(bytes.len() - 1) + below(rng, bytes.len().saturating_sub(HEADER));
        let at = at.min(bytes.len() - 1);
        match below(rng, 5) {
            0 => bytes[at] ^= 1 << below(rng, 8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][below(rng, 5)],
            2 => bytes.truncate(at.max(8)),
            3 => {
                let piece = bytes[at..].to_vec();
                bytes.extend(piece);
            }
            _ => bytes[at..].iter_mut().take(4).for_each(|byte| *byte = 0xff),
        }
    }
    bytes.into()
}

#[test]
fn mutated_requests_end_neither_the_node_nor_its_service() {
    let mut cluster = Cluster::with(1, |config| config.auto_create_topics = false);
    create(&mut cluster, "orders", 1);
    let id = describe(&mut cluster, 0, "orders").topic_id;
    let mut rng = ChaCha8Rng::seed_from_u64(20_261_121);
    let (mut understood, mut refused) = (0, 0);
    for entry in api::TABLE {
        for version in entry.min..=entry.max {
            let sound = frame(entry.key, version, &sample(entry.key, version, id));
            for _ in 0..MUTATIONS {
                let mutated = mutate(&mut rng, &sound);
                if request::decode(mutated.clone()).is_err() {
                    refused += 1;
                    continue;
                }
                understood += 1;
                let token = cluster.send_frame_of_any(0, &mutated);
                cluster.reply(token);
            }
        }
    }
    assert!(understood > 1000 && refused > 1000, "{understood} were understood, {refused} refused");
    // Timers of whatever groups came to be.
    (0..20).for_each(|_| cluster.advance_ms(60_000));
    create(&mut cluster, "after", 1);
    let token = cluster.send(0, ApiKey::Produce, 9, &{
        use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
        let data = PartitionProduceData::default().with_records(Some(batch(2, -1, -1, -1)));
        let topic = TopicProduceData::default().with_name(crate::topics::name("after")).with_partition_data(vec![data]);
        let request = kafka_protocol::messages::ProduceRequest::default();
        request.with_acks(-1).with_timeout_ms(100).with_topic_data(vec![topic]).into()
    });
    let Some(Reply::Response(response)) = cluster.reply(token) else { panic!("the node does not answer any more") };
    assert_eq!(expect_kind!(Produce, response).responses[0].partition_responses[0].error_code, 0);
}
