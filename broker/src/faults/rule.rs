//! What a rule says: which requests it is about, which of those it hits, and what becomes of them.

use super::about::{About, Place};
use crate::node::Node;
use crate::types::BrokerId;
use crate::wire::request::Frame;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{ApiKey, RequestKind};
use std::cell::OnceCell;
use std::time::Duration;

/// A rule, for as long as it is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleId(pub u64);

/// Which requests a rule is about: those that fit everything it names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// Requests of one of these APIs; all when empty.
    pub apis: Vec<ApiKey>,
    /// Requests of the client with this `client.id`; a `*` at its end stands for any end.
    pub client: Option<String>,
    /// Requests that are about this topic, by name or id. A request about all topics is about this one, too; so is a fetch
    /// in a session that has it.
    pub topic: Option<String>,
    /// Requests that name this partition of [`Self::topic`].
    pub partition: Option<i32>,
    /// Requests that are about this consumer group.
    pub group: Option<String>,
    /// Requests with this `transactional.id`.
    pub transactional_id: Option<String>,
    /// Requests that come in at this node.
    pub node: Option<BrokerId>,
}

/// What becomes of a request that a rule hits. `applied` tells the two halves of every lost answer apart: whether the
/// broker did what it was asked before things went wrong.
///
/// A producer with acks=0 gets no reply: what happens to replies alone (a hold or silence behind the broker) is not about its
/// requests, and does not count them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The client gets this error, for every topic, partition or group that it named; with acks=0 its connection closes, as
    /// Kafka does then.
    Error {
        /// Which.
        error: ResponseError,
        /// Whether the request is carried out all the same.
        applied: bool,
    },
    /// The client never hears of it, on a connection that stays open.
    Silence {
        /// Whether the request is carried out.
        applied: bool,
    },
    /// The connection closes instead of a reply.
    HangUp {
        /// Whether the request is carried out.
        applied: bool,
    },
    /// It waits, for this long or until it is released. What a client has sent behind it on the same connection waits, too,
    /// as in Kafka; a request that was held when its client left is carried out all the same, as one that a slow broker had
    /// read already.
    Hold {
        /// Whether only the reply waits.
        applied: bool,
        /// How long; `None` waits for [`Interceptor::release`](super::Interceptor::release).
        lasts: Option<Duration>,
    },
    /// It is carried out twice, as if a network had delivered it twice; the client gets the first reply.
    Duplicate,
    /// The reply tells the client to wait this long, and its next request waits as long at the broker (KIP-219); the end of
    /// the rule ends that, too.
    Throttle {
        /// How long; whole milliseconds count.
        lasts: Duration,
    },
    /// It is carried out after so much work that whoever drives the nodes does nothing else meanwhile: as if the request cost
    /// that, to the microsecond. A [`Self::Hold`] lets others pass; this takes from what the broker can do at all.
    Work {
        /// How long.
        lasts: Duration,
    },
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Which requests it is about.
    pub selector: Selector,
    /// The first of those that it hits, from 1: counted over the whole cluster, whether or not another rule hit them.
    pub from: u64,
    /// How many it hits, one after another; `None` for all from there on.
    pub times: Option<u64>,
    /// What becomes of them.
    pub effect: Effect,
}

impl Rule {
    /// A rule that hits every request that it is about.
    #[must_use]
    pub const fn new(selector: Selector, effect: Effect) -> Self {
        Self { selector, from: 1, times: None, effect }
    }

    /// Hits only the `nth` request, from 1.
    #[must_use]
    pub fn nth(self, nth: u64) -> Self {
        Self { from: nth, times: Some(1), ..self }
    }

    /// Hits this many requests at most, one after another.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Whether it hits the request that is its `nth`, from 1.
    pub(super) fn hits(&self, nth: u64) -> bool {
        nth >= self.from && self.times.is_none_or(|times| nth - self.from < times)
    }
}

impl Effect {
    /// Whether it can happen to a request: not where all of it happens to a reply, and there is none.
    pub(super) fn concerns(&self, frame: &Frame) -> bool {
        !matches!(self, Self::Silence { applied: true } | Self::Hold { applied: true, .. }) || expects_reply(frame)
    }
}

/// Whether the client expects a reply: all do but producers with acks=0.
pub(super) fn expects_reply(frame: &Frame) -> bool {
    !matches!(&frame.request, RequestKind::Produce(produce) if produce.acks == 0)
}

impl Selector {
    /// Whether a request that comes in at a node fits.
    #[must_use]
    pub fn is_about(&self, node: &Node, frame: &Frame) -> bool {
        let about = OnceCell::new();
        self.fits(node.id(), frame, || about.get_or_init(|| About::read(node, &frame.request)))
    }

    /// As [`Self::is_about`]. What it is about is looked up only if that decides.
    pub(super) fn fits<'a>(&self, node: BrokerId, frame: &Frame, about: impl FnOnce() -> &'a About) -> bool {
        let cheap = (self.apis.is_empty() || self.apis.contains(&frame.reply.key))
            && self.node.is_none_or(|wanted| wanted == node)
            && self.client.as_ref().is_none_or(|client| is_called(frame.client_id.as_deref().unwrap_or(""), client));
        if !cheap || (self.topic.is_none() && self.group.is_none() && self.transactional_id.is_none()) {
            return cheap;
        }
        let about = about();
        let place = self.topic.as_ref().map(|topic| Place { topic, partition: self.partition });
        place.is_none_or(|place| about.names(place))
            && self.group.as_ref().is_none_or(|group| about.groups.iter().any(|named| **named == **group))
            && self.transactional_id.as_ref().is_none_or(|id| about.transactional_id.as_deref() == Some(&**id))
    }
}

/// Whether a client's name is this one, or begins as this one does before its `*`.
fn is_called(name: &str, wanted: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(begin) => name.starts_with(begin),
        None => name == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_hits_from_its_first_for_as_many_times() {
        let rule = Rule::new(Selector::default(), Effect::Duplicate);
        let hit = |rule: &Rule| (1..=6).filter(|nth| rule.hits(*nth)).collect::<Vec<_>>();
        assert_eq!(hit(&rule), [1, 2, 3, 4, 5, 6]);
        assert_eq!(hit(&rule.clone().nth(3)), [3]);
        assert_eq!(hit(&rule.clone().times(2)), [1, 2]);
        assert_eq!(hit(&Rule { from: 4, ..rule.clone() }.times(2)), [4, 5]);
        assert_eq!(hit(&rule.times(0)), [0; 0]);
    }

    #[test]
    fn clients_are_called_by_name_or_by_its_beginning() {
        for (name, wanted, is) in [
            ("payment-1", "payment-1", true),
            ("payment-1", "payment", false),
            ("payment-1", "payment*", true),
            ("payment-1", "*", true),
            ("", "*", true),
            ("order-1", "payment*", false),
        ] {
            assert_eq!(is_called(name, wanted), is, "{name} as {wanted}");
        }
    }
}
