//! Between connections and nodes: what rules do to requests on their way in and to replies on their way out.
//!
//! Owns what is held and what is to become of replies that are still being worked on. Pure: time comes in as an argument,
//! and whoever drives the nodes carries out what is decided here.

use super::refusal;
use super::rule::{Effect, Rule, RuleId, expects_reply};
use super::rules::Rules;
use super::throttle;
use crate::io::{Input, RequestToken};
use crate::node::Node;
use crate::types::{BrokerId, ConnectionId};
use crate::wire::request::Frame;
use crate::wire::response::Response;
use kafka_protocol::messages::RequestKind;
use std::collections::BTreeMap;
use std::time::Duration;

/// Set in the number of the second copy of a request, which must differ from that of any request that comes in.
const SECOND: u64 = 1 << 63;

/// What becomes of a request on its way in.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "moved once for each request and never kept")]
pub enum Admission {
    /// The node gets it.
    Serve(Input),
    /// The node gets it twice.
    ServeTwice(Input, Input),
    /// The node gets it after so much work.
    ServeAfter(Duration, Input),
    /// The client gets this, and the node nothing.
    Reply(Response),
    /// It is done, and its client expects no reply (acks=0).
    NoReply,
    /// Nobody gets anything, now or, where it is held, before it is released.
    Nothing,
    /// Close the connection, for this reason.
    HangUp(String),
}

/// What becomes of a reply on its way out.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "moved once for each reply and never kept")]
pub enum Departure {
    /// The client gets this.
    Reply {
        /// To the request that it has sent; never to the second copy of one, even if that was answered first.
        token: RequestToken,
        /// The reply.
        response: Response,
    },
    /// It is done, and its client expects no reply (acks=0).
    NoReply,
    /// The client gets nothing: not yet, or never.
    Nothing,
    /// Close the connection, for this reason.
    HangUp(String),
}

/// Something that was held and goes on now.
#[derive(Debug)]
pub enum Released {
    /// A request, for this node.
    Request {
        /// The node that was asked.
        node: BrokerId,
        /// The request.
        input: Input,
        /// Whether rules have decided about it already. If not, it has only waited for its turn.
        judged: bool,
    },
    /// A reply.
    Reply {
        /// The node that replied.
        node: BrokerId,
        /// To which request.
        token: RequestToken,
        /// The reply.
        response: Response,
    },
}

/// What is to become of the reply to a request that is being worked on.
#[derive(Debug)]
enum Fate {
    Error {
        instead: Option<Box<Response>>,
        code: i16,
    },
    Silence,
    HangUp,
    Hold {
        rule: RuleId,
        lasts: Option<Duration>,
    },
    Throttle {
        rule: RuleId,
        lasts: Duration,
    },
    /// The request is one of two copies, and neither has been answered. Which of them will be is the node's business: of a
    /// member that joins or syncs twice Kafka remembers only the later request.
    Twin,
    /// The other copy was answered first: nobody gets this reply.
    Ghost,
}

/// A connection whose next request waits.
#[derive(Debug)]
struct Muted {
    rule: RuleId,
    node: BrokerId,
    until_ns: u64,
}

#[derive(Debug)]
struct Held {
    /// The rule that holds it, and with whose end it goes on.
    rule: RuleId,
    until_ns: Option<u64>,
    node: BrokerId,
    what: Released,
}

/// The rules and everything that is under way because of them.
#[derive(Debug, Default)]
pub struct Interceptor {
    rules: Rules,
    fates: BTreeMap<RequestToken, (BrokerId, Fate)>,
    /// In the order in which it came.
    held: Vec<Held>,
    muted: BTreeMap<ConnectionId, Muted>,
}

impl Interceptor {
    /// Whether everything goes through as it is.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.rules.is_empty() && self.fates.is_empty() && self.held.is_empty() && self.muted.is_empty()
    }

    /// Puts a rule into force, behind all others.
    pub fn add(&mut self, rule: Rule) -> RuleId {
        self.rules.add(rule, false)
    }

    /// As [`Self::add`], for a rule that begins to count and to hit when it is woken.
    pub fn add_asleep(&mut self, rule: Rule) -> RuleId {
        self.rules.add(rule, true)
    }

    /// Lets a rule begin; nothing for one that has.
    pub fn wake(&mut self, id: RuleId) {
        self.rules.wake(id);
    }

    /// Ends a rule: how often it hit (nothing if it had ended before), and what it held.
    pub fn remove(&mut self, id: RuleId) -> (Option<u64>, Vec<Released>) {
        (self.rules.remove(id), self.release(id))
    }

    /// How often a rule in force has hit.
    #[must_use]
    pub fn hits(&self, id: RuleId) -> Option<u64> {
        self.rules.hits(id)
    }

    /// Lets go on what a rule holds, in the order in which it came.
    pub fn release(&mut self, id: RuleId) -> Vec<Released> {
        self.muted.retain(|_, muted| muted.rule != id);
        // Replies that are not ready yet go out as soon as they are, and nobody waits behind them: the rule may be gone by
        // then.
        self.fates.retain(|_, (_, fate)| !matches!(fate, Fate::Throttle { rule, .. } if *rule == id));
        for (_, fate) in self.fates.values_mut() {
            if let Fate::Hold { rule, lasts } = fate
                && *rule == id
            {
                *lasts = Some(Duration::ZERO);
            }
        }
        self.take_held(|held| held.rule == id)
    }

    /// When something that is held goes on by itself, in monotonic nanoseconds.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.held.iter().filter_map(|held| held.until_ns).min()
    }

    /// What has been held long enough, in the order in which it came.
    pub fn due(&mut self, now_ns: u64) -> Vec<Released> {
        self.muted.retain(|_, muted| muted.until_ns > now_ns);
        self.take_held(|held| held.until_ns.is_some_and(|until_ns| until_ns <= now_ns))
    }

    fn take_held(&mut self, goes_on: impl Fn(&Held) -> bool) -> Vec<Released> {
        self.held.extract_if(.., |held| goes_on(held)).map(|held| held.what).collect()
    }

    /// A connection is gone. What it had sent is carried out all the same.
    pub fn disconnected(&mut self, connection: ConnectionId) {
        self.muted.remove(&connection);
        self.fates.retain(|token, _| token.connection != connection);
        self.held.retain(|held| !matches!(&held.what, Released::Reply { token, .. } if token.connection == connection));
    }

    /// A node was killed, and what was held there is gone with it, as are its connections.
    pub fn killed(&mut self, node: BrokerId) {
        self.muted.retain(|_, muted| muted.node != node);
        self.fates.retain(|_, (at, _)| *at != node);
        self.held.retain(|held| held.node != node);
    }

    /// A request comes in at a node.
    pub fn request(&mut self, now_ns: u64, node: &Node, input: Input) -> Admission {
        let Input::Request { token, client_host, frame } = input else { return Admission::Serve(input) };
        if let Some(&Muted { rule, until_ns, .. }) = self.muted.get(&token.connection)
            && until_ns > now_ns
        {
            let input = Input::Request { token, client_host, frame };
            self.hold(rule, Some(until_ns), Released::Request { node: node.id(), input, judged: false }, node.id());
            return Admission::Nothing;
        }
        let Some((rule, effect)) = self.rules.judge(node, &frame) else {
            return Admission::Serve(Input::Request { token, client_host, frame });
        };
        let fate = match effect {
            // Whoever expects no reply goes on without one.
            Effect::Silence { applied: false } if !expects_reply(&frame) => return Admission::NoReply,
            Effect::Silence { applied: false } => return Admission::Nothing,
            Effect::HangUp { applied: false } => return Admission::HangUp(reason(&frame)),
            Effect::Error { error, applied: false } if !answers_with_the_cluster(&frame) => {
                let refusal = refusal::of(node, &frame.request, frame.reply.version, error.code());
                return refusal.map_or_else(|| Admission::HangUp(reason(&frame)), Admission::Reply);
            }
            Effect::Hold { applied: false, lasts } => {
                let until_ns = lasts.map(|lasts| after(now_ns, lasts));
                let input = Input::Request { token, client_host, frame };
                self.hold(rule, until_ns, Released::Request { node: node.id(), input, judged: true }, node.id());
                return Admission::Nothing;
            }
            Effect::Duplicate => {
                let second = twin_of(token);
                self.fates.extend([token, second].map(|copy| (copy, (node.id(), Fate::Twin))));
                let twice = Input::Request { token: second, client_host: client_host.clone(), frame: frame.clone() };
                return Admission::ServeTwice(Input::Request { token, client_host, frame }, twice);
            }
            Effect::Work { lasts } => {
                return Admission::ServeAfter(lasts, Input::Request { token, client_host, frame });
            }
            // An error in no reply can only be told by closing the connection, as a broker does.
            Effect::Error { .. } if !expects_reply(&frame) => Fate::HangUp,
            Effect::Error { error, .. } => {
                let code = error.code();
                let instead = refusal::of(node, &frame.request, frame.reply.version, code);
                Fate::Error { instead: instead.map(Box::new), code }
            }
            Effect::Silence { applied: true } => Fate::Silence,
            Effect::HangUp { applied: true } => Fate::HangUp,
            Effect::Hold { applied: true, lasts } => Fate::Hold { rule, lasts },
            Effect::Throttle { lasts } => Fate::Throttle { rule, lasts },
        };
        self.fates.insert(token, (node.id(), fate));
        Admission::Serve(Input::Request { token, client_host, frame })
    }

    /// A node replies.
    pub fn reply(&mut self, now_ns: u64, token: RequestToken, mut response: Response) -> Departure {
        let Some((node, fate)) = self.fates.remove(&token) else { return Departure::Reply { token, response } };
        match fate {
            Fate::Silence | Fate::Ghost => Departure::Nothing,
            Fate::Twin => Departure::Reply { token: self.first_of(token), response },
            Fate::HangUp => lost(),
            Fate::Error { instead, code } => {
                if refusal::spoil(&mut response, code) {
                    return Departure::Reply { token, response };
                }
                Departure::Reply { token, response: instead.map_or(response, |instead| *instead) }
            }
            Fate::Hold { lasts: Some(Duration::ZERO), .. } => Departure::Reply { token, response },
            Fate::Hold { rule, lasts } => {
                let until_ns = lasts.map(|lasts| after(now_ns, lasts));
                self.hold(rule, until_ns, Released::Reply { node, token, response }, node);
                Departure::Nothing
            }
            Fate::Throttle { rule, lasts } => {
                throttle::set(&mut response, i32::try_from(lasts.as_millis()).unwrap_or(i32::MAX));
                self.mute(now_ns, token, rule, node, lasts);
                Departure::Reply { token, response }
            }
        }
    }

    /// A node is done with a request that has no reply.
    pub fn no_reply(&mut self, now_ns: u64, token: RequestToken) -> Departure {
        let Some((node, fate)) = self.fates.remove(&token) else { return Departure::NoReply };
        match fate {
            Fate::Ghost => return Departure::Nothing,
            Fate::HangUp => return lost(),
            Fate::Twin => drop(self.first_of(token)),
            // As in Kafka, which cannot tell such a client to wait, but lets it.
            Fate::Throttle { rule, lasts } => self.mute(now_ns, token, rule, node, lasts),
            // These are about replies, and hit no request that has none.
            Fate::Error { .. } | Fate::Silence | Fate::Hold { .. } => {}
        }
        Departure::NoReply
    }

    /// One of two copies was answered, and the other will not be: the token that the client knows.
    fn first_of(&mut self, token: RequestToken) -> RequestToken {
        if let Some((_, fate)) = self.fates.get_mut(&twin_of(token)) {
            *fate = Fate::Ghost;
        }
        RequestToken { number: token.number & !SECOND, ..token }
    }

    fn mute(&mut self, now_ns: u64, token: RequestToken, rule: RuleId, node: BrokerId, lasts: Duration) {
        self.muted.insert(token.connection, Muted { rule, node, until_ns: after(now_ns, lasts) });
    }

    fn hold(&mut self, rule: RuleId, until_ns: Option<u64>, what: Released, node: BrokerId) {
        self.held.push(Held { rule, until_ns, node, what });
    }
}

/// The other copy of a request.
fn twin_of(token: RequestToken) -> RequestToken {
    RequestToken { number: token.number ^ SECOND, ..token }
}

/// The reply is lost with its connection.
fn lost() -> Departure {
    Departure::HangUp("a rule: the reply is lost with its connection".to_owned())
}

/// Whether the reply tells where the cluster is: an error in it must leave that as it is.
fn answers_with_the_cluster(frame: &Frame) -> bool {
    matches!(frame.request, RequestKind::Metadata(_))
}

fn reason(frame: &Frame) -> String {
    format!("a rule: {:?} is not served", frame.reply.key)
}

fn after(now_ns: u64, lasts: Duration) -> u64 {
    now_ns.saturating_add(u64::try_from(lasts.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttle_goes_with_the_node_whose_connection_it_was_on() {
        let mut interceptor = Interceptor::default();
        let token = RequestToken { connection: ConnectionId(1), number: 0 };
        interceptor.mute(0, token, RuleId(0), BrokerId(1), Duration::from_secs(30));
        interceptor.killed(BrokerId(2));
        assert!(!interceptor.is_idle(), "that was another node");
        interceptor.killed(BrokerId(1));
        assert!(interceptor.is_idle());
    }
}
