//! A producer for one partition.
//!
//! With acks=all it is idempotent, keeps up to five batches in flight and never gives one up: a batch that failed is
//! sent again, in order, once nothing is in flight any more. With acks=1 it sends one batch at a time and forgets it
//! when that fails; with acks=0 it never learns.

use super::wire::{self, Numbered, UNNUMBERED, expect_kind};
use super::{CallId, Client, Desk, Outcome, error, is_retriable};
use crate::chance::{MS, SECOND};
use crate::invariants::{Violation, history::Acknowledgement};
use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{ApiKey, InitProducerIdRequest, MetadataRequest, ProduceRequest, RequestKind};
use kafka_protocol::messages::{MetadataResponse, ResponseKind};
use shakedown_broker::BrokerId;
use shakedown_broker::types::PartitionId;
use std::any::Any;
use std::collections::VecDeque;

/// Time for another batch.
const PRODUCE: u8 = 0;
/// Time to try again.
const RETRY: u8 = 1;
/// How long a sequence has to be refused before the refusal counts.
const REFUSAL_NS: u64 = 5 * SECOND;
/// How long the broker may wait for the in-sync replicas.
const BROKER_TIMEOUT_MS: i32 = 1_000;

/// How a producer works.
#[derive(Debug, Clone)]
pub(crate) struct Habits {
    pub(crate) name: String,
    pub(crate) topic: &'static str,
    pub(crate) partition: i32,
    /// 0, 1 or -1.
    pub(crate) acks: i16,
    pub(crate) in_flight_max: u64,
    /// The mean time between batches.
    pub(crate) pause_ms: u64,
}

struct Batch {
    /// Counts the producer's batches.
    number: u64,
    bytes: Bytes,
    sequence: i32,
    count: i32,
    call: Option<CallId>,
    /// When it was first sent.
    sent_ns: u64,
    failed: bool,
    /// Since when leaders take it for the wrong sequence.
    refused_ns: Option<u64>,
}

/// The producer.
pub(crate) struct Producer {
    habits: Habits,
    /// Its id and epoch.
    id: Option<(i64, i16)>,
    leader: Option<BrokerId>,
    /// What its partition is called, by topic id, once it knows.
    partition: Option<PartitionId>,
    /// The newest leader epoch that it has heard of: older news is not believed (KIP-320).
    leader_epoch: i32,
    preparing: Option<CallId>,
    backing_off: bool,
    batches: VecDeque<Batch>,
    sequence: i32,
    values: u64,
    batches_made: u64,
    acknowledged: u64,
    stopped: bool,
}

impl Producer {
    pub(crate) fn new(habits: Habits) -> Self {
        Self {
            habits,
            id: None,
            leader: None,
            partition: None,
            leader_epoch: -1,
            preparing: None,
            backing_off: false,
            batches: VecDeque::new(),
            sequence: 0,
            values: 0,
            batches_made: 0,
            acknowledged: 0,
            stopped: false,
        }
    }

    fn is_idempotent(&self) -> bool {
        self.habits.acks == -1
    }

    /// A partition recognises a retry among the last five batches (KIP-98): beyond them the oldest that is not acknowledged
    /// could be taken for a gap.
    fn may_send_another(&self) -> bool {
        let oldest = self.batches.front().map_or(self.batches_made, |batch| batch.number);
        self.batches_made - oldest < self.habits.in_flight_max
    }

    fn make_batch(&mut self, desk: &mut Desk<'_>) {
        let count = desk.chance.between(1, 4);
        let numbered = match self.id {
            Some((producer, epoch)) if self.is_idempotent() => Numbered { producer, epoch, sequence: self.sequence },
            _ => UNNUMBERED,
        };
        let wall_ms = 1_700_000_000_000 + i64::try_from(desk.now_ns / MS).expect("a short lifetime");
        let bytes = wire::batch(wall_ms, &self.habits.name, self.values..self.values + count, numbered);
        self.values += count;
        let (count, sequence) = (i32::try_from(count).expect("a few"), self.sequence);
        let batch = Batch {
            number: self.batches_made,
            bytes,
            sequence,
            count,
            call: None,
            sent_ns: desk.now_ns,
            failed: false,
            refused_ns: None,
        };
        self.batches_made += 1;
        self.sequence += count;
        self.batches.push_back(batch);
    }

    /// Does whatever can be done now.
    fn go_on(&mut self, desk: &mut Desk<'_>) {
        if self.preparing.is_some() || self.backing_off {
            return;
        }
        if self.is_idempotent() && self.id.is_none() {
            let request =
                InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(1000);
            let broker = desk.any_broker();
            self.preparing = Some(desk.ask(broker, ApiKey::InitProducerId, 4, RequestKind::InitProducerId(request)));
            return;
        }
        let Some(leader) = self.leader else {
            let name = MetadataRequestTopic::default().with_name(Some(wire::topic(self.habits.topic)));
            let request =
                MetadataRequest::default().with_topics(Some(vec![name])).with_allow_auto_topic_creation(false);
            let broker = desk.any_broker();
            self.preparing = Some(desk.ask(broker, ApiKey::Metadata, 12, RequestKind::Metadata(request)));
            return;
        };
        let in_flight = self.batches.iter().any(|batch| batch.call.is_some());
        if in_flight && self.batches.iter().any(|batch| batch.failed) {
            return;
        }
        self.send(desk, leader);
    }

    fn send(&mut self, desk: &mut Desk<'_>, leader: BrokerId) {
        let acks = self.habits.acks;
        for batch in self.batches.iter_mut().filter(|batch| batch.call.is_none()) {
            batch.failed = false;
            let partition = PartitionProduceData::default()
                .with_index(self.habits.partition)
                .with_records(Some(batch.bytes.clone()));
            let topic = TopicProduceData::default()
                .with_name(wire::topic(self.habits.topic))
                .with_partition_data(vec![partition]);
            let request = ProduceRequest::default()
                .with_acks(acks)
                .with_timeout_ms(BROKER_TIMEOUT_MS)
                .with_topic_data(vec![topic]);
            let request = RequestKind::Produce(request);
            if acks == 0 {
                desk.tell(leader, ApiKey::Produce, 11, request);
            } else {
                batch.call = Some(desk.ask(leader, ApiKey::Produce, 11, request));
            }
        }
        if acks == 0 {
            self.batches.clear();
        }
    }

    fn try_again_later(&mut self, desk: &mut Desk<'_>) {
        self.leader = None;
        if !self.backing_off {
            self.backing_off = true;
            let ms = desk.chance.between(20, 100);
            desk.wake_in(ms, RETRY);
        }
    }

    fn prepared(&mut self, desk: &mut Desk<'_>, outcome: Outcome) {
        match outcome {
            Outcome::Lost => self.try_again_later(desk),
            Outcome::Answer(response) => match *response {
                ResponseKind::InitProducerId(response) if response.error_code == 0 => {
                    self.id = Some((response.producer_id.0, response.producer_epoch));
                }
                ResponseKind::Metadata(response) => self.learn_leader(desk, &response),
                _ => self.try_again_later(desk),
            },
        }
        self.go_on(desk);
    }

    fn learn_leader(&mut self, desk: &mut Desk<'_>, response: &MetadataResponse) {
        let found = response.topics.first().filter(|topic| topic.error_code == 0).and_then(|topic| {
            let mut partitions = topic.partitions.iter();
            let partition = partitions.find(|partition| partition.partition_index == self.habits.partition)?;
            let id = PartitionId { topic: topic.topic_id, index: self.habits.partition };
            let is_news = partition.leader_id.0 >= 0 && partition.leader_epoch >= self.leader_epoch;
            is_news.then_some((BrokerId(partition.leader_id.0), id, partition.leader_epoch))
        });
        match found {
            Some((leader, id, epoch)) => {
                (self.leader, self.partition, self.leader_epoch) = (Some(leader), Some(id), epoch);
            }
            None => self.try_again_later(desk),
        }
    }

    fn produced(&mut self, desk: &mut Desk<'_>, at: usize, outcome: Outcome) {
        self.batches[at].call = None;
        let answer = match outcome {
            Outcome::Lost => Err(ResponseError::NetworkException),
            Outcome::Answer(response) => {
                let answer = expect_kind!(Produce, *response).responses.remove(0).partition_responses.remove(0);
                error(answer.error_code).map_or(Ok(answer), Err)
            }
        };
        match answer {
            Ok(answer) => self.acknowledged(desk, at, &answer),
            Err(_) if !self.is_idempotent() => {
                self.batches.remove(at);
                self.try_again_later(desk);
            }
            // An earlier try was appended, and more than five batches ago.
            Err(ResponseError::DuplicateSequenceNumber) => drop(self.batches.remove(at)),
            Err(ResponseError::OutOfOrderSequenceNumber) if at > 0 => self.failed(desk, at),
            Err(ResponseError::OutOfOrderSequenceNumber | ResponseError::UnknownProducerId) => {
                self.sequence_refused(desk, at);
            }
            Err(error) if is_retriable(error) => self.failed(desk, at),
            Err(error) => {
                let detail = format!("{} was refused with {error:?}", self.habits.name);
                desk.check(Err(Violation::new("clients see only errors that they can explain", detail)));
            }
        }
        self.go_on(desk);
    }

    fn acknowledged(&mut self, desk: &mut Desk<'_>, at: usize, answer: &PartitionProduceResponse) {
        let batch = self.batches.remove(at).expect("the caller found it there");
        self.acknowledged += u64::try_from(batch.count).expect("a few");
        let offset = answer.base_offset;
        desk.story(|| format!("sequence {} acknowledged at {offset}", batch.sequence));
        let Some(id) = self.partition.filter(|_| self.is_idempotent() && offset >= 0) else { return };
        let acknowledgement = Acknowledgement {
            base: offset,
            last: offset + i64::from(batch.count) - 1,
            checksum: wire::checksum(&batch.bytes),
            by: self.habits.name.clone(),
        };
        let checked = desk.invariants.acknowledged(id, acknowledgement, batch.sent_ns);
        desk.check(checked);
    }

    /// A leader of the past, which has yet to learn that it is none, may refuse what continues elsewhere (its metadata is as
    /// believable as any): only a refusal that lasts is one.
    fn sequence_refused(&mut self, desk: &mut Desk<'_>, at: usize) {
        let batch = &mut self.batches[at];
        let since_ns = *batch.refused_ns.get_or_insert(desk.now_ns);
        let sent_ns = batch.sent_ns;
        let Some(id) = self.partition else { return };
        let checked = desk.invariants.history.sequence_refused(id, sent_ns, &self.habits.name);
        if checked.is_err() && desk.now_ns - since_ns < REFUSAL_NS {
            return self.failed(desk, at);
        }
        desk.check(checked);
        self.start_over(desk);
    }

    fn failed(&mut self, desk: &mut Desk<'_>, at: usize) {
        self.batches[at].failed = true;
        self.try_again_later(desk);
    }

    /// What was acknowledged is gone, as it may be: a new producer id, and what is in flight is given up.
    fn start_over(&mut self, desk: &mut Desk<'_>) {
        self.id = None;
        self.sequence = 0;
        self.batches.clear();
        self.try_again_later(desk);
    }
}

impl Client for Producer {
    fn start(&mut self, desk: &mut Desk<'_>) {
        let ms = desk.chance.between(100, 1_000);
        desk.wake_in(ms, PRODUCE);
    }

    fn answered(&mut self, desk: &mut Desk<'_>, call: CallId, outcome: Outcome) {
        if self.preparing == Some(call) {
            self.preparing = None;
            self.prepared(desk, outcome);
        } else if let Some(at) = self.batches.iter().position(|batch| batch.call == Some(call)) {
            self.produced(desk, at, outcome);
        }
    }

    fn woken(&mut self, desk: &mut Desk<'_>, tag: u8) {
        if tag == RETRY {
            self.backing_off = false;
        } else if !self.stopped {
            let ready = !self.is_idempotent() || self.id.is_some();
            if ready && self.leader.is_some() && self.may_send_another() {
                self.make_batch(desk);
            }
            let ms = desk.chance.between(self.habits.pause_ms / 2, self.habits.pause_ms * 3 / 2);
            desk.wake_in(ms, PRODUCE);
        }
        self.go_on(desk);
    }

    fn stop(&mut self) {
        self.stopped = true;
    }

    fn unfinished(&self, _: &[i64]) -> Option<String> {
        let waiting = self.batches.len();
        if waiting > 0 {
            return Some(format!("{} waits for {waiting} acknowledgements", self.habits.name));
        }
        let idle = self.acknowledged == 0 && self.habits.acks != 0;
        idle.then(|| format!("{} has had nothing acknowledged", self.habits.name))
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
