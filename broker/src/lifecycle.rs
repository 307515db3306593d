//! A broker's life in the cluster (KIP-631): it registers, is fenced until it has caught up with the metadata, and from
//! then on tells the controller that it is there.

use crate::controller::requests::Purpose;
use crate::io::Event;
use crate::metadata::record::BrokerRegistration;
use crate::node::Node;
use crate::peer::{ControllerRequest, ControllerResponse};
use crate::timers::Timer;
use crate::types::Now;
use kafka_protocol::protocol::StrBytes;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use uuid::Uuid;

/// How long a broker waits before it tries to register again.
const REGISTER_AGAIN_MS: i64 = 20;

/// Where a broker is in its life.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    /// Drawn at every start: by it the controller tells a restart from a repeated request.
    incarnation: Uuid,
    /// What the controller counts this incarnation as; `None` until it is registered.
    pub(crate) epoch: Option<i64>,
    /// Whether it has caught up with the metadata once: before that it has no partitions and serves nobody.
    pub(crate) published: bool,
    /// Whether the controller takes it for alive.
    unfenced: bool,
    /// Whether an answer is outstanding.
    waiting: bool,
}

impl Lifecycle {
    pub(crate) fn new(rng: &mut ChaCha8Rng) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        let incarnation = uuid::Builder::from_random_bytes(bytes).into_uuid();
        Self { incarnation, epoch: None, published: false, unfenced: false, waiting: false }
    }
}

impl Node {
    pub(crate) fn start_lifecycle(&mut self, now: Now) {
        if self.config.is_broker {
            self.register(now);
        }
    }

    fn register(&mut self, now: Now) {
        self.lifecycle.waiting = true;
        let registration = BrokerRegistration {
            id: self.config.id,
            epoch: -1,
            incarnation: self.lifecycle.incarnation,
            host: StrBytes::from_string(self.config.host.clone()),
            port: self.config.port,
            rack: self.config.rack.clone().map(StrBytes::from_string),
            fenced: true,
            in_controlled_shutdown: false,
        };
        self.ask_controller(now, ControllerRequest::Register(registration), Purpose::Lifecycle);
    }

    fn heartbeat(&mut self, now: Now, epoch: i64) {
        self.lifecycle.waiting = true;
        let metadata_end = self.image.end;
        self.ask_controller(now, ControllerRequest::Heartbeat { epoch, metadata_end }, Purpose::Lifecycle);
    }

    /// It is time for a heartbeat, or for another attempt to register.
    pub(crate) fn on_heartbeat_timer(&mut self, now: Now) {
        // While an answer is outstanding the request is sent again by itself.
        match self.lifecycle.epoch {
            _ if self.lifecycle.waiting => self.timers.set(Timer::Heartbeat, self.next_heartbeat(now)),
            Some(epoch) => self.heartbeat(now, epoch),
            None => self.register(now),
        }
    }

    fn next_heartbeat(&self, now: Now) -> u64 {
        now.after_ms(self.config.timing.heartbeat_interval_ms)
    }

    pub(crate) fn on_lifecycle_response(&mut self, now: Now, response: &ControllerResponse) {
        self.lifecycle.waiting = false;
        match response {
            ControllerResponse::Registered { epoch: Ok(epoch) } => {
                let epoch = *epoch;
                self.lifecycle.epoch = Some(epoch);
                self.restart_links();
                self.publish(now);
                self.heartbeat(now, epoch);
            }
            ControllerResponse::Registered { epoch: Err(_) } => {
                // The controller still believes in the life before this one; that ends with its session.
                self.timers.set(Timer::Heartbeat, now.after_ms(REGISTER_AGAIN_MS));
            }
            ControllerResponse::Alive { fenced: Ok(false) } => {
                if !std::mem::replace(&mut self.lifecycle.unfenced, true) {
                    self.event(Event::Registered(self.config.id));
                }
                self.timers.set(Timer::Heartbeat, self.next_heartbeat(now));
            }
            ControllerResponse::Alive { fenced: Ok(true) } => {
                self.lifecycle.unfenced = false;
                // It lacked metadata: as soon as it has more it says so, and it may have more by now.
                self.timers.set(Timer::Heartbeat, now.after_ms(REGISTER_AGAIN_MS));
                self.hurry_heartbeat(now);
            }
            _ => {
                self.lifecycle.epoch = None;
                self.lifecycle.unfenced = false;
                self.register(now);
            }
        }
    }

    /// More metadata is replayed: a broker that was fenced for the lack of it need not wait for its next heartbeat.
    pub(crate) fn hurry_heartbeat(&mut self, now: Now) {
        if let Some(epoch) = self.lifecycle.epoch
            && !self.lifecycle.unfenced
            && !self.lifecycle.waiting
            && self.image.end.0 > epoch
        {
            self.heartbeat(now, epoch);
        }
    }

    /// What the controller counts this broker's life as, -1 while it is not registered.
    pub(crate) fn broker_epoch(&self) -> i64 {
        self.lifecycle.epoch.unwrap_or(-1)
    }
}
