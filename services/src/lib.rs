//! The domain services of the billing and tracker systems, each a process of its own.
//!
//! A service reads environment variables, speaks Kafka and HTTP, and keeps its own store; it knows nothing else.
//! [`run`] starts one by name and blocks until it is told to stop.
//!
//! Reading order: `run` (the life of a process), `service` (which services there are), `config` (the environment),
//! `kafka` (the consumer loop and the producer that all share), `failpoint` (where tests stop a process), then one folder
//! per service: `order`, `transaction`, `notification`, `analytics`, `tracker`. `README.md` beside this crate lists every
//! variable and every path.

mod analytics;
mod clock;
mod config;
mod domain;
mod error;
mod failpoint;
mod http;
mod kafka;
mod malformed;
mod metrics;
mod notification;
mod order;
mod readiness;
mod run;
mod service;
mod stop;
mod store;
mod telemetry;
mod trace;
mod tracker;
mod transaction;
mod worker;

pub use run::run;
pub use service::NAMES;
