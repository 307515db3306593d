//! The taps of a bare load: one or several, each of a topic, and how long they go on reading behind the load's end.
//!
//! Owns what `--tap` says. What one tap does is for [`crate::tap`].

use crate::clock::RunClock;
use crate::identity_rule::{IdentityRule, JsonRule, ValueRule};
use crate::live::Live;
use crate::load::LoadError;
use crate::part::Shard;
use crate::plan::LoadPlan;
use crate::stop::{Patience, StopFlag};
use crate::tap::{self, Tap, TapError, TapPlan, TapSummary};
use crate::topic;
use shakedown_reports::numbers::grouped;
use shakedown_reports::record::{Flow, StreamId, StreamInfo, StreamKind};
use shakedown_reports::{DirectoryError, RunDirectory, RunInfo};
use std::collections::BTreeSet;
use std::mem;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

/// The load's own stream; those of taps follow.
const LOAD_STREAM: StreamId = 0;
/// Between two looks at taps that still read.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A topic to tap: `TOPIC`, where messages have the load's header or begin with its bytes, `TOPIC:/POINTER`, where they are JSON and
/// this pointer (RFC 6901) leads to the order's id, or nothing: the load's own topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TapArgument {
    /// The load's own.
    Own,
    /// Another one.
    Other {
        /// Its name.
        topic: String,
        /// Where the identity of a message is.
        identity: IdentityRule,
    },
}

/// A topic to tap that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{received:?} is no topic to tap: write TOPIC, or TOPIC:/POINTER, as in \"payments:/order_id\"")]
pub struct TapArgumentError {
    /// The text received.
    received: String,
}

impl FromStr for TapArgument {
    type Err = TapArgumentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self::Own);
        }
        let (name, pointer) = text.split_once(':').map_or((text, None), |(name, pointer)| (name, Some(pointer)));
        if !topic::is_name(name) || pointer.is_some_and(|pointer| !pointer.starts_with('/')) {
            return Err(TapArgumentError { received: text.to_owned() });
        }
        let json = |pointer: &str| {
            IdentityRule::Json(JsonRule { identity: pointer.to_owned(), value: ValueRule::None, intended_us: None })
        };
        Ok(Self::Other { topic: name.to_owned(), identity: pointer.map_or(IdentityRule::Header, json) })
    }
}

/// What is to be tapped, each topic once, in the order in which it was asked for: its name, where identities are, and whether the
/// load itself is offered there.
fn topics(asked: &[TapArgument], load: &LoadPlan) -> Vec<(String, IdentityRule, bool)> {
    let mut named = BTreeSet::new();
    let each = asked.iter().flat_map(|tap| match tap {
        TapArgument::Own => load.topics().map(|topic| (topic.to_owned(), IdentityRule::Header)).collect(),
        TapArgument::Other { topic, identity } => vec![(topic.clone(), identity.clone())],
    });
    let each = each.map(|(topic, identity)| {
        let own = load.topics().any(|own| own == topic);
        (topic, identity, own)
    });
    each.filter(|(topic, ..)| named.insert(topic.clone())).collect()
}

/// Whether these taps can be had together.
///
/// # Errors
/// When a topic is to be read by two rules.
pub(crate) fn validate(asked: &[TapArgument], load: &LoadPlan) -> Result<(), TapsError> {
    let topics = topics(asked, load);
    let rule = |tapped: &str| topics.iter().find(|(topic, ..)| topic == tapped).map(|(_, identity, _)| identity);
    let twice = asked.iter().find_map(|tap| match tap {
        TapArgument::Other { topic, identity } if rule(topic).is_some_and(|rule| rule != identity) => Some(topic),
        _ => None,
    });
    twice.map_or(Ok(()), |topic| Err(TapsError::TwoRules { topic: topic.clone() }))
}

/// Adds the streams of these taps to what a run says of itself, and that the load flows into each.
pub(crate) fn describe(asked: &[TapArgument], load: &LoadPlan, info: &mut RunInfo) {
    for (stream, (name, ..)) in (LOAD_STREAM + 1..).zip(topics(asked, load)) {
        info.streams.push(StreamInfo { name, kind: StreamKind::Topic });
        info.flows.push(Flow { from: LOAD_STREAM, to: stream });
    }
}

/// Why topics could not be tapped.
#[derive(Debug, thiserror::Error)]
pub enum TapsError {
    /// One of them.
    #[error(transparent)]
    Tap(#[from] TapError),
    /// The load has no plan.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The record cannot be written.
    #[error(transparent)]
    Record(#[from] DirectoryError),
    /// A topic has one tap.
    #[error("topic {topic:?} is to be tapped by two rules: write --tap with it once")]
    TwoRules {
        /// The topic.
        topic: String,
    },
}

/// Taps that run.
pub(crate) struct Taps {
    taps: Vec<OneTap>,
    stop: StopFlag,
}

struct OneTap {
    topic: String,
    tap: Tap,
    /// What it will hold is there by the load's end, as far as anybody can tell: the load is offered there.
    ends_with_load: bool,
}

impl Taps {
    /// Begins to read these.
    pub(crate) fn start(
        asked: &[TapArgument],
        load: &LoadPlan,
        shard: Shard,
        bootstrap: &str,
        clock: RunClock,
        directory: &RunDirectory,
    ) -> Result<Self, TapsError> {
        let total = load.total().map_err(LoadError::from)?;
        let mut taps = Self { taps: Vec::new(), stop: StopFlag::new() };
        for (stream, (topic, identity, own)) in (LOAD_STREAM + 1..).zip(topics(asked, load)) {
            let mut plan = TapPlan::new(stream, &topic, identity, load.seed, total);
            plan.run = Some(load.run);
            // JSON does not say which run it is of.
            plan.from_end = plan.identity != IdentityRule::Header;
            plan.counts_planned = !own;
            plan.shard = shard;
            plan.measures_partitions = load.measures_partitions;
            let (deliveries, interner) = (directory.delivery_writer(stream)?, directory.interner());
            let stop = taps.stop.clone();
            let tap = Tap::start(plan, bootstrap, clock, deliveries, interner, directory.interval_log(), stop)?;
            // Of several shards none knows how much of another's load there is to come.
            taps.taps.push(OneTap { topic, tap, ends_with_load: own || shard != Shard::WHOLE });
        }
        Ok(taps)
    }

    /// Shows what they measure.
    pub(crate) fn watch(&self, live: &Live) {
        self.taps.iter().for_each(|tap| live.watch(tap.tap.gauges()));
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.taps.is_empty()
    }

    /// Waits until they have read their topics to the end, and those that somebody else writes to have seen as many of the load's
    /// messages as were acknowledged; but no longer than nothing new has come for so long, or, once somebody has stopped the load,
    /// its patience is over. What is missing then, in words.
    pub(crate) fn drain(
        &self,
        bootstrap: &str,
        acknowledged: u64,
        timeout: Duration,
        stop: &StopFlag,
    ) -> Result<Vec<String>, TapsError> {
        let mut missing = Vec::new();
        for OneTap { topic, tap, ends_with_load } in &self.taps {
            let all_came = |tap: &Tap| *ends_with_load || tap.planned() >= acknowledged;
            // What others write to the topic, of other loads, is nothing to wait for.
            if wait(tap, timeout, stop, Tap::planned, all_came) {
                let ends = tap::high_watermarks(bootstrap, topic)?;
                if !wait(tap, timeout, stop, Tap::positions, |tap| tap.drained(&ends)) {
                    missing.push(format!("the tap had not read all that topic {topic} holds when its time was up"));
                }
            } else {
                let (seen, all) = (grouped(tap.planned()), grouped(acknowledged));
                missing
                    .push(format!("topic {topic} had {seen} messages of the load, of which {all} were acknowledged"));
            }
        }
        Ok(missing)
    }

    /// Ends them, and closes their records.
    pub(crate) fn join(mut self) -> Result<Vec<TapSummary>, TapsError> {
        self.stop.stop();
        let taps = mem::take(&mut self.taps).into_iter();
        let summaries: Vec<Result<TapSummary, TapError>> = taps.map(|tap| tap.tap.join()).collect();
        Ok(summaries.into_iter().collect::<Result<_, _>>()?)
    }
}

/// Waits for something of a tap, until it has ended, or patience is over, which is renewed with each progress; whether it came.
fn wait<P: PartialEq>(
    tap: &Tap,
    timeout: Duration,
    stop: &StopFlag,
    progress: impl Fn(&Tap) -> P,
    has_come: impl Fn(&Tap) -> bool,
) -> bool {
    let (mut patience, mut before) = (Patience::new(timeout), progress(tap));
    while !has_come(tap) {
        if tap.is_finished() || patience.is_over(stop) {
            return has_come(tap);
        }
        thread::sleep(LOOK_EVERY);
        let now = progress(tap);
        if now != before && !stop.is_stopped() {
            (patience, before) = (Patience::new(timeout), now);
        }
    }
    true
}

/// Taps that were not told to end have nobody who reads what they see.
impl Drop for Taps {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeySpace;
    use crate::schedule::{Arrivals, Shape};

    fn parse(text: &str) -> Result<TapArgument, String> {
        text.parse().map_err(|error: TapArgumentError| error.to_string())
    }

    #[test]
    fn a_tap_is_the_loads_own_topic_or_another_with_a_rule() {
        assert_eq!(parse(""), Ok(TapArgument::Own));
        let other = TapArgument::Other { topic: "payments".to_owned(), identity: IdentityRule::Header };
        assert_eq!(parse("payments"), Ok(other));
        let rule = JsonRule { identity: "/order_id".to_owned(), value: ValueRule::None, intended_us: None };
        let other = TapArgument::Other { topic: "payments".to_owned(), identity: IdentityRule::Json(rule) };
        assert_eq!(parse("payments:/order_id"), Ok(other));
        for text in [":/order_id", "pay ments", "payments:order_id", "payments:"] {
            let error = parse(text).expect_err("refused");
            assert!(error.starts_with(&format!("{text:?} is no topic to tap: write TOPIC")), "{error}");
        }
    }

    #[test]
    fn every_topic_is_tapped_once_and_known_for_whose_it_is() {
        let rate = "500/s".parse().expect("a rate");
        let arrivals = Arrivals { shape: Shape::Constant, rate, duration: Duration::from_secs(1) };
        let load = LoadPlan::new(1, 1, "orders", arrivals, KeySpace::uniform(10));
        let asked: Vec<TapArgument> =
            ["payments", "", "orders", "payments"].iter().map(|text| text.parse().expect("a tap")).collect();
        let tapped: Vec<(String, bool)> = topics(&asked, &load).into_iter().map(|(name, _, own)| (name, own)).collect();
        assert_eq!(tapped, [("payments".to_owned(), false), ("orders".to_owned(), true)]);
        assert!(validate(&asked, &load).is_ok());
        let two = ["payments", "payments:/order_id"].map(|text| text.parse().expect("a tap"));
        let error = validate(&two, &load).expect_err("which of them?").to_string();
        assert!(error.starts_with("topic \"payments\" is to be tapped by two rules"), "{error}");
        let mut info = RunInfo::new("load", 1);
        info.streams.push(StreamInfo { name: "load".to_owned(), kind: StreamKind::Load });
        describe(&asked, &load, &mut info);
        assert_eq!(
            info.streams.iter().map(StreamInfo::label).collect::<Vec<_>>(),
            ["load", "topic payments", "topic orders"]
        );
        assert_eq!(info.flows, [Flow { from: 0, to: 1 }, Flow { from: 0, to: 2 }]);
    }
}
