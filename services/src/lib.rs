//! The domain services of the billing, storefront, fanout, platform and tracker systems, each a process of its own.
//!
//! A service reads environment variables, speaks Kafka and HTTP, and keeps its own store; it knows nothing else.
//! [`run`] starts one by name and blocks until it is told to stop.
//!
//! Reading order: `run` (the life of a process), `service` (which services there are), `config` (the environment), `modes`
//! (what protects a service), `kafka` (the consumer loop and the producers that all share), `store`, `outbox`, `inbox`,
//! `outside` (other people's HTTP APIs), `gathering` (how often a batch begins), `work` (all of these together: what an event
//! asks for, done once), `failpoint` (where tests stop a process), then one folder per service: `order`, `transaction`,
//! `notification`, `analytics`, `tracker`, and those of `shop`. `README.md` beside this crate lists every variable and every path.

mod analytics;
mod breaker;
mod cache;
mod clock;
mod config;
mod domain;
mod error;
mod failpoint;
mod gathering;
mod http;
mod ids;
mod inbox;
mod kafka;
mod malformed;
mod metrics;
mod modes;
mod notification;
mod order;
mod outbox;
mod outside;
mod readiness;
mod run;
mod service;
mod shop;
mod stop;
mod store;
mod telemetry;
mod trace;
mod tracker;
mod transaction;
mod work;
mod worker;

pub use failpoint::names as failpoints;
pub use run::run;
pub use service::{NAMES, keeps_store, systems};
