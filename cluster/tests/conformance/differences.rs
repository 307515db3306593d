//! What may differ: the second table of ARCHITECTURE.md's chapter "Where we differ from Kafka", and nothing else. A row
//! names an answer (a path, with `*` for any part of it), what Kafka says there, and what we say.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// The header of the table.
const HEADER: &str = "| answer | Kafka 4.1 | here |";

/// What is said of a path that only the other side has.
pub(crate) const ABSENT: &str = "absent";

/// What is said of an element that only this side has.
pub(crate) const THERE: &str = "there";

/// A value that two clusters give to the same path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Which request, counted from 1, and what it asked.
    pub(crate) request: String,
    pub(crate) path: String,
    pub(crate) kafka: String,
    pub(crate) ours: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { request, path, kafka, ours } = self;
        write!(f, "{request}\n    {path}\n    Kafka: {kafka}\n    here:  {ours}")
    }
}

#[derive(Debug)]
struct Row {
    answer: String,
    kafka: String,
    ours: String,
    met: AtomicBool,
}

/// All purposeful differences.
#[derive(Debug, Default)]
pub(crate) struct Purposes {
    rows: Vec<Row>,
}

impl Purposes {
    /// As ARCHITECTURE.md has them.
    pub(crate) fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ARCHITECTURE.md");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let purposes = Self::parse(&text);
        assert!(!purposes.rows.is_empty(), "ARCHITECTURE.md has no table with the header {HEADER}");
        purposes
    }

    fn parse(text: &str) -> Self {
        let table = text.lines().skip_while(|line| *line != HEADER).skip(2);
        let row = |line: &str| {
            let cells: Vec<&str> =
                line.trim_matches('|').split(" | ").map(|cell| cell.trim().trim_matches('`')).collect();
            let [answer, kafka, ours] = cells[..] else { panic!("a row of three cells, not {line}") };
            let [answer, kafka, ours] = [answer, kafka, ours].map(str::to_owned);
            Row { answer, kafka, ours, met: AtomicBool::new(false) }
        };
        Self { rows: table.take_while(|line| line.starts_with('|')).map(row).collect() }
    }

    /// Whether a difference is on purpose; the row that says so counts as met.
    pub(crate) fn explain(&self, difference: &Difference) -> bool {
        let fits = |row: &&Row| {
            is_like(&row.answer, &difference.path)
                && is_like(&row.kafka, &difference.kafka)
                && is_like(&row.ours, &difference.ours)
        };
        let mut explained = false;
        for row in self.rows.iter().filter(fits) {
            row.met.store(true, Ordering::Relaxed);
            explained = true;
        }
        explained
    }

    /// Rows that nothing was like, although everything that is compared was compared.
    pub(crate) fn unmet(&self) -> Vec<&str> {
        let unmet = self.rows.iter().filter(|row| !row.met.load(Ordering::Relaxed));
        unmet.map(|row| row.answer.as_str()).collect()
    }
}

/// Whether a text is like a pattern, in which `*` stands for anything.
pub(crate) fn is_like(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(start) else { return false };
    (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| is_like(rest, &text[at..]))
}

/// The table's grammar, and that a row explains what it says and no more.
pub(crate) fn rows_explain_what_they_say() {
    let text = "# Title\n\n| what | Kafka |\n|---|---|\n| a | b |\n\n| answer | Kafka 4.1 | here |\n|---|---|---|\n\
        | `A.b[*].error_code` | `NONE` | `INVALID_RECORD` |\n| `A.c` | `*` | `absent` |\n\nText | of | no | table.\n";
    let purposes = Purposes::parse(text);
    let difference = |path: &str, kafka: &str, ours: &str| Difference {
        request: String::from("#1 A"),
        path: path.to_owned(),
        kafka: kafka.to_owned(),
        ours: ours.to_owned(),
    };
    assert_eq!(purposes.unmet(), ["A.b[*].error_code", "A.c"]);
    assert!(purposes.explain(&difference("A.b[orders].error_code", "NONE", "INVALID_RECORD")));
    assert!(!purposes.explain(&difference("A.b[orders].error_code", "INVALID_RECORD", "NONE")));
    assert!(!purposes.explain(&difference("A.b[orders].error_code_2", "NONE", "INVALID_RECORD")));
    assert_eq!(purposes.unmet(), ["A.c"]);
    assert!(purposes.explain(&difference("A.c", "7", ABSENT)) && purposes.unmet().is_empty());
}
