//! The sender against brokers that fail in every way that a seed can think of, and what must hold however they fail.
//!
//! Brokers keep Kafka's rules for sequences (`ProducerAppendInfo.checkSequence`): the next number is taken, one of the last five
//! batches is known again, a new epoch begins at 0, an old one is fenced, anything else is out of order; and where a partition
//! knows nothing of a producer, any number is taken. A connection that is cut may have requests on it that its broker still
//! carries out, at any time later. Answers get lost, leaders move, brokers refuse, deadlines pass.
//!
//! Then all is healed, or nobody waits any longer; everything ends, and: what was acknowledged stands in the log, once, where the answer said; what is told as
//! failed does not stand there; nothing ended twice; and an idempotent producer has written nothing twice, and all in order.

use super::batch::{Batch, Record, message};
use super::frames::Produced;
use super::sender::{Effect, Ended, Sender};
use super::settings::Settings;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shakedown_reports::record::Outcome;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

const SEEDS: u64 = 4_000;
const PLACES: usize = 3;
const NODES: i32 = 3;
const STEPS: u32 = 600;
const MILLISECOND: u64 = 1_000_000;

/// One partition: its messages, and what it knows of the producer.
#[derive(Default)]
struct Partition {
    log: Vec<u64>,
    producers: BTreeMap<i64, Known>,
}

#[derive(Clone)]
struct Known {
    epoch: i16,
    next: i32,
    /// First number, records, and offset of the last five batches.
    last: VecDeque<(i32, usize, i64)>,
}

impl Partition {
    /// Kafka's code, and the offset.
    fn append(&mut self, batch: &Batch) -> (i16, i64) {
        let bytes = batch.bytes();
        let producer_id = i64::from_be_bytes(bytes[43..51].try_into().expect("eight bytes"));
        let epoch = i16::from_be_bytes(bytes[51..53].try_into().expect("two bytes"));
        let sequence = i32::from_be_bytes(bytes[53..57].try_into().expect("four bytes"));
        let offset = i64::try_from(self.log.len()).expect("small");
        if producer_id >= 0 {
            let records = batch.len();
            let mut known = match self.producers.get(&producer_id).cloned() {
                None => Known { epoch, next: sequence, last: VecDeque::new() },
                Some(known) if epoch < known.epoch => return (47, -1),
                Some(known) if epoch > known.epoch => Known { epoch, next: 0, last: VecDeque::new() },
                Some(known) => known,
            };
            if let Some((_, _, offset)) =
                known.last.iter().find(|(first, count, _)| (*first, *count) == (sequence, records))
            {
                return (0, *offset);
            }
            if sequence != known.next {
                return (45, -1);
            }
            known.next = sequence + i32::try_from(records).expect("small");
            known.last.push_back((sequence, records, offset));
            if known.last.len() > 5 {
                known.last.pop_front();
            }
            self.producers.insert(producer_id, known);
        }
        self.log.extend(batch.messages().iter().map(|message| message.sequence));
        (0, offset)
    }
}

struct Request {
    correlation: i32,
    place: usize,
    batch: Arc<Batch>,
}

/// A connection, or what is left of one that was cut.
#[derive(Default)]
struct Link {
    requests: VecDeque<Request>,
    answers: VecDeque<(i32, Produced)>,
}

struct World {
    chance: ChaCha8Rng,
    now_ns: u64,
    sender: Sender,
    partitions: Vec<Partition>,
    leaders: Vec<i32>,
    links: BTreeMap<i32, Link>,
    /// Requests of connections that were cut, in the order of each.
    late: Vec<(i32, VecDeque<Request>)>,
    asks_leaders: bool,
    asks_id: bool,
    connecting: BTreeSet<i32>,
    ids: i64,
    messages: u64,
    ends: BTreeMap<u64, (Outcome, usize, i64)>,
    healed: bool,
    idempotent: bool,
}

impl World {
    fn new(seed: u64, idempotent: bool) -> Self {
        let mut properties = BTreeMap::from([("message.timeout.ms".to_owned(), "3000".to_owned())]);
        properties.insert("socket.timeout.ms".to_owned(), "1500".to_owned());
        if !idempotent {
            properties.insert("enable.idempotence".to_owned(), "false".to_owned());
        }
        if seed.is_multiple_of(4) {
            properties.insert("retries".to_owned(), "3".to_owned());
        }
        let settings = Settings::new(&properties).expect("allowed");
        Self {
            chance: ChaCha8Rng::seed_from_u64(seed),
            now_ns: 1_000_000_000,
            sender: Sender::new(settings, PLACES),
            partitions: (0..PLACES).map(|_| Partition::default()).collect(),
            leaders: vec![0; PLACES],
            links: BTreeMap::new(),
            late: Vec::new(),
            asks_leaders: false,
            asks_id: false,
            connecting: BTreeSet::new(),
            ids: 100,
            messages: 0,
            ends: BTreeMap::new(),
            healed: false,
            idempotent,
        }
    }

    fn one_in(&mut self, count: u32) -> bool {
        self.chance.random_range(0..count) == 0
    }

    fn settle(&mut self) {
        self.sender.advance(self.now_ns);
        for effect in self.sender.effects() {
            match effect {
                Effect::Connect { node } => drop(self.connecting.insert(node)),
                Effect::Disconnect { node } => self.cut(node, false),
                Effect::Send { node, correlation, place, batch } => {
                    let link = self.links.get_mut(&node).expect("it sends to who is connected");
                    link.requests.push_back(Request { correlation, place, batch });
                }
                Effect::AskLeaders => self.asks_leaders = true,
                Effect::AskProducerId => self.asks_id = true,
            }
        }
        for Ended { place, batch, outcome, base_offset, .. } in self.sender.ended() {
            for (number, message) in (0..).zip(batch.messages()) {
                let before = self.ends.insert(message.sequence, (outcome, place, base_offset + number));
                assert!(before.is_none(), "message {} ended twice", message.sequence);
            }
        }
    }

    /// What was on its way may still arrive.
    fn cut(&mut self, node: i32, tell: bool) {
        if let Some(link) = self.links.remove(&node) {
            self.late.push((node, link.requests));
            if tell {
                self.sender.on_disconnected(node, self.now_ns);
            }
        }
    }

    fn produce(&mut self) {
        let place = self.chance.random_range(0..PLACES);
        let mut batch = Batch::default();
        for _ in 0..self.chance.random_range(1..4) {
            let record = Record { timestamp_ms: 1, key: b"k", value: b"v", header: None };
            batch.push(record, message(self.messages, self.now_ns));
            self.messages += 1;
        }
        self.sender.enqueue(place, Arc::new(batch), self.now_ns);
    }

    fn carry_out(&mut self, node: i32, request: &Request) -> Produced {
        let of = |code, base_offset| Produced { code, base_offset, text: None };
        let is_bad = !self.healed;
        if self.leaders[request.place] != node {
            return of(6, -1);
        }
        if is_bad && self.one_in(12) {
            // NOT_ENOUGH_REPLICAS, MESSAGE_TOO_LARGE, KAFKA_STORAGE_ERROR, NOT_LEADER_OR_FOLLOWER: nothing is written.
            return of([19, 10, 56, 6][self.chance.random_range(0..4)], -1);
        }
        let (code, offset) = self.partitions[request.place].append(&request.batch);
        match code {
            // Written, and yet: NOT_ENOUGH_REPLICAS_AFTER_APPEND, REQUEST_TIMED_OUT, UNKNOWN_SERVER_ERROR, NOT_LEADER_OR_FOLLOWER,
            // KAFKA_STORAGE_ERROR.
            0 if is_bad && self.one_in(8) => of([20, 7, -1, 6, 56][self.chance.random_range(0..5)], -1),
            code => of(code, offset),
        }
    }

    fn step(&mut self) {
        match self.chance.random_range(0..100) {
            0..20 if !self.healed => self.produce(),
            0..45 => {
                let up: Vec<i32> = self.links.keys().copied().collect();
                for node in up {
                    if let Some(request) = self.links.get_mut(&node).and_then(|link| link.requests.pop_front()) {
                        self.sender.on_written(node, request.correlation, self.now_ns);
                        let answer = self.carry_out(node, &request);
                        let link = self.links.get_mut(&node).expect("it is there");
                        link.answers.push_back((request.correlation, answer));
                    }
                }
            }
            45..70 => {
                let up: Vec<i32> = self.links.keys().copied().collect();
                for node in up {
                    if let Some((number, answer)) = self.links.get_mut(&node).and_then(|link| link.answers.pop_front())
                    {
                        assert!(self.sender.on_answer(node, number, answer, self.now_ns), "it was out");
                    }
                }
            }
            70..74 if !self.healed => self.cut(self.leaders[0], true),
            74..77 if !self.healed => {
                let place = self.chance.random_range(0..PLACES);
                self.leaders[place] = self.chance.random_range(0..NODES);
            }
            77..82 if !self.late.is_empty() => {
                let at = self.chance.random_range(0..self.late.len());
                let (node, mut requests) = self.late.swap_remove(at);
                if let Some(request) = requests.pop_front() {
                    self.carry_out(node, &request);
                    self.late.push((node, requests));
                }
            }
            82..90 => self.answer_questions(),
            90..92 if !self.healed => self.now_ns += 700 * MILLISECOND,
            _ => self.now_ns += 20 * MILLISECOND,
        }
        self.settle();
    }

    fn answer_questions(&mut self) {
        if std::mem::take(&mut self.asks_leaders) {
            if !self.healed && self.one_in(3) {
                self.sender.on_no_leaders(self.now_ns);
            } else {
                let led: Vec<_> = self.leaders.iter().copied().enumerate().collect();
                self.sender.on_leaders(led, self.now_ns);
            }
        }
        if std::mem::take(&mut self.asks_id) {
            self.ids += 1;
            let answer = (self.healed || !self.one_in(3)).then_some((self.ids, 0));
            self.sender.on_producer_id(answer, self.now_ns);
        }
        for node in std::mem::take(&mut self.connecting) {
            if !self.healed && self.one_in(4) {
                self.sender.on_disconnected(node, self.now_ns);
            } else {
                self.links.insert(node, Link::default());
                self.sender.on_connected(node);
            }
        }
    }

    fn run(mut self, seed: u64) {
        self.settle();
        for _ in 0..STEPS {
            self.step();
        }
        if seed % 8 == 7 {
            self.sender.purge();
            self.settle();
            assert!(self.sender.is_idle(), "seed {seed}: something is left of what was purged");
        }
        self.healed = true;
        let mut steps = 0;
        while !self.sender.is_idle() {
            self.step();
            steps += 1;
            assert!(steps < 100_000, "seed {seed}: it never ends");
        }
        // And what was late arrives after all, and what was on its way when nobody waited for it any more.
        let on_their_way = std::mem::take(&mut self.links).into_iter().map(|(node, link)| (node, link.requests));
        for (node, requests) in std::mem::take(&mut self.late).into_iter().chain(on_their_way) {
            for request in requests {
                self.carry_out(node, &request);
            }
        }
        self.judge(seed);
    }

    fn judge(&self, seed: u64) {
        let mut written: BTreeMap<u64, u32> = BTreeMap::new();
        for partition in &self.partitions {
            partition.log.iter().for_each(|message| *written.entry(*message).or_insert(0) += 1);
            if self.idempotent {
                assert!(partition.log.is_sorted(), "seed {seed}: out of order: {:?}", partition.log);
            }
        }
        assert_eq!(self.ends.len() as u64, self.messages, "seed {seed}: everything ends");
        for (message, (outcome, place, offset)) in &self.ends {
            let times = written.get(message).copied().unwrap_or(0);
            let log = &self.partitions[*place].log;
            match outcome {
                Outcome::Ok => {
                    assert!(times >= 1, "seed {seed}: {message} was acknowledged, and is lost");
                    let found = usize::try_from(*offset).ok().and_then(|offset| log.get(offset));
                    assert_eq!(found, Some(message), "seed {seed}: {message} is not where the answer said");
                }
                Outcome::Fail => assert_eq!(times, 0, "seed {seed}: {message} failed, and was written"),
                Outcome::Unknown => {}
            }
            if self.idempotent {
                assert!(times <= 1, "seed {seed}: {message} was written {times} times");
            }
        }
    }
}

#[test]
fn whatever_brokers_do_nothing_is_lost_doubled_or_disordered() {
    for seed in 0..SEEDS {
        World::new(seed, true).run(seed);
    }
}

#[test]
fn without_idempotence_an_acknowledgement_is_true_and_so_is_a_failure() {
    for seed in 0..SEEDS {
        World::new(seed, false).run(seed);
    }
}
