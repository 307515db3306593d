//! `Fetch` 4–18: record batches below the high watermark, at once or when `min_bytes` are there.
//!
//! Version steps: 7 sessions (KIP-227); 9 current leader epoch (KIP-320); 12 flexible; 13 topic ids (KIP-516); 15
//! replica state, for followers only; 16 node endpoints (KIP-951); 18 high watermark, for followers only. A fetch with a
//! replica id comes from a follower, which speaks to its leader by peer messages here, so such a fetch is refused.

use super::{Call, Effect};
use crate::fetch_session::{FetchTarget, Told};
use crate::io::RequestToken;
use crate::log::partition::PartitionId;
use crate::node::Node;
use crate::purgatory::{WaitId, Waiting, Wake};
use crate::replica::selector;
use crate::timers::Timer;
use crate::types::{BrokerId, Now, Offset};
use crate::wire::fetch::{Endpoint, FetchResponse, FetchedPartition, FetchedTopic};
use crate::wire::response::Response;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::FetchTopic;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

/// The first version in which a consumer may be served by a follower.
const FOLLOWERS_FROM: i16 = 11;

/// `fetch.max.bytes`, Kafka's default: most bytes of an answer, whatever is asked for.
const BYTES_MAX: usize = 55 << 20;

/// The first version in which a client that asks the wrong node is told of the right one.
const LEADERS_FROM: i16 = 16;

/// A fetch that waits for more bytes.
#[derive(Debug)]
pub struct WaitingFetch {
    /// Where the reply goes.
    pub token: RequestToken,
    version: i16,
    session_id: i32,
    incremental: bool,
    reads_committed: bool,
    targets: Vec<FetchTarget>,
    /// Where the consumer stands (`client.rack`).
    rack: StrBytes,
    min_bytes: usize,
    max_bytes: usize,
}

impl WaitingFetch {
    /// The partitions it waits for.
    #[must_use]
    pub fn partitions(&self) -> Vec<PartitionId> {
        self.targets.iter().map(|target| PartitionId { topic: target.topic_id, index: target.partition }).collect()
    }
}

/// What one pass over the partitions found.
struct Collected {
    partitions: Vec<FetchedPartition>,
    bytes: usize,
    /// Something other than records has to be told at once: an error, or a replica that is nearer.
    urgent: bool,
}

pub(super) fn handle(node: &mut Node, call: &Call, request: FetchRequest) -> Effect {
    if request.replica_id.0 >= 0 || request.replica_state.replica_id.0 >= 0 {
        node.unsupported("a fetch by a replica from outside");
        return error(ResponseError::ClusterAuthorizationFailed);
    }
    let named = request.topics.into_iter().flat_map(|topic| targets(node, call.version, topic)).collect();
    let forgotten: Vec<FetchTarget> = request
        .forgotten_topics_data
        .into_iter()
        .flat_map(|topic| {
            let (topic_name, topic_id) = identify(node, call.version, &topic.topic.0, topic.topic_id);
            topic.partitions.into_iter().map(move |partition| FetchTarget {
                topic: topic_name.clone(),
                topic_id,
                partition,
                offset: 0,
                max_bytes: 0,
                leader_epoch: -1,
                last_epoch: -1,
            })
        })
        .collect();
    let session_epoch = if call.version >= 7 { request.session_epoch } else { -1 };
    let resolved = match node.sessions.resolve(request.session_id, session_epoch, named, &forgotten) {
        Ok(resolved) => resolved,
        Err(code) => return error(code),
    };
    let max_bytes = usize::try_from(request.max_bytes).unwrap_or(0).min(BYTES_MAX);
    let fetch = WaitingFetch {
        token: call.token,
        version: call.version,
        session_id: resolved.session_id,
        incremental: resolved.incremental,
        reads_committed: request.isolation_level == 1,
        targets: resolved.targets,
        // A copy of its own: the request's would keep the whole frame in memory.
        rack: StrBytes::from_string(request.rack_id.to_string()),
        // What does not fit into an answer is not waited for.
        min_bytes: usize::try_from(request.min_bytes).unwrap_or(0).min(max_bytes),
        max_bytes,
    };
    let collected = collect(node, &fetch);
    if collected.urgent || collected.bytes >= fetch.min_bytes || request.max_wait_ms <= 0 || fetch.targets.is_empty() {
        return Effect::Reply(Response::Fetch(respond(node, &fetch, collected)));
    }
    node.wait(Waiting::Fetch(fetch), call.now.after_ms(request.max_wait_ms.into()));
    Effect::Wait
}

/// Looks at a waiting fetch again: a partition grew or changed its leader, or it may wait no longer.
pub(crate) fn complete(node: &mut Node, _: Now, id: WaitId, wake: Wake) {
    let Some(Waiting::Fetch(fetch)) = node.purgatory.take(id) else {
        return;
    };
    let collected = collect(node, &fetch);
    if wake == Wake::Moved && !collected.urgent && collected.bytes < fetch.min_bytes {
        let partitions = fetch.partitions();
        node.purgatory.put_back(id, Waiting::Fetch(fetch));
        return node.watch(id, &partitions);
    }
    node.timers.cancel(&Timer::Wait(id));
    let response = respond(node, &fetch, collected);
    let token = fetch.token;
    node.unwatch(id, &Waiting::Fetch(fetch));
    node.reply(token, Response::Fetch(response));
}

fn error(code: ResponseError) -> Effect {
    Effect::Reply(Response::Fetch(FetchResponse { error: code.code(), ..FetchResponse::default() }))
}

/// The name and the id of a topic that a request names by one of them.
fn identify(node: &Node, version: i16, name: &StrBytes, id: Uuid) -> (StrBytes, Uuid) {
    if version >= 13 {
        (node.image.names.get(&id).cloned().unwrap_or_default(), id)
    } else {
        // The image's copy of the name: the request's would keep the whole frame in memory.
        let known = node.image.topics.get_key_value(name);
        known.map_or_else(|| (name.clone(), Uuid::nil()), |(name, topic)| (name.clone(), topic.id))
    }
}

fn targets(node: &Node, version: i16, topic: FetchTopic) -> impl Iterator<Item = FetchTarget> + use<> {
    let (name, topic_id) = identify(node, version, &topic.topic.0, topic.topic_id);
    topic.partitions.into_iter().map(move |partition| FetchTarget {
        topic: name.clone(),
        topic_id,
        partition: partition.partition,
        offset: partition.fetch_offset,
        max_bytes: partition.partition_max_bytes,
        leader_epoch: partition.current_leader_epoch,
        last_epoch: partition.last_fetched_epoch,
    })
}

fn collect(node: &mut Node, fetch: &WaitingFetch) -> Collected {
    let mut collected = Collected { partitions: Vec::with_capacity(fetch.targets.len()), bytes: 0, urgent: false };
    for target in &fetch.targets {
        let left = fetch.max_bytes.saturating_sub(collected.bytes);
        let partition = read(node, fetch, target, left, collected.bytes == 0);
        collected.bytes += partition.size();
        collected.urgent |=
            partition.error != 0 || partition.preferred_read_replica.is_some() || partition.diverging.is_some();
        collected.partitions.push(partition);
    }
    collected
}

/// The epoch that a client believes in against the one that is: KIP-320.
pub(super) fn check_epoch(believed: i32, actual: i32) -> Result<(), ResponseError> {
    match believed {
        -1 => Ok(()),
        _ if believed < actual => Err(ResponseError::FencedLeaderEpoch),
        _ if believed > actual => Err(ResponseError::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}

fn read(
    node: &mut Node,
    fetch: &WaitingFetch,
    target: &FetchTarget,
    left: usize,
    at_least_one: bool,
) -> FetchedPartition {
    let version = fetch.version;
    let id = PartitionId { topic: target.topic_id, index: target.partition };
    // From version 11 on a consumer may read from a follower (KIP-392), up to the high watermark that it knows.
    let readable = node.partitions.get(&id).filter(|partition| partition.leads() || version >= FOLLOWERS_FROM);
    let Some(partition) = readable else {
        return absent(node, version, target);
    };
    let fail = |error: ResponseError| FetchedPartition {
        aborted_transactions: None,
        ..FetchedPartition::failed(target.partition, error.code())
    };
    if let Err(error) = check_epoch(target.leader_epoch, partition.leader_epoch().0) {
        let is_fenced = error == ResponseError::FencedLeaderEpoch;
        let current_leader = if is_fenced { leader_of(node, version, target) } else { None };
        return FetchedPartition { current_leader, ..fail(error) };
    }
    let last_epoch = (target.last_epoch >= 0).then_some(target.last_epoch);
    let diverging = match last_epoch.map(|asked| (asked, partition.end_of_epoch(asked))) {
        // An epoch that this log knows nothing of says nothing of where the two part.
        Some((_, (-1, _))) => return fail(ResponseError::OffsetOutOfRange),
        Some((asked, (epoch, end))) if epoch < asked || end.0 < target.offset => Some((epoch, end.0)),
        _ => None,
    };
    if diverging.is_none() && !partition.contains(Offset(target.offset)) {
        // Also of a follower that is behind: the consumer then asks the leader.
        return fail(ResponseError::OffsetOutOfRange);
    }
    let found = |records, preferred: Option<BrokerId>| FetchedPartition {
        index: target.partition,
        error: 0,
        high_watermark: partition.high_watermark().0,
        last_stable_offset: partition.high_watermark().0,
        log_start_offset: partition.log_start().0,
        diverging,
        current_leader: None,
        // No transaction is ever aborted here, which is told to those who ask.
        aborted_transactions: (fetch.reads_committed && diverging.is_none()).then_some(()),
        preferred_read_replica: preferred.map(|id| id.0),
        records,
    };
    if diverging.is_some() {
        return found(Vec::new(), None);
    }
    if node.config.rack_aware_reads
        && let Some(leadership) = partition.leadership()
        && let Some(nearer) =
            selector::preferred(&node.image, node.config.id, leadership, &fetch.rack, Offset(target.offset))
    {
        return found(Vec::new(), Some(nearer));
    }
    let most = left.min(usize::try_from(target.max_bytes).unwrap_or(0));
    match partition.read_for_client(&mut *node.store, Offset(target.offset), most, at_least_one) {
        Ok(records) => found(records, None),
        Err(_) => fail(ResponseError::KafkaStorageError),
    }
}

/// Why there is nothing to read: no such topic, no such partition, or another node leads it.
fn absent(node: &Node, version: i16, target: &FetchTarget) -> FetchedPartition {
    let known = node.image.topics.get(&target.topic);
    if version >= 13 && known.is_none() {
        return FetchedPartition::failed(target.partition, ResponseError::UnknownTopicId.code());
    }
    if node.image.partition(&target.topic, target.partition).is_none() {
        return FetchedPartition::failed(target.partition, ResponseError::UnknownTopicOrPartition.code());
    }
    let current_leader = leader_of(node, version, target);
    let failed = FetchedPartition::failed(target.partition, ResponseError::NotLeaderOrFollower.code());
    FetchedPartition { current_leader, aborted_transactions: None, ..failed }
}

/// Whom the client should ask instead, for those that learn where that is, too (KIP-951).
fn leader_of(node: &Node, version: i16, target: &FetchTarget) -> Option<(i32, i32)> {
    let state = node.image.partition(&target.topic, target.partition).filter(|_| version >= LEADERS_FROM)?;
    state.leader.map(|leader| (leader.0, state.leader_epoch.0))
}

fn respond(node: &mut Node, fetch: &WaitingFetch, collected: Collected) -> FetchResponse {
    let mut topics: Vec<FetchedTopic> = Vec::new();
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for (nth, (target, partition)) in fetch.targets.iter().zip(collected.partitions).enumerate() {
        let told = Told { high_watermark: partition.high_watermark, log_start_offset: partition.log_start_offset };
        let news = fetch.session_id == 0 || node.sessions.is_news(fetch.session_id, nth, told);
        let empty =
            partition.size() == 0 && partition.preferred_read_replica.is_none() && partition.diverging.is_none();
        if fetch.incremental && !news && partition.error == 0 && empty {
            continue;
        }
        if let Some(broker) = partition.current_leader.and_then(|(id, _)| node.image.brokers.get(&BrokerId(id)))
            && endpoints.iter().all(|endpoint| endpoint.id != broker.id.0)
        {
            let (id, host, rack) = (broker.id.0, broker.host.clone(), broker.rack.clone());
            endpoints.push(Endpoint { id, host, port: broker.port.into(), rack });
        }
        match topics.last_mut() {
            Some(topic) if topic.id == target.topic_id && topic.name == target.topic => {
                topic.partitions.push(partition);
            }
            _ => topics.push(FetchedTopic {
                name: target.topic.clone(),
                id: target.topic_id,
                partitions: vec![partition],
            }),
        }
    }
    FetchResponse { session_id: fetch.session_id, topics, endpoints, ..FetchResponse::default() }
}
