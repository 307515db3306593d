//! A bare consumer: one thread a broker that fetches what the broker leads, from the end on, and hands every payload
//! over. Not librdkafka's, because that asks every server for a group coordinator, which the floor does not know.

use crate::client::{self, Client, await_some};
use crate::server::Server;
use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{ApiKey, FetchRequest, ListOffsetsRequest, ResponseKind, TopicName};
use shakedown_broker::batch::header::{BatchHeader, HEADER_SIZE};
use shakedown_broker::batch::records::Records;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

/// A payload and when it was there.
pub(crate) type Arrival = (Instant, Bytes);

/// Follows a topic until dropped.
pub(crate) struct Tail {
    pub(crate) arrivals: Receiver<Arrival>,
    stop: Arc<AtomicBool>,
}

impl Tail {
    /// Follows all partitions of a topic from their ends on.
    pub(crate) fn start(server: &Server, topic: &str) -> Self {
        let name = client::topic_name(topic);
        let (send, arrivals) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let known = server.addresses().next().expect("an address");
        for (address, partitions) in await_some(topic, || client::leaders(known, &name)) {
            let mut broker = Client::connect(&address).expect("the broker listens");
            let mut offsets = await_some(topic, || ends(&mut broker, &name, &partitions));
            let (send, stop) = (send.clone(), Arc::clone(&stop));
            let name = name.clone();
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    // A server that has ended is followed no longer.
                    let Some(payloads) = fetch(&mut broker, &name, &mut offsets) else { return };
                    for payload in payloads {
                        let _ = send.send((Instant::now(), payload));
                    }
                }
            });
        }
        Self { arrivals, stop }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Where partitions end; `None` while their leader does not know that it leads them.
fn ends(broker: &mut Client, topic: &TopicName, partitions: &[i32]) -> Option<BTreeMap<i32, i64>> {
    let latest = |index: &i32| ListOffsetsPartition::default().with_partition_index(*index).with_timestamp(-1);
    let partitions = partitions.iter().map(latest).collect();
    let topic = ListOffsetsTopic::default().with_name(topic.clone()).with_partitions(partitions);
    let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
    let answer = broker.ask(ApiKey::ListOffsets, 1, &request.into())?;
    let ResponseKind::ListOffsets(response) = answer else { panic!("no offsets: {answer:?}") };
    let found = response.topics.first()?.partitions.iter();
    found.map(|found| (found.error_code == 0).then_some((found.partition_index, found.offset))).collect()
}

/// The payloads behind these offsets, which go on behind them; `None` once the server has closed the connection.
fn fetch(broker: &mut Client, topic: &TopicName, offsets: &mut BTreeMap<i32, i64>) -> Option<Vec<Bytes>> {
    let asked = offsets.iter().map(|(index, offset)| {
        FetchPartition::default().with_partition(*index).with_fetch_offset(*offset).with_partition_max_bytes(1 << 20)
    });
    let topic = FetchTopic::default().with_topic(topic.clone()).with_partitions(asked.collect());
    let request = FetchRequest::default()
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(1 << 24)
        .with_session_epoch(-1)
        .with_topics(vec![topic]);
    let ResponseKind::Fetch(response) = broker.ask(ApiKey::Fetch, 11, &request.into())? else { panic!("no records") };
    let mut payloads = Vec::new();
    for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
        let mut left = partition.records.clone().unwrap_or_default();
        // The limit may have cut the last batch, which is fetched again.
        while let Some((header, size)) = BatchHeader::read(&left).and_then(|header| Some((header, header.size()?)))
            && size <= left.len()
        {
            let batch = left.split_to(size);
            let values = Records::new(&batch[HEADER_SIZE..]).map(|record| record.expect("a record").value);
            payloads.extend(values.map(|value| batch.slice_ref(value.expect("a payload"))));
            offsets.insert(partition.partition_index, header.last_offset().0 + 1);
        }
    }
    Some(payloads)
}
