//! How a load on topics begins: its clients, one a lane, and what they wait for before the first message is due.

use crate::client::{self, LoadProducer};
use crate::delivery::Answers;
use crate::direct::{DirectClient, DirectClientParts, Settings};
use crate::ground::{Delivery, Ground, Lane, spawn};
use crate::load::{Load, LoadError, Start};
use crate::part::{Part, Shard};
use crate::plan::LoadPlan;
use crate::ready::Ready;
use crate::topic;
use crate::topic_target::TopicTarget;
use rdkafka::producer::Producer;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the cluster may take to let the client begin: coordinators may still be loading.
pub(crate) const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two looks at whether somebody stops a load whose client may not begin yet.
const READY_LOOK: Duration = Duration::from_millis(50);

/// With librdkafka.
pub(crate) fn start(
    plan: &LoadPlan,
    shard: Shard,
    bootstrap: &str,
    ground: Ground,
    meet: impl FnOnce() -> Result<Start, LoadError>,
) -> Result<Load, LoadError> {
    let mut clients = Vec::new();
    for part in Part::all(shard, plan.producers) {
        let lane = ground.lane(part, |total| client::slots_of(plan, total));
        let connected = client::connect(plan, bootstrap, Arc::clone(&lane.slots), Arc::clone(&ground.recorder));
        let producer = connected.map_err(|source| LoadError::Client(Box::new(source)))?;
        clients.push((lane, Arc::new(producer)));
    }
    if let Some((_, producer)) = clients.first() {
        topics(plan, bootstrap, &ground, producer)?;
    }
    let mut answering = Vec::new();
    let mut producers = Vec::new();
    for (lane, producer) in clients {
        match answer(&ground, plan, &lane, &producer) {
            Ok(delivery) => answering.push((lane, delivery)),
            Err(error) => return Err(ground.abandon(answering, error)),
        }
        producers.push(producer);
    }
    let ready = producers.iter().map(|producer| producer.context().ready());
    let start = match wait_until_ready(ready, &ground, bootstrap).and_then(|()| meet()) {
        Ok(start) => start,
        Err(error) => return Err(ground.abandon(answering, error)),
    };
    let lanes = answering.into_iter().zip(producers).map(|((lane, delivery), producer)| {
        let topics = plan.topics().map(str::to_owned).collect();
        let number = lane.part.number();
        let (recorder, slots) = (Arc::clone(&ground.recorder), Arc::clone(&lane.slots));
        (lane, TopicTarget::new(producer, recorder, slots, topics, start.run, number), delivery)
    });
    let lanes = lanes.collect();
    ground.begin(lanes, start.at_ns)
}

/// With the producer of our own.
pub(crate) fn start_direct(
    plan: &LoadPlan,
    shard: Shard,
    bootstrap: &str,
    ground: Ground,
    meet: impl FnOnce() -> Result<Start, LoadError>,
) -> Result<Load, LoadError> {
    let settings = Settings::new(&plan.client).map_err(crate::plan::PlanError::from)?;
    let lanes = Part::all(shard, plan.producers).map(|part| ground.lane(part, |total| client::slots_of(plan, total)));
    let lanes: Vec<Lane> = lanes.collect();
    // librdkafka looks topics up, and at names and values of properties, in its own words: with it, too, what is wrong is
    // found here.
    let topics = match lanes.first() {
        Some(lane) => {
            let (slots, recorder) = (Arc::clone(&lane.slots), Arc::clone(&ground.recorder));
            let client = client::look_up(plan, bootstrap, slots, recorder);
            let client = client.map_err(|source| LoadError::Client(Box::new(source)))?;
            topics(plan, bootstrap, &ground, &client)?
        }
        None => Vec::new(),
    };
    let mut answering = Vec::new();
    let mut clients = Vec::new();
    for lane in lanes {
        let client = DirectClient::new(DirectClientParts {
            bootstrap: bootstrap.to_owned(),
            settings: settings.clone(),
            topics: topics.clone(),
            clock: ground.clock,
            slots: Arc::clone(&lane.slots),
            recorder: Arc::clone(&ground.recorder),
            state: Arc::clone(&lane.state),
            flush_timeout: plan.flush_timeout,
            stop: ground.stop.clone(),
        });
        let started = client.map_err(LoadError::Direct).and_then(|client| {
            let ends = (client.target(), client.ready());
            spawn("delivery", move || client.run()).map(|delivery| (ends, delivery))
        });
        match started {
            Ok((ends, delivery)) => {
                clients.push(ends);
                answering.push((lane, delivery));
            }
            Err(error) => return Err(ground.abandon(answering, error)),
        }
    }
    let ready = clients.iter().map(|(_, ready)| Arc::clone(ready));
    let start = match wait_until_ready(ready, &ground, bootstrap).and_then(|()| meet()) {
        Ok(start) => start,
        Err(error) => return Err(ground.abandon(answering, error)),
    };
    let lanes = answering.into_iter().zip(clients).map(|((lane, delivery), (target, _))| {
        let number = lane.part.number();
        (lane, target.named(start.run, number), delivery)
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

/// Starts the thread that takes one client's answers.
fn answer(ground: &Ground, plan: &LoadPlan, lane: &Lane, producer: &Arc<LoadProducer>) -> Result<Delivery, LoadError> {
    let answers = Answers {
        producer: Arc::clone(producer),
        slots: Arc::clone(&lane.slots),
        recorder: Arc::clone(&ground.recorder),
        state: Arc::clone(&lane.state),
        flush_timeout: plan.flush_timeout,
        stop: ground.stop.clone(),
    };
    spawn("delivery", move || answers.run())
}

/// Waits until all clients may send: their own start is no latency of the system.
fn wait_until_ready(
    clients: impl Iterator<Item = Arc<Ready>>,
    ground: &Ground,
    bootstrap: &str,
) -> Result<(), LoadError> {
    let deadline = Instant::now() + READY_TIMEOUT;
    for client in clients {
        while !client.wait(READY_LOOK) {
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
