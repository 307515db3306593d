//! An open-loop, rate-limited load generator for Kafka, and for the services in front of it, that records every intended,
//! sent and acknowledged instant, and taps that record what comes out of the other end.
//!
//! Reading order:
//! - the plan, pure and fixed by its seed: [`rate`], [`schedule`] (when), [`keys`] and [`workload`] (what, for whom),
//!   [`order_id`] and [`identity_header`] (how a message carries its name), [`plan`] (all of it, with a [`digest`]);
//! - a load over HTTP has its part of the plan in [`http`], what requests say in [`bodies`], and whom to ask in
//!   [`endpoints`];
//! - carrying it out: [`load`] starts the pacer, the client and the thread that takes its answers;
//! - watching: [`tap`] reads a topic by an [`identity_rule`], which turns texts into dense [`names`];
//! - both measure on one [`clock`] and end by a [`stop`] flag;
//! - [`cli`] is the command line of `loadgen` and of `shakedown load`.
//!
//! This crate knows no cluster of ours: it works against any Kafka. It never judges what it records.

pub mod bodies;
mod chance;
pub mod cli;
mod client;
pub mod clock;
mod delivery;
pub mod digest;
pub mod duration_text;
pub mod endpoints;
mod gate;
mod ground;
pub mod http;
mod http_answer;
mod http_client;
pub mod identity_header;
pub mod identity_rule;
pub mod keys;
mod lateness;
pub mod load;
mod meter;
pub mod names;
pub mod order_id;
mod outcome;
mod pacer;
pub mod plan;
mod poisson;
mod portable_math;
mod ramp;
pub mod rate;
mod recorder;
pub mod schedule;
mod slots;
pub mod stop;
pub mod tap;
mod tap_commit_records;
pub mod tap_commits;
mod tap_reader;
mod target;
pub mod topic;
mod topic_target;
pub mod workload;

pub use bodies::BodyForm;
pub use clock::RunClock;
pub use digest::Digest;
pub use endpoints::Endpoints;
pub use http::HttpPlan;
pub use identity_rule::{IdentityRule, JsonRule, ValueRule};
pub use keys::KeySpace;
pub use load::{Load, LoadError, LoadSummary, Progress};
pub use names::Names;
pub use plan::{LoadPlan, PlanError};
pub use rate::Rate;
pub use schedule::{Arrivals, Schedule, Shape};
pub use stop::StopFlag;
pub use tap::{Tap, TapError, TapPlan, TapSummary, Unreadable};
pub use tap_commits::{CommitTap, CommitTapSummary};
pub use topic::TopicError;
pub use workload::KEY_PREFIX;
