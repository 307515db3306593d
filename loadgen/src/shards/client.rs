//! The topic in which shards meet, as one of them uses it.
//!
//! Everything is read from the topic's beginning: it is small, and what was said before this process began decides whether it
//! may. Whoever is refused or gives up says that it is gone, if it can.

use super::meeting::{LEAD, Meeting, MeetingError, Said, Step, Word};
use crate::clock::{RunClock, nanoseconds};
use crate::part::Shard;
use crate::stop::{Patience, StopFlag};
use crate::topic::{self, TopicError};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

/// How long one look at the topic takes.
const LOOK: Duration = Duration::from_millis(50);
/// How long a word may take to be written.
const SAY_TIMEOUT: Duration = Duration::from_secs(10);
/// The partition in which they meet, should the topic have more.
const PARTITION: i32 = 0;

/// Why shards do not meet.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// The meeting refuses this one, or others are missing.
    #[error(transparent)]
    Meeting(#[from] MeetingError),
    /// The topic cannot be looked up.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The topic cannot be written or read.
    #[error("shards cannot meet in topic {topic:?} on {bootstrap}: {source}")]
    Kafka {
        /// The topic.
        topic: String,
        /// Where it is.
        bootstrap: String,
        /// What the client answered.
        source: Box<KafkaError>,
    },
    /// Somebody stopped it.
    #[error("the shard was stopped before all were there")]
    Stopped,
}

/// One shard of one run.
#[derive(Debug, Clone)]
pub struct ShardPlan {
    /// Which of how many.
    pub shard: Shard,
    /// The run's name, the same for all of its shards and for no other run.
    pub run: String,
    /// Where they meet; made where it is not there.
    pub topic: String,
    /// How long the others are waited for.
    pub patience: Duration,
}

impl ShardPlan {
    /// By what messages of this run are told from those of others: the same for all its shards, before they have met.
    #[must_use]
    pub fn run_number(&self) -> u32 {
        let mut digest = crate::digest::Digest::new();
        digest.text(&self.run);
        (digest.value() >> 32) as u32
    }
}

/// A shard at the place where they meet.
pub struct MeetingPlace {
    plan: ShardPlan,
    bootstrap: String,
    clock: RunClock,
    me: String,
    meeting: Meeting,
    producer: BaseProducer,
    consumer: BaseConsumer,
}

impl MeetingPlace {
    /// Connects, and makes the topic if nobody has.
    ///
    /// # Errors
    /// When the cluster cannot be reached within 30 s, or the topic neither be found nor made.
    pub fn open(
        plan: ShardPlan,
        bootstrap: &str,
        client: &BTreeMap<String, String>,
        clock: RunClock,
    ) -> Result<Self, ShardError> {
        let failed = |source| ShardError::Kafka {
            topic: plan.topic.clone(),
            bootstrap: bootstrap.to_owned(),
            source: Box::new(source),
        };
        let (producer, consumer) = connect(&plan, bootstrap, client).map_err(failed)?;
        topic::partitions(producer.client(), bootstrap, &plan.topic)?;
        let me = format!("{:016x}", RandomState::new().build_hasher().finish());
        let meeting = Meeting::new(&plan.run, &me, plan.shard);
        Ok(Self { bootstrap: bootstrap.to_owned(), clock, me, meeting, producer, consumer, plan })
    }

    /// Which shard this is.
    #[must_use]
    pub const fn shard(&self) -> Shard {
        self.plan.shard
    }

    /// Says that this shard can send, and waits until all others have said so; the instant from which schedules count.
    ///
    /// # Errors
    /// When this one is refused, others do not come in time, or somebody raises the flag.
    pub fn meet(&mut self, plan_digest: &str, stop: &StopFlag) -> Result<u64, ShardError> {
        let met = self.wait_for_start(plan_digest, stop);
        if met.is_err() {
            // Why it does not begin says more than that others could not be told.
            drop(self.say(Word::Gone));
        }
        met
    }

    fn wait_for_start(&mut self, plan_digest: &str, stop: &StopFlag) -> Result<u64, ShardError> {
        let (shard, patience) = (self.plan.shard, self.plan.patience);
        self.say(Word::Ready {
            shard: shard.index(),
            of: shard.of(),
            plan: plan_digest.to_owned(),
            until_ns: self.clock.now_ns().saturating_add(nanoseconds(patience)),
        })?;
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if stop.is_stopped() {
                return Err(ShardError::Stopped);
            }
            match self.read()? {
                Step::Wait => {}
                Step::SayStart => self.say(Word::Start { start_ns: self.clock.now_ns() + nanoseconds(LEAD) })?,
                Step::Begin { start_ns } => {
                    let late_ns = self.clock.now_ns().saturating_sub(start_ns);
                    if late_ns > 0 {
                        let (run, late) = (self.plan.run.clone(), Duration::from_nanos(late_ns));
                        return Err(MeetingError::Late { run, late }.into());
                    }
                    return Ok(start_ns);
                }
            }
        }
        let (run, of, missing) = (self.plan.run.clone(), shard.of(), self.meeting.missing());
        Err(MeetingError::Missing { run, of, missing, waited: patience }.into())
    }

    /// Says that this shard sends nothing more, and waits until no other does, for so long at most, and less once somebody stops
    /// the load; whether it is so.
    ///
    /// # Errors
    /// When the topic cannot be written or read.
    pub fn part(&mut self, timeout: Duration, stop: &StopFlag) -> Result<bool, ShardError> {
        self.say(Word::Done)?;
        let mut patience = Patience::new(timeout);
        while !self.meeting.all_done() && !patience.is_over(stop) {
            self.read()?;
        }
        Ok(self.meeting.all_done())
    }

    fn say(&self, word: Word) -> Result<(), ShardError> {
        let said = Said { run: self.plan.run.clone(), process: self.me.clone(), at_ns: self.clock.now_ns(), word };
        let text = serde_json::to_string(&said).expect("it is made of texts and numbers");
        let record = BaseRecord::<str, str>::to(&self.plan.topic).partition(PARTITION).key(&said.run).payload(&text);
        self.producer.send(record).map_err(|(source, _)| self.failed(source))?;
        self.producer.flush(SAY_TIMEOUT).map_err(|source| self.failed(source))
    }

    /// The next word, if there is one within a moment. What is no word at all is somebody else's.
    fn read(&mut self) -> Result<Step, ShardError> {
        let message = match self.consumer.poll(LOOK) {
            None => return Ok(Step::Wait),
            Some(Err(source @ KafkaError::MessageConsumptionFatal(_))) => return Err(self.failed(source)),
            // The client goes on by itself.
            Some(Err(_)) => return Ok(Step::Wait),
            Some(Ok(message)) => message,
        };
        let said = message.payload().and_then(|text| serde_json::from_slice::<Said>(text).ok());
        Ok(said.map_or(Ok(Step::Wait), |said| self.meeting.read(&said))?)
    }

    fn failed(&self, source: KafkaError) -> ShardError {
        let (topic, bootstrap) = (self.plan.topic.clone(), self.bootstrap.clone());
        ShardError::Kafka { topic, bootstrap, source: Box::new(source) }
    }
}

impl std::fmt::Debug for MeetingPlace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MeetingPlace").field("plan", &self.plan).field("me", &self.me).finish_non_exhaustive()
    }
}

fn connect(
    plan: &ShardPlan,
    bootstrap: &str,
    client: &BTreeMap<String, String>,
) -> KafkaResult<(BaseProducer, BaseConsumer)> {
    let mut config = ClientConfig::new();
    config.set("client.id", format!("shakedown-shard-{}-of-{}", plan.shard.index() + 1, plan.shard.of()));
    // What lets a client in (TLS, SASL) is the same for this one; what tunes it is not.
    for (name, value) in
        client.iter().filter(|(name, _)| ["security.", "ssl.", "sasl."].iter().any(|of| name.starts_with(of)))
    {
        config.set(name, value);
    }
    config.set("bootstrap.servers", bootstrap).set("allow.auto.create.topics", "false");
    create(&config, &plan.topic)?;
    let producer =
        config.clone().set("acks", "all").set("enable.idempotence", "true").set("linger.ms", "0").create()?;
    let consumer: BaseConsumer = config
        .set("group.id", "shakedown-shards")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "100")
        .create()?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(&plan.topic, PARTITION, Offset::Beginning)?;
    consumer.assign(&assignment)?;
    Ok((producer, consumer))
}

/// Makes the topic, unless somebody has.
fn create(config: &ClientConfig, topic: &str) -> KafkaResult<()> {
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    // As many copies as the cluster keeps by default.
    let topic = NewTopic::new(topic, 1, TopicReplication::Fixed(-1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| KafkaError::AdminOpCreation(error.to_string()))?;
    let options = AdminOptions::new().request_timeout(Some(SAY_TIMEOUT));
    for created in runtime.block_on(admin.create_topics([&topic], &options))? {
        match created {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(KafkaError::AdminOp(code)),
        }
    }
    Ok(())
}
