//! Faults in the protocol: requests that are refused, applied without a reply, held back, applied twice or throttled,
//! by rules of whoever tests a client.
//!
//! Owns the rules and what they do to requests and replies, between the connections and the nodes. The nodes know nothing
//! of it: what a rule lets through is served as Kafka serves it. Broken processes, links, clocks and disks belong to
//! whoever drives the nodes.

mod about;
mod interceptor;
mod refusal;
mod rule;
mod rules;
mod throttle;

pub use interceptor::{Admission, Departure, Interceptor, Released};
pub use rule::{Effect, Rule, RuleId, Selector};
