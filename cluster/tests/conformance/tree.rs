//! Any reply as a tree of named values. The codec's types have no reflection but one: what `Debug` writes of them, in the
//! fixed grammar of `derive(Debug)`, is read back here, so that no message needs code of its own to be compared.

use std::iter::Peekable;
use std::str::Chars;

/// A value in a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tree {
    /// Text without its quotes, a number, or the name of a thing without fields (`None`, `false`).
    Leaf(String),
    /// An array.
    List(Vec<Tree>),
    /// A message or a part of one, in the order of its fields.
    Fields(Vec<(String, Tree)>),
}

impl Tree {
    /// What `{:?}` writes of anything that derives it.
    pub(crate) fn of(value: &impl std::fmt::Debug) -> Self {
        let text = format!("{value:?}");
        let mut reader = Reader { rest: text.chars().peekable() };
        let tree = reader.value();
        assert!(reader.rest.next().is_none(), "something stands behind the value in {text}");
        tree
    }

    /// A field, or a field of a field; elements of arrays by their numbers: `topics.0.error_code`.
    pub(crate) fn find(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |tree, step| match tree {
            Self::Leaf(_) => None,
            Self::List(items) => items.get(step.parse::<usize>().ok()?),
            Self::Fields(fields) => fields.iter().find(|(name, _)| name == step).map(|(_, value)| value),
        })
    }

    /// The text of a leaf.
    pub(crate) fn leaf(&self, path: &str) -> Option<&str> {
        match self.find(path)? {
            Self::Leaf(text) => Some(text),
            _ => None,
        }
    }

    /// A leaf that is a number.
    pub(crate) fn number(&self, path: &str) -> Option<i64> {
        self.leaf(path)?.parse().ok()
    }

    /// The elements of an array; none for anything else.
    pub(crate) fn items(&self, path: &str) -> &[Self] {
        match self.find(path) {
            Some(Self::List(items)) => items,
            _ => &[],
        }
    }
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    fn value(&mut self) -> Tree {
        match self.rest.peek() {
            Some('[') => Tree::List(self.list('[', ']', Self::value)),
            // Maps hold unknown tagged fields only; what is in them counts, not how it is keyed.
            Some('{') => Tree::List(self.list('{', '}', Self::value)),
            Some('"') => Tree::Leaf(self.quoted()),
            _ => self.named(),
        }
    }

    /// `3`, `None`, `Some(3)`, `b"x"`, `Name { field: value }`, or a UUID.
    fn named(&mut self) -> Tree {
        let mut word = String::new();
        while let Some(letter) = self.rest.next_if(|letter| !",)]} ({\":".contains(*letter)) {
            word.push(letter);
        }
        match self.rest.peek() {
            Some('"') if word == "b" => Tree::Leaf(format!("b{}", self.quoted())),
            Some('(') => {
                let mut inner = self.list('(', ')', Self::value);
                if inner.len() == 1 { inner.remove(0) } else { Tree::List(inner) }
            }
            Some(' ') => {
                self.rest.next();
                if self.rest.peek() == Some(&'{') {
                    Tree::Fields(self.list('{', '}', Self::field))
                } else {
                    Tree::Leaf(word)
                }
            }
            _ => Tree::Leaf(word),
        }
    }

    fn field(&mut self) -> (String, Tree) {
        let mut name = String::new();
        while let Some(letter) = self.rest.next_if(|letter| *letter != ':') {
            name.push(letter);
        }
        self.skip(':');
        (name, self.value())
    }

    fn list<T>(&mut self, open: char, close: char, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        assert_eq!(self.rest.next(), Some(open));
        let mut items = Vec::new();
        loop {
            while self.rest.next_if(|letter| " ,:".contains(*letter)).is_some() {}
            if self.rest.next_if_eq(&close).is_some() {
                return items;
            }
            assert!(self.rest.peek().is_some(), "a list does not end");
            items.push(item(self));
        }
    }

    fn skip(&mut self, expected: char) {
        assert_eq!(self.rest.next(), Some(expected));
        while self.rest.next_if_eq(&' ').is_some() {}
    }

    fn quoted(&mut self) -> String {
        self.rest.next();
        let mut text = String::new();
        while let Some(letter) = self.rest.next() {
            match letter {
                '"' => break,
                '\\' => text.extend(['\\'].into_iter().chain(self.rest.next())),
                letter => text.push(letter),
            }
        }
        text
    }
}

/// The parser against what `derive(Debug)` really writes.
pub(crate) fn reads_what_debug_writes() {
    use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
    use kafka_protocol::messages::{ListOffsetsResponse, ResponseKind};
    use kafka_protocol::protocol::StrBytes;
    let partition = ListOffsetsPartitionResponse::default().with_partition_index(7).with_timestamp(-1);
    let name = StrBytes::from_static_str("a \"quoted\", name: {x}");
    let topic = ListOffsetsTopicResponse::default().with_name(name.into()).with_partitions(vec![partition]);
    let tree = Tree::of(&ResponseKind::ListOffsets(ListOffsetsResponse::default().with_topics(vec![topic])));
    assert_eq!(tree.number("topics.0.partitions.0.timestamp"), Some(-1));
    assert_eq!(tree.number("topics.0.partitions.0.partition_index"), Some(7));
    assert_eq!(tree.leaf("topics.0.name"), Some(r#"a \"quoted\", name: {x}"#));
    assert_eq!(tree.leaf("topics.1.name"), None);
    let values = Tree::of(&(Some(bytes::Bytes::from_static(b"\x00a\"")), uuid::Uuid::nil(), Option::<i32>::None));
    let leaf = |text: &str| Tree::Leaf(text.to_owned());
    let expected = [leaf(r#"b\0a\""#), leaf("00000000-0000-0000-0000-000000000000"), leaf("None")];
    assert_eq!(values, Tree::List(expected.into()));
}
