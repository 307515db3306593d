//! Two clusters that are asked the same, step by step: a request goes to both, and what they answer is compared before
//! the next one is sent.

use crate::differences::{ABSENT, Difference, Purposes, THERE};
use crate::normal::{FAMILY, Facts, Names};
use crate::peers::Peer;
use crate::tree::Tree;
use crate::wire::{Connection, Heard, PATIENCE};
use kafka_protocol::messages::{ApiKey, RequestKind};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Kafka,
}

/// Something that each side has of its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Both<T> {
    pub(crate) ours: T,
    pub(crate) kafka: T,
}

impl<T> Both<T> {
    pub(crate) fn each(mut make: impl FnMut(Side) -> T) -> Self {
        Self { ours: make(Side::Ours), kafka: make(Side::Kafka) }
    }

    pub(crate) fn of(&self, side: Side) -> &T {
        match side {
            Side::Ours => &self.ours,
            Side::Kafka => &self.kafka,
        }
    }

    fn of_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Ours => &mut self.ours,
            Side::Kafka => &mut self.kafka,
        }
    }
}

impl Both<Tree> {
    /// Some text of both answers.
    pub(crate) fn text(&self, path: &str) -> Both<String> {
        let text = |side| self.of(side).leaf(path).unwrap_or_else(|| panic!("no {path} in {:?}", self.of(side)));
        Both::each(|side| text(side).to_owned())
    }

    /// Some number of both answers.
    pub(crate) fn number(&self, path: &str) -> Both<i64> {
        Both::each(|side| self.of(side).number(path).unwrap_or_else(|| panic!("no {path} in {:?}", self.of(side))))
    }

    /// The number of an answer, where both sides say the same.
    pub(crate) fn agreed(&self, path: &str) -> Option<i64> {
        let number = self.ours.number(path)?;
        (self.kafka.number(path) == Some(number)).then_some(number)
    }
}

/// A connection of a client: to which node, and which of several.
pub(crate) type Line = (i32, &'static str);

/// Where most requests go.
pub(crate) const MAIN: Line = (1, "main");

/// Where a sequence looks whether something has come about; nobody compares what is said there.
const QUIET: &str = "quiet";

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(3);

/// The next sequence's number: every sequence of this process has topics and groups of its own.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A sequence of requests to two clusters.
pub(crate) struct Pair<'a> {
    pub(crate) peers: Both<&'a dyn Peer>,
    purposes: &'a Purposes,
    names: Both<Names>,
    lines: Both<BTreeMap<Line, Connection>>,
    asked: BTreeMap<Line, VecDeque<(ApiKey, String)>>,
    pub(crate) prefix: String,
    count: usize,
    pub(crate) found: Vec<Difference>,
}

impl<'a> Pair<'a> {
    pub(crate) fn new(peers: Both<&'a dyn Peer>, purposes: &'a Purposes) -> Self {
        let prefix = format!("{FAMILY}{}-", NEXT.fetch_add(1, Ordering::Relaxed));
        Self {
            peers,
            purposes,
            names: Both::each(|_| Names::new(&prefix)),
            lines: Both::default(),
            asked: BTreeMap::new(),
            prefix,
            count: 0,
            found: Vec::new(),
        }
    }

    /// The group without a name is there only once, and only this sequence speaks of it.
    pub(crate) fn own_nameless_group(&mut self) {
        for side in [Side::Ours, Side::Kafka] {
            self.names.of_mut(side).owns_nameless_group = true;
        }
    }

    /// The full name of a topic or group of this sequence.
    pub(crate) fn name(&self, short: &str) -> String {
        format!("{}{short}", self.prefix)
    }

    /// Asks both on [`MAIN`], and compares.
    pub(crate) fn ask(&mut self, key: ApiKey, version: i16, request: impl Fn(Side) -> RequestKind) -> Both<Tree> {
        self.ask_on(MAIN, key, version, request)
    }

    /// Asks both on a line, and compares.
    pub(crate) fn ask_on(
        &mut self,
        line: Line,
        key: ApiKey,
        version: i16,
        request: impl Fn(Side) -> RequestKind,
    ) -> Both<Tree> {
        self.tell(line, key, version, request);
        self.hear(line)
    }

    /// Asks both, whose answers come by [`Self::hear`].
    pub(crate) fn tell(&mut self, line: Line, key: ApiKey, version: i16, request: impl Fn(Side) -> RequestKind) {
        self.count += 1;
        let kafka = request(Side::Kafka);
        let shown = readable(&Tree::of(&kafka)).unwrap_or_default().replace(&self.prefix, "");
        let label = format!("#{} {key:?} version {version}: {shown}", self.count);
        self.send(Side::Kafka, line, key, version, &kafka);
        self.send(Side::Ours, line, key, version, &request(Side::Ours));
        self.asked.entry(line).or_default().push_back((key, label));
    }

    /// The next answers on a line, compared.
    pub(crate) fn hear(&mut self, line: Line) -> Both<Tree> {
        let (key, label) = self.asked.get_mut(&line).and_then(VecDeque::pop_front).expect("something was asked");
        let answers = Both::each(|side| self.receive(side, line));
        let facts = Both::each(|side| self.names.of_mut(side).facts(key, answers.of(side)));
        self.compare(&label, &facts);
        answers
    }

    /// Asks both for what nobody has to compare: that something is there before the sequence begins.
    pub(crate) fn quietly(
        &mut self,
        node: i32,
        key: ApiKey,
        version: i16,
        request: impl Fn(Side) -> RequestKind,
    ) -> Both<Tree> {
        Both::each(|side| self.look(side, node, key, version, &request(side)))
    }

    /// Asks each until its answer is as it has to be.
    pub(crate) fn until(
        &mut self,
        what: &str,
        node: i32,
        (key, version): (ApiKey, i16),
        request: impl Fn(Side) -> RequestKind,
        is_so: impl Fn(&Tree) -> bool,
    ) {
        for side in [Side::Ours, Side::Kafka] {
            let deadline = Instant::now() + PATIENCE;
            loop {
                let answer = self.look(side, node, key, version, &request(side));
                if is_so(&answer) {
                    break;
                }
                assert!(Instant::now() < deadline, "{what} does not come about on {side:?}: {answer:?}");
                std::thread::sleep(LOOK_AGAIN);
            }
        }
    }

    /// Asks until both answer the same, for what reaches brokers some time after the request that changed it.
    pub(crate) fn settle(&mut self, key: ApiKey, version: i16, request: impl Fn(Side) -> RequestKind) -> Both<Tree> {
        let deadline = Instant::now() + PATIENCE / 6;
        loop {
            let answers = self.quietly(1, key, version, &request);
            let facts = Both::each(|side| self.names.of_mut(side).facts(key, answers.of(side)));
            let differ = self.differences("", &facts).into_iter().any(|difference| !self.purposes.explain(&difference));
            if !differ || Instant::now() >= deadline {
                return answers;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// What differed, for people; nothing where nothing did.
    pub(crate) fn verdict(&self) -> Result<(), String> {
        if self.found.is_empty() {
            return Ok(());
        }
        let listed: Vec<String> = self.found.iter().map(ToString::to_string).collect();
        Err(format!("{} differences:\n{}", listed.len(), listed.join("\n")))
    }

    fn compare(&mut self, label: &str, facts: &Both<Facts>) {
        let differences = self.differences(label, facts);
        self.found.extend(differences.into_iter().filter(|difference| !self.purposes.explain(difference)));
    }

    fn differences(&self, label: &str, facts: &Both<Facts>) -> Vec<Difference> {
        let mut paths: Vec<&str> = facts.kafka.keys().chain(facts.ours.keys()).map(String::as_str).collect();
        paths.retain(|path| facts.kafka.get(*path) != facts.ours.get(*path));
        // What only one side has is one difference, however much there is in it.
        let shortest = |path| element_of_one(path, &facts.kafka, &facts.ours).unwrap_or(path);
        let mut paths: Vec<&str> = paths.into_iter().map(shortest).collect();
        paths.sort_unstable();
        paths.dedup();
        let said = |facts: &Facts, path: &str| match facts.get(path) {
            Some(value) => value.clone(),
            None if has_below(facts, path) => String::from(THERE),
            None => String::from(ABSENT),
        };
        let difference = |path: &str| Difference {
            request: label.to_owned(),
            path: path.to_owned(),
            kafka: said(&facts.kafka, path),
            ours: said(&facts.ours, path),
        };
        paths.into_iter().map(difference).collect()
    }

    fn look(&mut self, side: Side, node: i32, key: ApiKey, version: i16, request: &RequestKind) -> Tree {
        self.send(side, (node, QUIET), key, version, request);
        self.receive(side, (node, QUIET))
    }

    fn send(&mut self, side: Side, line: Line, key: ApiKey, version: i16, request: &RequestKind) {
        let address = self.peers.of(side).address(line.0);
        let lines = self.lines.of_mut(side);
        let open = || Connection::open(address).unwrap_or_else(|error| panic!("{side:?} at {address}: {error}"));
        let connection = lines.entry(line).or_insert_with(open);
        let sent = connection.send(key, version, request);
        sent.unwrap_or_else(|error| panic!("{side:?} does not take {key:?}: {error}"));
    }

    fn receive(&mut self, side: Side, line: Line) -> Tree {
        let connection = self.lines.of_mut(side).get_mut(&line).expect("it was opened to ask");
        match connection.receive().unwrap_or_else(|error| panic!("{side:?} gives no answer on {line:?}: {error}")) {
            Heard::Reply(reply) => Tree::of(&*reply),
            Heard::End => self.lost(side, line, "the connection closes"),
            Heard::Silence => self.lost(side, line, "no answer"),
        }
    }

    /// A connection of which nothing more can be expected; that is its answer.
    fn lost(&mut self, side: Side, line: Line, how: &str) -> Tree {
        self.lines.of_mut(side).remove(&line);
        Tree::Leaf(how.to_owned())
    }

    /// Ends all connections of both, as after the death of a node.
    pub(crate) fn hang_up(&mut self) {
        self.lines = Both::default();
    }
}

impl Drop for Pair<'_> {
    fn drop(&mut self) {
        // Whatever a sequence stumbled over is most likely a difference that was found before.
        if std::thread::panicking() {
            self.found.iter().for_each(|difference| eprintln!("{difference}"));
        }
    }
}

/// Whether a path leads to something with parts.
fn has_below(facts: &Facts, path: &str) -> bool {
    let from = facts.range(path.to_owned()..).take_while(|(other, _)| other.starts_with(path));
    from.into_iter().any(|(other, _)| other[path.len()..].starts_with(['.', '[']))
}

/// The first element of an array on the way to a path that only one side has.
fn element_of_one<'a>(path: &'a str, one: &Facts, other: &Facts) -> Option<&'a str> {
    let ends = path.match_indices(']').map(|(at, _)| &path[..=at]);
    ends.into_iter().find(|element| has_below(one, element) != has_below(other, element))
}

/// A request in one line, without what is empty.
fn readable(tree: &Tree) -> Option<String> {
    const NIL: &str = "00000000-0000-0000-0000-000000000000";
    const LONG: usize = 60;
    match tree {
        Tree::Leaf(text) if text.is_empty() || text == "None" || text == NIL => None,
        Tree::Leaf(text) if text.len() > LONG => Some(text.chars().take(LONG / 2).chain("...".chars()).collect()),
        Tree::Leaf(text) => Some(text.clone()),
        Tree::List(items) if items.is_empty() => None,
        Tree::List(items) => Some(format!("[{}]", items.iter().filter_map(readable).collect::<Vec<_>>().join(", "))),
        Tree::Fields(fields) => {
            let shown = |(name, value): &(String, Tree)| Some(format!("{name} {}", readable(value)?));
            Some(format!("{{{}}}", fields.iter().filter_map(shown).collect::<Vec<_>>().join(", ")))
        }
    }
}
