//! The stand-ins of a run: a payment provider, a warehouse and a mailbox for services to ask, as `docs/stand-ins.md` says.
//!
//! Reading order: [`all`] (those of a run: opened, told to services, failed on purpose, closed), `server` (one of them on its
//! port, or not), `desk` (what a request comes to, by the contract that all share) with `keys` (what an idempotency key
//! stands for), [`failures`] (what is wrong on purpose), `draw` (whom it is wrong for) and `book` (what is written down);
//! `trade` is what each does for whoever asks: `payment_provider`, `warehouse`, `mailbox`.

pub mod all;
mod book;
mod desk;
mod draw;
pub mod failures;
mod keys;
mod mailbox;
mod payment_provider;
mod server;
mod trade;
mod warehouse;

pub use all::StandIns;
pub use failures::InForce;
