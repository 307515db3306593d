//! An open-loop, rate-limited load generator for Kafka, and for the services in front of it, that records every intended,
//! sent and acknowledged instant, and taps that record what comes out of the other end.
//!
//! Reading order:
//! - the plan, pure and fixed by its seed: [`rate`], [`arrivals`], [`replay`] and [`schedule`] (when), [`keys`], [`workload`],
//!   [`payload`] and [`byte_sizes`] (what, for whom), [`order_id`] and [`identity_header`] (how a message carries its name),
//!   [`plan`] (all of it, with a [`digest`]); [`compression`] measures what its payloads come to;
//! - a load over HTTP has its part of the plan in [`http`], what requests say in [`bodies`], and whom to ask in
//!   [`endpoints`];
//! - carrying it out: [`load`] starts the pacer, the client (which one says the [`driver`]; [`direct`] is our own) and the thread that
//!   takes its answers; [`transactions`] are begun, committed and aborted there;
//! - watching: [`tap`] reads a topic by an [`identity_rule`], which turns texts into dense [`names`]; [`taps`] are those of a bare load;
//! - several processes that offer one plan are [`shards`]; a plan's [`part`] is what one client of them offers;
//! - both measure on one [`clock`] and end by a [`stop`] flag;
//! - [`sampler`] reads what all of that costs the machine, and [`honesty`] says whether the generator was fit to measure;
//! - [`live`] is what is known while it goes on, [`exposition`] its text for Prometheus, [`metrics_server`] who serves it;
//! - [`ceiling`] searches for the highest rate that holds a service level;
//! - [`cli`] is the command line of `loadgen` and of `shakedown load`.
//!
//! This crate knows no cluster of ours: it works against any Kafka. It never judges what it records.

pub mod arrivals;
pub mod beside;
pub mod bodies;
mod burst;
pub mod byte_sizes;
pub mod ceiling;
mod chance;
pub mod cli;
mod client;
pub mod clock;
pub mod command_report;
pub mod compression;
mod delivery;
pub mod digest;
pub mod direct;
pub mod driver;
pub mod duration_text;
pub mod endpoints;
pub mod exposition;
mod fraction;
mod gate;
#[cfg(test)]
mod goodness;
mod ground;
pub mod honesty;
pub mod http;
mod http_answer;
mod http_client;
pub mod identity_header;
pub mod identity_rule;
mod intensity;
pub mod keys;
mod lateness;
pub mod live;
pub mod load;
pub mod meter;
pub mod metrics_server;
pub mod names;
#[cfg(test)]
mod open_loop;
pub mod order_id;
mod outcome;
mod pacer;
pub mod part;
pub mod payload;
pub mod plan;
pub mod plan_arguments;
mod plan_digest;
mod poisson;
mod portable_math;
mod ramp;
pub mod rate;
mod ready;
mod recorder;
pub mod replay;
pub mod sampler;
pub mod schedule;
pub mod shards;
pub mod signals;
mod slots;
mod steps;
pub mod stop;
pub mod tap;
mod tap_commit_records;
pub mod tap_commits;
mod tap_reader;
pub mod taps;
mod target;
pub mod topic;
mod topic_load;
mod topic_target;
pub mod transactions;
mod turn;
pub mod workload;

pub use bodies::BodyForm;
pub use byte_sizes::ByteSizes;
pub use clock::RunClock;
pub use digest::Digest;
pub use driver::Driver;
pub use endpoints::Endpoints;
pub use http::HttpPlan;
pub use identity_rule::{IdentityRule, JsonRule, ValueRule};
pub use keys::{HotSet, KeyDraw, KeySpace};
pub use live::{Gauges, Live};
pub use load::{Load, LoadError, LoadSummary, Progress, Start};
pub use metrics_server::{MetricsAddress, MetricsServer};
pub use names::Names;
pub use part::Shard;
pub use payload::PayloadPlan;
pub use plan::{LoadPlan, PlanError};
pub use rate::Rate;
pub use replay::{Recording, Speed};
pub use sampler::Sampler;
pub use schedule::{Arrivals, Bursts, Process, Schedule, Shape, Step};
pub use stop::StopFlag;
pub use tap::{Tap, TapError, TapPlan, TapSummary, Unreadable};
pub use tap_commits::{CommitTap, CommitTapSummary};
pub use topic::TopicError;
pub use transactions::{TransactionError, TransactionPlan};
pub use workload::KEY_PREFIX;
