//! The ceiling of a topic of any Kafka cluster: each trial is a load on it. The topic must exist, is filled, and is neither
//! emptied nor deleted.

use super::generator;
use super::measuring::OwnAccount;
use super::subject::{self, Carried, CeilingError, Subject};
use super::{ServiceLevel, Trial};
use crate::clock::RunClock;
use crate::driver::Driver;
use crate::keys::KeySpace;
use crate::load::Load;
use crate::plan::LoadPlan;
use crate::rate::Rate;
use crate::schedule::{Arrivals, Shape};
use crate::stop::StopFlag;
use crate::workload::KEY_PREFIX;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use serde::{Deserialize, Serialize};
use shakedown_reports::numbers::grouped;
use shakedown_reports::record::{StreamInfo, StreamKind};
use shakedown_reports::{Ending, RunDirectory, RunInfo, Summary};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// How many keys there are, as in `shakedown load`.
const USERS: u32 = 1_000;
/// For the question how many brokers and partitions there are.
const ANSWER: Duration = Duration::from_secs(15);

/// Which topic, and with which client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicAt {
    /// Where its cluster is.
    pub bootstrap: String,
    /// The topic.
    pub topic: String,
    /// Properties of librdkafka.
    pub client: BTreeMap<String, String>,
    /// The client. A search of before there were two of them has librdkafka.
    #[serde(default)]
    pub driver: Driver,
}

/// A topic that is offered more and more.
#[derive(Debug)]
pub struct TopicSubject {
    /// Which.
    pub at: TopicAt,
    /// Fixes keys and payloads.
    pub seed: u64,
    /// What has to hold.
    pub level: ServiceLevel,
    /// Where run directories go.
    pub output: PathBuf,
    /// Ends a trial.
    pub interrupt: StopFlag,
    /// Whether operations are kept.
    pub keep_records: bool,
}

impl TopicAt {
    /// A load on it.
    pub(super) fn plan(&self, seed: u64, run: u32, rate: u64, duration: Duration) -> Result<LoadPlan, CeilingError> {
        let arrivals = Arrivals { shape: Shape::Constant, rate: Rate::per_second(rate)?, duration };
        let keys = KeySpace::uniform(USERS);
        let (client, driver) = (self.client.clone(), self.driver);
        Ok(LoadPlan { client, driver, ..LoadPlan::new(seed, run, &self.topic, arrivals, keys) })
    }
}

impl TopicSubject {
    fn directory(&self, scenario: &str) -> Result<RunDirectory, CeilingError> {
        let mut info = RunInfo::new(scenario, self.seed);
        "external".clone_into(&mut info.backend);
        KEY_PREFIX.clone_into(&mut info.key_prefix);
        info.versions.insert("shakedown".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        info.versions.insert("librdkafka".to_owned(), rdkafka::util::get_rdkafka_version().1);
        info.streams.push(StreamInfo { name: "load".to_owned(), kind: StreamKind::Load });
        Ok(RunDirectory::create(&self.output, &info)?)
    }

    /// How many brokers there are, and how many partitions the topic has.
    fn size(&self) -> Result<(u32, i32), CeilingError> {
        let ask = || -> rdkafka::error::KafkaResult<(u32, i32)> {
            let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &self.at.bootstrap).create()?;
            let metadata = client.fetch_metadata(Some(&self.at.topic), ANSWER)?;
            let partitions = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
            let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            Ok((count(metadata.brokers().len()), i32::try_from(partitions).unwrap_or(i32::MAX).max(1)))
        };
        ask().map_err(|error| CeilingError::Unsuitable(format!("{} does not answer: {error}", self.at.bootstrap)))
    }
}

impl Subject for TopicSubject {
    fn name(&self) -> String {
        format!("topic {} at {}", self.at.topic, self.at.bootstrap)
    }

    fn carry_out(&self, trial: &Trial) -> Result<Carried, CeilingError> {
        let clock = RunClock::start();
        // Runs on one topic are told apart by the second in which they began.
        let run = u32::try_from(clock.now_ns() / 1_000_000_000).unwrap_or(u32::MAX);
        let plan = self.at.plan(self.seed, run, trial.rate, trial.warm_up + trial.length)?;
        let directory = self.directory(&format!("ceiling {}", self.at.topic))?;
        let (operations, intervals) = (directory.operation_writer()?, directory.interval_log());
        let stop = self.interrupt.for_part();
        let summary = Load::start(&plan, &self.at.bootstrap, clock, operations, intervals, stop)?.join()?;
        if self.interrupt.is_stopped() {
            return Err(CeilingError::Interrupted);
        }
        let lateness_p99_ns = summary.progress.lateness_p99_ns;
        let ending = Ending { drained: true, lateness_p99_ns: Some(lateness_p99_ns), ..Ending::default() };
        directory.write_ending(&ending)?;
        let mut account = Summary::default();
        let (offered, acknowledged) = (summary.progress.offered, summary.progress.acknowledged);
        account.line("load", format!("{} messages offered, {} acknowledged", grouped(offered), grouped(acknowledged)));
        directory.write_summary(&account)?;
        let own = OwnAccount { lateness_p99_ns, planned: summary.progress.planned };
        let measured = subject::figures(directory.path(), trial, self.level, &own, self.keep_records)?;
        Ok(Carried { measured, directory: directory.path().to_owned() })
    }

    fn generator(&self, length: Duration) -> Result<Option<u64>, CeilingError> {
        let size = self.size()?;
        let plan = self.at.plan(self.seed, 1, 1, length)?;
        let directory = self.directory(&format!("generator for {}", self.at.topic))?;
        let rate = generator::measure(&plan, size, length, RunClock::start(), &directory, &self.interrupt);
        subject::discard_bulk(directory.path());
        if self.interrupt.is_stopped() { Err(CeilingError::Interrupted) } else { Ok(Some(rate?)) }
    }
}
