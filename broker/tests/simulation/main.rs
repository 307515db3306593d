//! Whole clusters of pure nodes, simulated: network, disks, clocks, clients and faults drawn from one seed.
//!
//! Reading order: [`lifetime`] (one random lifetime), [`world`] (the event loop), [`nemesis`] (what goes wrong),
//! [`invariants`] (what must hold), [`client`] (who uses the cluster), [`named`] and [`snapshots`] (stories with a name).
//!
//! `SHAKEDOWN_FRESH=1 SHAKEDOWN_SEEDS=2000 cargo test --release -p shakedown-broker --test simulation -- random_lifetimes
//! --nocapture` lives that many fresh lifetimes; `SHAKEDOWN_SEED` sets the first seed, which is otherwise always the same.

mod chance;
mod client;
mod defects;
mod disk;
mod host;
mod invariants;
mod language;
mod lifetime;
mod named;
mod nemesis;
mod network;
mod runner;
mod snapshots;
mod trace;
mod traffic;
mod world;
