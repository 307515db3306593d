//! A producer of our own, for loads that librdkafka is too slow for.
//!
//! librdkafka takes a lock, a copy and an allocation for each message on its way in and once more on its way out. Here the pacer
//! writes a message once, into the batch that goes over the wire, and everything after that happens to whole batches: they are
//! sent, acknowledged, and recorded with one reading of the clock.
//!
//! What it promises is what Kafka's own clients promise: acks, idempotence with sequences (KIP-98) and a new producer id when
//! they have broken, retries in order, deadlines. What it cannot do (TLS, SASL, transactions, other codecs) is refused by the
//! name of the property ([`settings`]); librdkafka can ([`crate::driver`]).
//!
//! From the pacer to the wire:
//! - [`target`] picks the partition ([`partitioner`], [`layout`]) and puts the message into its open batch ([`accumulator`],
//!   [`batch`]);
//! - [`sender`] decides, without a clock or a socket, what goes where ([`nodes`]), in which order ([`place_queue`]), and what an
//!   answer means ([`error_code`]);
//! - [`io_loop`] carries that out on the lane's delivery thread, over one [`connection`] for each broker, and records how messages
//!   ended; [`control`] asks for leaders and producer ids; [`frames`] knows the bytes of requests.

mod accumulator;
mod batch;
mod connection;
mod control;
mod error_code;
mod frames;
mod io_loop;
mod layout;
mod nodes;
mod partitioner;
mod place_queue;
mod question;
mod sender;
#[cfg(test)]
mod sender_simulation;
mod settings;
mod target;

pub(crate) use io_loop::{DirectClient, DirectClientParts};
pub(crate) use settings::Settings;
pub use settings::SettingsError;
pub(crate) use target::DirectTarget;
