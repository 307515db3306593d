//! How news travels: which topic each lies on, and in what words. The services know facts; only this knows topics.

mod fanout;
mod storefront;

use super::facts::{News, NotificationSent};
use crate::config::Environment;
use crate::kafka::Event;
use crate::malformed::Malformed;
use crate::outbox::NewEvent;
use crate::trace::TraceContext;
use fanout::Fanout;
use storefront::Storefront;

/// In which order the services of a system work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// The storefront: each step follows the one before.
    StepByStep,
    /// The fanout: stock is reserved while money is captured.
    SideBySide,
}

/// One of the services, as topics are given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Order,
    Payment,
    Inventory,
    Notification,
}

/// The topics of a system and the payloads on them; cheap to clone.
#[derive(Debug, Clone)]
pub(super) enum Wire {
    Storefront(Storefront),
    Fanout(Fanout),
}

impl Wire {
    /// Reads the names of the topics.
    pub(super) fn read(flow: Flow, environment: &Environment) -> Self {
        match flow {
            Flow::StepByStep => Self::Storefront(Storefront::read(environment)),
            Flow::SideBySide => Self::Fanout(Fanout::read(environment)),
        }
    }

    pub(super) fn flow(&self) -> Flow {
        match self {
            Self::Storefront(_) => Flow::StepByStep,
            Self::Fanout(_) => Flow::SideBySide,
        }
    }

    /// The topics that a service reads.
    pub(super) fn consumes(&self, role: Role) -> Vec<String> {
        match self {
            Self::Storefront(storefront) => storefront.consumes(role),
            Self::Fanout(fanout) => vec![fanout.topic()],
        }
    }

    /// The topics that a service writes.
    pub(super) fn produces(&self, role: Role) -> Vec<String> {
        match self {
            Self::Storefront(storefront) => storefront.produces(role),
            Self::Fanout(_) if role == Role::Notification => Vec::new(),
            Self::Fanout(fanout) => vec![fanout.topic()],
        }
    }

    /// Reads an event of this topic, and requires that it makes sense.
    pub(super) fn hear(&self, topic: &str, event: &Event) -> Result<News, Malformed> {
        match self {
            Self::Storefront(storefront) => storefront.hear(topic, event),
            Self::Fanout(_) => fanout::hear(event),
        }
    }

    /// The event that tells it, keyed by the order's user.
    pub(super) fn tell(&self, news: &News, trace: TraceContext) -> NewEvent {
        match self {
            Self::Storefront(storefront) => storefront.tell(news, trace),
            Self::Fanout(fanout) => fanout.tell(news, trace),
        }
    }

    /// What an event is called in the audit trail and in notifications: its topic, or its status where all share one topic.
    pub(super) fn name(&self, news: &News) -> String {
        match self {
            Self::Storefront(storefront) => storefront.topic_of(&news.fact).to_string(),
            Self::Fanout(_) => fanout::status_of(&news.fact).to_owned(),
        }
    }

    /// The event that tells of a notification, where there is a topic for these.
    pub(super) fn confirm(&self, sent: &NotificationSent, trace: TraceContext) -> Option<NewEvent> {
        match self {
            Self::Storefront(storefront) => Some(storefront.confirm(sent, trace)),
            Self::Fanout(_) => None,
        }
    }
}
