//! How a load on topics begins: its clients, one a lane, and what they wait for before the first message is due.

use crate::client::{self, LoadProducer};
use crate::clock::nanoseconds;
use crate::delivery::Answers;
use crate::direct::{DirectClient, DirectClientParts, DirectTarget, Settings};
use crate::driver::Driver;
use crate::ground::{Ground, Lane};
use crate::load::{Load, LoadError, Start};
use crate::part::{Part, Shard};
use crate::plan::{LoadPlan, PlanError};
use crate::ready::Ready;
use crate::slots::Slots;
use crate::target::Target;
use crate::topic;
use crate::topic_target::TopicTarget;
use crate::transactions::{Committer, CommitterParts, Door, HeldAnswers, TransactionPlan, TransactionalTarget};
use rdkafka::producer::Producer;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the cluster may take to let the client begin: coordinators may still be loading.
pub(crate) const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two looks at whether somebody stops a load whose client may not begin yet.
const READY_LOOK: Duration = Duration::from_millis(50);

/// One client of a load, which is there and has not begun.
struct Client<T> {
    lane: Lane,
    /// Says when it may send, provided that its answers are taken.
    ready: Arc<Ready>,
    /// What its thread does.
    answers: Box<dyn FnOnce() + Send>,
    /// The pacer's end of it, of a load that begins so, and a producer with this number.
    target: Box<dyn FnOnce(Start, u16) -> T>,
}

/// Connects the plan's clients, and begins once all of them may send.
pub(crate) fn start(
    plan: &LoadPlan,
    shard: Shard,
    bootstrap: &str,
    ground: Ground,
    meet: impl FnOnce() -> Result<Start, LoadError>,
) -> Result<Load, LoadError> {
    match (plan.driver, &plan.transactions) {
        (Driver::Direct, _) => begin(direct(plan, shard, bootstrap, &ground)?, ground, bootstrap, meet),
        (Driver::Librdkafka, None) => begin(librdkafka(plan, shard, bootstrap, &ground)?, ground, bootstrap, meet),
        (Driver::Librdkafka, Some(transactions)) => {
            let clients = transactional(plan, transactions, shard, bootstrap, &ground)?;
            begin(clients, ground, bootstrap, meet)
        }
    }
}

/// Clients of librdkafka.
fn librdkafka(
    plan: &LoadPlan,
    shard: Shard,
    bootstrap: &str,
    ground: &Ground,
) -> Result<Vec<Client<TopicTarget>>, LoadError> {
    let mut clients = Vec::new();
    for lane in lanes(plan, shard) {
        let slots = Arc::new(Slots::new(client::queue_messages(plan, ground.planned)));
        let producer = client::connect(plan, bootstrap, Arc::clone(&slots), Arc::clone(&ground.recorder));
        let producer = Arc::new(producer.map_err(|source| LoadError::Client(Box::new(source)))?);
        if clients.is_empty() {
            topics(plan, bootstrap, ground, &producer)?;
        }
        let answers = Answers {
            producer: Arc::clone(&producer),
            slots: Arc::clone(&slots),
            recorder: Arc::clone(&ground.recorder),
            state: Arc::clone(&lane.state),
            flush_timeout: plan.flush_timeout,
            stop: ground.stop.clone(),
        };
        clients.push(Client {
            ready: producer.context().ready(),
            answers: Box::new(move || answers.run()),
            target: topic_target(plan, ground, slots, producer),
            lane,
        });
    }
    Ok(clients)
}

/// Clients of librdkafka with transactions.
fn transactional(
    plan: &LoadPlan,
    transactions: &TransactionPlan,
    shard: Shard,
    bootstrap: &str,
    ground: &Ground,
) -> Result<Vec<Client<TransactionalTarget>>, LoadError> {
    ground.recorder.measure_transactions();
    let (span_ns, began_ns) = (ground.span_ns(), ground.clock.now_ns());
    let mut clients = Vec::new();
    for lane in lanes(plan, shard) {
        let number = lane.part.number();
        let slots = Arc::new(Slots::new(client::queue_messages(plan, ground.planned)));
        let (id, held) = (transactions.id_of(began_ns, number), Arc::<HeldAnswers>::default());
        let (of_client, recorder) = (Arc::clone(&slots), Arc::clone(&ground.recorder));
        let producer = client::connect_transactional(plan, bootstrap, of_client, recorder, &id, Arc::clone(&held));
        let producer = Arc::new(producer.map_err(|source| LoadError::Client(Box::new(source)))?);
        if clients.is_empty() {
            topics(plan, bootstrap, ground, &producer)?;
        }
        // A transaction that holds every slot there is would wait for itself.
        let messages_max = transactions.messages.map_or(u64::MAX, u64::from).min(slots.capacity() as u64);
        let door = Arc::new(Door::new(nanoseconds(transactions.every), messages_max));
        let ready = producer.context().ready();
        let committer = Committer::new(CommitterParts {
            producer: Arc::clone(&producer),
            plan: transactions.clone(),
            seed: plan.seed,
            number,
            door: Arc::clone(&door),
            held,
            ready: Arc::clone(&ready),
            slots: Arc::clone(&slots),
            recorder: Arc::clone(&ground.recorder),
            state: Arc::clone(&lane.state),
            clock: ground.clock,
            flush_timeout: plan.flush_timeout,
            stop: ground.stop.clone(),
        });
        let (topics, recorder) = (topic_target(plan, ground, slots, producer), Arc::clone(&ground.recorder));
        clients.push(Client {
            lane,
            ready,
            answers: Box::new(move || committer.run()),
            target: Box::new(move |start, number| {
                door.begin(start.at_ns.saturating_add(span_ns));
                TransactionalTarget::new(topics(start, number), door, recorder)
            }),
        });
    }
    Ok(clients)
}

/// Producers of our own.
fn direct(
    plan: &LoadPlan,
    shard: Shard,
    bootstrap: &str,
    ground: &Ground,
) -> Result<Vec<Client<DirectTarget>>, LoadError> {
    let settings = Settings::new(&plan.client).map_err(PlanError::from)?;
    // librdkafka looks topics up, and at names and values of properties, in its own words: with it, too, what is wrong is
    // found here.
    let known = client::look_up(plan, bootstrap, Arc::clone(&ground.recorder));
    let topics = topics(plan, bootstrap, ground, &known.map_err(|source| LoadError::Client(Box::new(source)))?)?;
    let mut clients = Vec::new();
    for lane in lanes(plan, shard) {
        let client = DirectClient::new(DirectClientParts {
            bootstrap: bootstrap.to_owned(),
            settings: settings.clone(),
            topics: topics.clone(),
            queue_messages: client::queue_messages(plan, ground.planned),
            clock: ground.clock,
            recorder: Arc::clone(&ground.recorder),
            state: Arc::clone(&lane.state),
            flush_timeout: plan.flush_timeout,
            stop: ground.stop.clone(),
        });
        let client = client.map_err(LoadError::Direct)?;
        let target = client.target();
        clients.push(Client {
            lane,
            ready: client.ready(),
            answers: Box::new(move || client.run()),
            target: Box::new(move |start, number| target.named(start.run, number)),
        });
    }
    Ok(clients)
}

/// A lane for each client.
fn lanes(plan: &LoadPlan, shard: Shard) -> impl Iterator<Item = Lane> {
    Part::all(shard, plan.producers).map(Lane::new)
}

/// The pacer's end of a client of librdkafka.
fn topic_target(
    plan: &LoadPlan,
    ground: &Ground,
    slots: Arc<Slots>,
    producer: Arc<LoadProducer>,
) -> Box<dyn FnOnce(Start, u16) -> TopicTarget> {
    let topics = plan.topics().map(str::to_owned).collect();
    let recorder = Arc::clone(&ground.recorder);
    Box::new(move |start, number| TopicTarget::new(producer, recorder, slots, topics, start.run, number))
}

/// Has answers taken, waits until all clients may send and all shards have met, and begins.
fn begin<T>(
    clients: Vec<Client<T>>,
    ground: Ground,
    bootstrap: &str,
    meet: impl FnOnce() -> Result<Start, LoadError>,
) -> Result<Load, LoadError>
where
    T: Target + Send + 'static,
{
    let (mut answering, mut ready, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    for client in clients {
        match ground.spawn("delivery", client.answers) {
            Ok(delivery) => answering.push((client.lane, delivery)),
            Err(error) => return Err(ground.abandon(answering, error)),
        }
        ready.push(client.ready);
        targets.push(client.target);
    }
    let start = match wait_until_ready(&ready, &ground, bootstrap).and_then(|()| meet()) {
        Ok(start) => start,
        Err(error) => return Err(ground.abandon(answering, error)),
    };
    let lanes = answering.into_iter().zip(targets).map(|((lane, delivery), target)| {
        let number = lane.part.number();
        (lane, target(start, number), delivery)
    });
    let lanes = lanes.collect();
    ground.begin(lanes, start.at_ns)
}

/// Every topic, and how many partitions it has, each of them with a leader.
fn topics(
    plan: &LoadPlan,
    bootstrap: &str,
    ground: &Ground,
    producer: &LoadProducer,
) -> Result<Vec<(String, usize)>, LoadError> {
    let mut topics = Vec::new();
    for topic in plan.topics() {
        topics.push((topic.to_owned(), topic::partitions(producer.client(), bootstrap, topic)?));
    }
    if plan.measures_partitions {
        ground.recorder.measure_partitions(topics.iter().map(|(_, partitions)| *partitions).max().unwrap_or(0));
    }
    Ok(topics)
}

/// Waits until all clients may send: their own start is no latency of the system.
fn wait_until_ready(clients: &[Arc<Ready>], ground: &Ground, bootstrap: &str) -> Result<(), LoadError> {
    let deadline = Instant::now() + READY_TIMEOUT;
    for client in clients {
        loop {
            match client.wait(READY_LOOK) {
                Some(Ok(())) => break,
                Some(Err(reason)) => return Err(LoadError::Transactions { bootstrap: bootstrap.to_owned(), reason }),
                None => {}
            }
            if ground.stop.is_stopped() {
                return Err(LoadError::Stopped);
            }
            if Instant::now() >= deadline {
                let last_error = ground.recorder.last_error();
                return Err(LoadError::NotReady { bootstrap: bootstrap.to_owned(), last_error });
            }
        }
    }
    Ok(())
}
