//! Words inside strings that refer to something: streams, terms of a conservation rule, the load's target, roles.
//!
//! Only their form is checked here; whether the name exists is for [`crate::scenario`].

use super::document::{Content, Node, Spanned};
use super::names;
use super::problem::Problems;
use super::setting::{Setting, wrong_type};
use serde_json::{Value as Json, json};
use shakedown_cluster::Role;

/// Something that messages can be seen at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamReference {
    /// What the load generator offered.
    Load,
    /// A topic, read by a tap.
    Topic(String),
    /// The ledger of a service or of a stand-in.
    Ledger(String),
}

impl StreamReference {
    fn parse(text: &str) -> Option<Self> {
        match *text.split_whitespace().collect::<Vec<_>>() {
            ["load"] => Some(Self::Load),
            ["topic", name] => Some(Self::Topic(name.to_owned())),
            ["ledger", name] => Some(Self::Ledger(name.to_owned())),
            _ => None,
        }
    }
}

impl std::fmt::Display for StreamReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Load => f.write_str("load"),
            Self::Topic(name) => write!(f, "topic {name}"),
            Self::Ledger(name) => write!(f, "ledger {name}"),
        }
    }
}

impl Setting for StreamReference {
    fn schema() -> Json {
        json!({ "type": "string", "pattern": r"^(load|(topic|ledger) \S+)$", "examples": ["load", "topic orders"] })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        read_words(node, path, "`load`, `topic NAME` or `ledger NAME`", problems, Self::parse)
    }
}

/// One side of a conservation rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TermReference {
    /// The sum of the amounts in a stream.
    Sum(StreamReference),
    /// The number of distinct messages in a stream.
    Count(StreamReference),
    /// A number that a service states about itself.
    Figure {
        /// Whose.
        service: String,
        /// Which field of it.
        field: String,
    },
}

impl Setting for TermReference {
    fn schema() -> Json {
        let pattern = r"^((sum|count) (load|(topic|ledger) \S+)|figure [^. ]+\.\S+)$";
        json!({ "type": "string", "pattern": pattern, "examples": ["sum topic orders", "figure analytics.revenue"] })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let expected = "`sum STREAM`, `count STREAM` (a stream is `load`, `topic NAME` or `ledger NAME`) or `figure SERVICE.FIELD`";
        read_words(node, path, expected, problems, |text| {
            let (kind, rest) = text.split_once(char::is_whitespace)?;
            match kind {
                "sum" => StreamReference::parse(rest).map(Self::Sum),
                "count" => StreamReference::parse(rest).map(Self::Count),
                "figure" => {
                    let (service, field) = rest.trim().split_once('.')?;
                    let (service, field) = (service.to_owned(), field.to_owned());
                    (!service.is_empty() && !field.is_empty()).then_some(Self::Figure { service, field })
                }
                _ => None,
            }
        })
    }
}

/// Where load goes.
#[derive(Debug, Clone)]
pub enum TargetReference {
    /// The load generator produces to this topic.
    Topic(String),
    /// The load generator produces to each of these in turn.
    Topics(Vec<Spanned<String>>),
    /// This service produces at its own rate, which the harness sets.
    Service(String),
    /// The load generator asks a service over HTTP.
    Post {
        /// The service.
        service: String,
        /// The path.
        path: String,
    },
}

impl Setting for TargetReference {
    fn schema() -> Json {
        let examples = ["topic orders", "POST order /orders", "service order"];
        let one =
            json!({ "type": "string", "pattern": r"^((topic|service) \S+|POST \S+ /\S*)$", "examples": examples });
        let several =
            json!({ "type": "array", "minItems": 2, "items": { "type": "string", "pattern": r"^topic \S+$" } });
        json!({ "oneOf": [one, several] })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        if let Content::List(nodes) = &node.content {
            return read_topics(node, nodes, path, problems);
        }
        read_words(node, path, "`topic NAME`, `POST SERVICE /PATH` or `service NAME`", problems, |text| {
            match *text.split_whitespace().collect::<Vec<_>>() {
                ["topic", name] => Some(Self::Topic(name.to_owned())),
                ["service", name] => Some(Self::Service(name.to_owned())),
                ["POST", service, path] if path.starts_with('/') => {
                    Some(Self::Post { service: service.to_owned(), path: path.to_owned() })
                }
                _ => None,
            }
        })
    }
}

/// The topics among which a load is spread.
fn read_topics(node: &Node, nodes: &[Node], path: &str, problems: &mut Problems<'_>) -> Option<TargetReference> {
    if nodes.len() < 2 {
        let help = "write [\"topic a\", \"topic b\"], or `topic NAME` for a single one";
        problems.add(node.place, format!("`{path}` spreads the load over fewer than two topics"), "too few", help);
        return None;
    }
    let name = |text: &str| match *text.split_whitespace().collect::<Vec<_>>() {
        ["topic", name] => Some(name.to_owned()),
        _ => None,
    };
    let mut topics: Vec<Spanned<String>> = Vec::new();
    let mut is_good = true;
    for inner in nodes {
        match read_words(inner, path, "`topic NAME`", problems, name) {
            Some(topic) if topics.iter().any(|known| known.value == topic) => {
                let help = "name each topic once: each gets as many messages as the others";
                problems.add(inner.place, format!("`{path}` names topic `{topic}` twice"), "once is enough", help);
                is_good = false;
            }
            Some(value) => topics.push(Spanned { value, place: inner.place }),
            None => is_good = false,
        }
    }
    is_good.then_some(TargetReference::Topics(topics))
}

/// The server behind a service: which of them, and of which service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerRole {
    /// What it does for the service.
    pub kind: ServerKind,
    /// The service.
    pub service: String,
}

/// What a server does for a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServerKind {
    /// Keeps its data.
    Store,
    /// Caches what it reads.
    Cache,
}

impl ServerRole {
    /// Where the service keeps its data.
    #[must_use]
    pub fn store(service: &str) -> Self {
        Self { kind: ServerKind::Store, service: service.to_owned() }
    }

    /// Where the service caches what it reads.
    #[must_use]
    pub fn cache(service: &str) -> Self {
        Self { kind: ServerKind::Cache, service: service.to_owned() }
    }
}

impl std::fmt::Display for ServerRole {
    /// `store(payment)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            ServerKind::Store => "store",
            ServerKind::Cache => "cache",
        };
        write!(f, "{kind}({})", self.service)
    }
}

/// The roles that a fault may name, with the form of their arguments.
pub const ROLES: [&str; 16] = [
    "service(NAME)",
    "instance(NAME, N)",
    "store(NAME)",
    "cache(NAME)",
    "client(NAME)",
    "broker(ID)",
    "leader(TOPIC/PARTITION)",
    "follower(TOPIC/PARTITION)",
    "followers(TOPIC/PARTITION)",
    "controller",
    "group-coordinator(GROUP)",
    "txn-coordinator(ID)",
    "minority",
    "majority",
    "one",
    "all",
];

/// Those of services.
const SERVICES: [&str; 2] = ["service(NAME)", "instance(NAME, N)"];

/// Those of brokers.
const BROKERS: [&str; 10] = [
    "broker(ID)",
    "leader(TOPIC/PARTITION)",
    "follower(TOPIC/PARTITION)",
    "followers(TOPIC/PARTITION)",
    "controller",
    "group-coordinator(GROUP)",
    "minority",
    "majority",
    "one",
    "all",
];

/// The roles that make sense under a key: who can be killed can be many things, who is asked to end is a service.
fn roles_under(path: &str) -> Vec<&'static str> {
    match path.rsplit('.').next() {
        Some("kill" | "pause" | "restart") => SERVICES.iter().chain(&BROKERS).copied().collect(),
        Some("stop") => SERVICES.to_vec(),
        Some("rolling-restart") => vec!["all", "majority", "minority", "one"],
        Some("of") if path.ends_with("damage.of") => {
            BROKERS.into_iter().filter(|form| form.ends_with("(TOPIC/PARTITION)")).collect()
        }
        _ => BROKERS.to_vec(),
    }
}

/// What a fault hits, by role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleReference {
    /// Every instance of a service.
    Service(String),
    /// One instance of a service, counted from 1.
    Instance(String, u32),
    /// The server that keeps or caches a service's data.
    Server(ServerRole),
    /// One broker or some, by what they do when the fault strikes.
    Broker(Role),
    /// A role that is valid in the language, and that the back end may or may not know: as written.
    Other(String),
}

impl RoleReference {
    fn parse(text: &str) -> Option<Self> {
        let (role, arguments) = match text.split_once('(') {
            Some((role, rest)) => (role.trim(), Some(rest.strip_suffix(')')?.trim())),
            None => (text.trim(), None),
        };
        // A draw has a number, or none.
        if let Ok(role @ (Role::All | Role::Drawn { .. })) = text.parse() {
            return Some(Self::Broker(role));
        }
        let form = ROLES.iter().find(|form| form.split('(').next() == Some(role))?;
        if form.contains('(') != arguments.is_some_and(|text| !text.is_empty()) {
            return None;
        }
        match (role, arguments) {
            ("service", Some(name)) => Some(Self::Service(name.to_owned())),
            ("instance", Some(pair)) => {
                let (name, number) = pair.split_once(',')?;
                Some(Self::Instance(name.trim().to_owned(), number.trim().parse().ok().filter(|n| *n > 0)?))
            }
            ("store", Some(name)) => Some(Self::Server(ServerRole::store(name))),
            ("cache", Some(name)) => Some(Self::Server(ServerRole::cache(name))),
            ("broker" | "leader" | "follower" | "followers" | "controller" | "group-coordinator", _) => {
                text.parse().ok().map(Self::Broker)
            }
            ("all" | "one" | "minority" | "majority", _) => None,
            _ => Some(Self::Other(text.trim().to_owned())),
        }
    }
}

impl std::fmt::Display for RoleReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Service(name) => write!(f, "service({name})"),
            Self::Instance(name, number) => write!(f, "instance({name}, {number})"),
            Self::Server(role) => role.fmt(f),
            Self::Broker(role) => role.fmt(f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl Setting for RoleReference {
    fn schema() -> Json {
        json!({ "type": "string", "examples": ["service(payment)", "instance(payment, 1)", "leader(orders/0)", "controller"] })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let roles = roles_under(path);
        let Content::Text(text) = &node.content else {
            wrong_type(node, path, &format!("a role in quotes: {}", names::list(&roles)), problems);
            return None;
        };
        let parsed = Self::parse(text);
        if parsed.is_none() {
            let name = text.split('(').next().unwrap_or_default().trim();
            let (reason, label, help) = match ROLES.iter().find(|form| form.split('(').next() == Some(name)) {
                Some(form) => {
                    (format!("that is not how `{name}` is written"), "cannot be read", format!("write {form}"))
                }
                None => (format!("there is no role `{name}`"), "no such role", names::advice(text, roles)),
            };
            problems.add(node.place, format!("`{path}` cannot be \"{text}\": {reason}"), label, help);
        }
        parsed
    }
}

/// A JSON pointer (RFC 6901) to a field of a message: `/order_id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(pub String);

impl Setting for Pointer {
    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^/", "examples": ["/order_id"] })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let expected = "a JSON pointer, which begins with a slash, such as \"/order_id\"";
        read_words(node, path, expected, problems, |text| {
            (text.starts_with('/') && text.len() > 1).then(|| Self(text.to_owned()))
        })
    }
}

/// The path of an HTTP request: `/ready`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpPath(pub String);

impl Setting for HttpPath {
    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^/", "examples": ["/ready"] })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let expected = "the path of a GET request, which begins with a slash, such as \"/ready\"";
        read_words(node, path, expected, problems, |text| text.starts_with('/').then(|| Self(text.to_owned())))
    }
}

fn read_words<T>(
    node: &Node,
    path: &str,
    expected: &str,
    problems: &mut Problems<'_>,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let Content::Text(text) = &node.content else {
        wrong_type(node, path, expected, problems);
        return None;
    };
    let parsed = parse(text);
    if parsed.is_none() {
        let message = format!("`{path}` cannot be \"{text}\"");
        problems.add(node.place, message, "cannot be read", format!("write {expected}"));
    }
    parsed
}

#[cfg(test)]
mod tests {
    use super::{RoleReference, ServerRole};
    use shakedown_cluster::{Role, Share};

    #[test]
    fn roles_are_read_by_their_form() {
        assert_eq!(RoleReference::parse("service(a)"), Some(RoleReference::Service("a".to_owned())));
        assert_eq!(RoleReference::parse("instance(a, 2)"), Some(RoleReference::Instance("a".to_owned(), 2)));
        let (topic, partition) = ("orders".to_owned(), 0);
        let leader = RoleReference::Broker(Role::Leader { topic, partition });
        assert_eq!(RoleReference::parse("leader( orders/0 )"), Some(leader));
        assert_eq!(RoleReference::parse("controller"), Some(RoleReference::Broker(Role::Controller)));
        assert_eq!(RoleReference::parse("broker(2)"), Some(RoleReference::Broker(Role::Broker(2))));
        assert_eq!(RoleReference::parse("all"), Some(RoleReference::Broker(Role::All)));
        let second = RoleReference::Broker(Role::Drawn { share: Share::Minority, draw: 1 });
        assert_eq!(RoleReference::parse("minority( 1 )"), Some(second));
        assert_eq!(RoleReference::parse("store(a)"), Some(RoleReference::Server(ServerRole::store("a"))));
        assert_eq!(RoleReference::parse("cache( a )"), Some(RoleReference::Server(ServerRole::cache("a"))));
        assert_eq!(RoleReference::parse("client(a)"), Some(RoleReference::Other("client(a)".to_owned())));
        for good in
            ["follower(a.b/1)", "followers(a/12)", "group-coordinator(a group)", "leader(a/0)", "controller", "one"]
        {
            assert_eq!(RoleReference::parse(good).map(|role| role.to_string()).as_deref(), Some(good));
        }
        let bad = [
            "service",
            "all(1)",
            "one()",
            "service()",
            "service(a",
            "controller(1)",
            "instance(a)",
            "instance(a, 0)",
            "boss",
        ];
        for bad in bad.into_iter().chain(["leader(a)", "leader(/0)", "leader(a/-1)", "followers(a/b)", "broker(0)"]) {
            assert_eq!(RoleReference::parse(bad), None, "{bad}");
        }
    }
}
