//! Brokers come, stay alive by heartbeats, and are fenced when those stop (KIP-631).

use super::Controller;
use crate::io::Event;
use crate::metadata::record::{BrokerRegistration, MetadataRecord};
use crate::peer::ControllerResponse;
use crate::types::{BrokerId, Now, Offset};
use kafka_protocol::error::ResponseError;

impl Controller {
    /// A broker that started. It is fenced until it has seen its own registration; what it had not synced may be lost.
    pub(crate) fn register(&mut self, now: Now, registration: BrokerRegistration) -> ControllerResponse {
        let id = registration.id;
        let epoch = self.next_offset().0;
        if let Some(known) = self.image.brokers.get(&id) {
            if known.incarnation == registration.incarnation {
                // The answer to its first attempt was lost.
                let epoch = Ok(known.epoch);
                self.heard_ns.insert(id, now.monotonic_ns);
                return ControllerResponse::Registered { epoch };
            }
            if !known.fenced && self.is_in_session(now, id) {
                return ControllerResponse::Registered { epoch: Err(ResponseError::DuplicateBrokerRegistration) };
            }
        }
        let was_known = self.image.brokers.contains_key(&id);
        self.append(MetadataRecord::RegisterBroker(BrokerRegistration { epoch, fenced: true, ..registration }));
        self.heard_ns.insert(id, now.monotonic_ns);
        if was_known {
            self.leave_all(id, true);
        }
        ControllerResponse::Registered { epoch: Ok(epoch) }
    }

    /// A broker is there. It may lead once it has replayed the metadata log as far as its own registration.
    pub(crate) fn heartbeat(&mut self, now: Now, id: BrokerId, epoch: i64, metadata_end: Offset) -> ControllerResponse {
        let Some(broker) = self.image.brokers.get(&id).filter(|broker| broker.epoch == epoch) else {
            return ControllerResponse::Alive { fenced: Err(ResponseError::StaleBrokerEpoch) };
        };
        self.heard_ns.insert(id, now.monotonic_ns);
        let fenced = broker.fenced;
        if !fenced || metadata_end.0 <= epoch {
            return ControllerResponse::Alive { fenced: Ok(fenced) };
        }
        let (fenced, in_controlled_shutdown) = (Some(false), false);
        self.append(MetadataRecord::BrokerRegistrationChange { id, epoch, fenced, in_controlled_shutdown });
        self.lead_orphans();
        self.tell(Event::Unfenced(id));
        ControllerResponse::Alive { fenced: Ok(false) }
    }

    fn session_ns(&self) -> u64 {
        u64::try_from(self.config.timing.session_timeout_ms).unwrap_or(0) * 1_000_000
    }

    fn is_in_session(&self, now: Now, id: BrokerId) -> bool {
        let heard_ns = self.heard_ns.get(&id).copied().unwrap_or(0);
        now.monotonic_ns.saturating_sub(heard_ns) < self.session_ns()
    }

    /// The first instant at which a session may be over, as far as is known now: a look at fixed intervals would find
    /// a silent broker late by up to an interval, and for as long its partitions have no leader. One that is heard of
    /// meanwhile moves its end; nobody's comes before this.
    pub(crate) fn first_session_end(&self, now: Now) -> u64 {
        let heard = |id: BrokerId| self.heard_ns.get(&id).copied().unwrap_or(0);
        let longest_silence = self.image.alive().map(|broker| heard(broker.id)).min().unwrap_or(now.monotonic_ns);
        (longest_silence + self.session_ns()).max(now.after_ms(1))
    }

    /// Fences the brokers whose heartbeats stopped.
    pub(crate) fn fence_silent(&mut self, now: Now) {
        let silent = |id: &BrokerId| !self.is_in_session(now, *id);
        let gone: Vec<(BrokerId, i64)> =
            self.image.alive().map(|broker| (broker.id, broker.epoch)).filter(|(id, _)| silent(id)).collect();
        for (id, epoch) in gone {
            let (fenced, in_controlled_shutdown) = (Some(true), false);
            self.append(MetadataRecord::BrokerRegistrationChange { id, epoch, fenced, in_controlled_shutdown });
            self.leave_all(id, false);
        }
    }
}
