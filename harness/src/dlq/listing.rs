//! How many letters there are, by topic, service and reason.

use super::display::one_line;
use super::error::DlqError;
use super::letter::Letter;
use super::post::Post;
use shakedown_reports::numbers::grouped;
use std::collections::BTreeMap;
use std::fmt;

/// So many different reasons are told apart in one topic; whatever comes behind them is counted together.
const REASONS_MAX: usize = 1000;

/// So many of them are shown, those with most letters first.
const ROWS_MAX: usize = 20;

/// The longest reason that is shown, in characters.
const REASON_CHARACTERS_MAX: usize = 100;

/// The letters of one topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pile {
    /// The topic.
    pub topic: String,
    /// Those that are there.
    pub letters: u64,
    /// Those of them that the group remembers.
    pub replayed: u64,
    /// How many there are of each service and reason.
    kinds: BTreeMap<(String, String), u64>,
    /// Those whose reason is one too many.
    others: u64,
}

/// Counts the letters of all topics of dead letters, or of this one.
///
/// # Errors
/// See [`DlqError`].
pub fn count(post: &Post, only: Option<&str>) -> Result<Vec<Pile>, DlqError> {
    let mut piles = Vec::new();
    for (topic, partitions) in post.dead_letter_topics(only)? {
        let mut pile = Pile { topic, ..Pile::default() };
        let memories = post.memories(&pile.topic, partitions)?;
        for (partition, memory) in (0..partitions).zip(&memories) {
            let topic = pile.topic.clone();
            post.read(&topic, partition, post.extent(&topic, partition)?, &mut |letter| {
                pile.replayed += u64::from(memory.has(letter.offset));
                pile.add(&letter);
                Ok(true)
            })?;
        }
        piles.push(pile);
    }
    Ok(piles)
}

impl Pile {
    fn add(&mut self, letter: &Letter) {
        self.letters += 1;
        let unknown = |what: &str| format!("(no dlq-{what})");
        let kind = (
            letter.service().unwrap_or_else(|| unknown("service")),
            letter.reason().unwrap_or_else(|| unknown("reason")),
        );
        if let Some(count) = self.kinds.get_mut(&kind) {
            *count += 1;
        } else if self.kinds.len() < REASONS_MAX {
            self.kinds.insert(kind, 1);
        } else {
            self.others += 1;
        }
    }
}

impl fmt::Display for Pile {
    /// The topic's line, and one for each service and reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |count: u64| grouped(count);
        writeln!(f, "{:<40} {:>9} {:>9}", self.topic, number(self.letters), number(self.replayed))?;
        let mut rows: Vec<_> = self.kinds.iter().collect();
        // The order of names where the counts are the same: a stable sort keeps it.
        rows.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for ((service, reason), count) in rows.iter().take(ROWS_MAX) {
            let (service, reason) = (one_line(service, 30), one_line(reason, REASON_CHARACTERS_MAX));
            writeln!(f, "  {:>10}  {service:<14}  {reason}", number(**count))?;
        }
        let rest: u64 = rows.iter().skip(ROWS_MAX).map(|(_, count)| **count).sum::<u64>() + self.others;
        if rest > 0 {
            writeln!(f, "  {:>10}  for other reasons", number(rest))?;
        }
        Ok(())
    }
}

/// The whole table.
#[must_use]
pub fn table(piles: &[Pile]) -> String {
    if piles.is_empty() {
        return "no topics of dead letters: their names end in .dlq\n".to_owned();
    }
    let mut text = format!("{:<40} {:>9} {:>9}\n", "topic", "letters", "replayed");
    text.extend(piles.iter().map(Pile::to_string));
    text
}

#[cfg(test)]
mod tests {
    use super::super::letter::tests::letter;
    use super::*;

    fn pile(letters: &[(&str, &str)]) -> Pile {
        let mut pile = Pile { topic: "orders.dlq".to_owned(), replayed: 1, ..Pile::default() };
        for (service, reason) in letters {
            pile.add(&letter("orders.dlq", &[("dlq-service", service), ("dlq-reason", reason)]));
        }
        pile
    }

    #[test]
    fn reasons_are_counted_and_shown_with_the_most_frequent_first() {
        let mut pile = pile(&[("payment", "not JSON"), ("inventory", "503\nand more"), ("payment", "not JSON")]);
        pile.add(&letter("orders.dlq", &[]));
        insta::assert_snapshot!(table(&[pile, Pile { topic: "empty.dlq".to_owned(), ..Pile::default() }]));
    }

    #[test]
    fn letters_that_all_have_reasons_of_their_own_are_bounded() {
        let reasons: Vec<String> = (0..1500).map(|n| format!("order {n:04} is unknown")).collect();
        let letters: Vec<(&str, &str)> = reasons.iter().map(|reason| ("order", reason.as_str())).collect();
        let pile = pile(&letters);
        assert_eq!((pile.kinds.len(), pile.others, pile.letters), (1000, 500, 1500));
        let text = pile.to_string();
        assert_eq!(text.lines().count(), 1 + ROWS_MAX + 1);
        assert!(text.ends_with("1,480  for other reasons\n"), "{text}");
    }
}
