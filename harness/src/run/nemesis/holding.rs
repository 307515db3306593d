//! Where the load waits for faults that count its messages.
//!
//! The embedded cluster strikes in the very step in which the n-th message was produced. Other back ends see that at their
//! next look, when dozens more may be there: so the load waits behind the n-th message until it was seen, and the fault
//! strikes between the same two messages everywhere.

use super::Nemesis;

impl Nemesis<'_> {
    /// Behind how many messages the load is to wait, if so. Never where the scenario measures time: a load that waits is
    /// no open loop.
    #[must_use]
    pub fn holds_load_at(&self) -> Option<u64> {
        let scenario = &self.session.plan.scenario;
        let topics = scenario.load.target.topics();
        let measures_time = !scenario.expect.latency.is_empty() || scenario.expect.unavailable.is_some();
        if measures_time || self.cluster.inside().is_some() {
            return None;
        }
        // Of several topics each in turn gets the next message.
        let behind = |(place, topic): (u64, &String)| {
            let nth = self.pending.iter().filter_map(|pending| pending.awaits_messages_in(topic)).min()?;
            Some((nth.saturating_sub(1)).saturating_mul(topics.len() as u64).saturating_add(place + 1))
        };
        (0..).zip(topics).filter_map(behind).min()
    }
}
