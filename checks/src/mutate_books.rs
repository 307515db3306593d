//! Mutators of books: each does to a clean book what one class of bug does to a service, or to whoever keeps the book. The
//! rules are trusted because every mutation of every fact is convicted by exactly the rules that it breaks.

use shakedown_reports::books::Fact;
use shakedown_reports::memory::MemoryRecord;

/// One way to falsify a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BookMutation {
    /// The fact is not there.
    Drop,
    /// It is there once more, at the end of the book.
    Duplicate,
    /// It has another amount; where it has none, another number of pieces.
    AlterAmount,
    /// It and the next fact about the same order stand the other way round; where there is none, the next one of the same key;
    /// of facts that have neither order nor key, the next one of the same kind.
    Swap,
    /// It is about another order: that of the next fact about another one.
    MoveEntity,
}

impl BookMutation {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Drop, Self::Duplicate, Self::AlterAmount, Self::Swap, Self::MoveEntity];

    /// Applies it to the fact at `index` of a book. `false`, with the record unchanged, where there is no such fact, or nothing
    /// that the mutation could do to it.
    pub fn apply(self, record: &mut MemoryRecord, book: &str, index: usize) -> bool {
        let Some(facts) = record.books.get_mut(book).filter(|facts| index < facts.len()) else {
            return false;
        };
        match self {
            Self::Drop => drop(facts.remove(index)),
            Self::Duplicate => {
                let position = facts.last().map_or(1, |last| last.position + 1);
                facts.push(Fact { position, ..facts[index].clone() });
            }
            Self::AlterAmount => match &mut facts[index] {
                Fact { amount: Some(number), .. } | Fact { quantity: Some(number), .. } => *number += 1,
                _ => return false,
            },
            Self::Swap => return swap(facts, index),
            Self::MoveEntity => {
                let entity = facts[index].entity.clone();
                let another = facts[index..].iter().chain(&*facts).find(|fact| fact.entity != entity);
                let Some(another) = another.map(|fact| fact.entity.clone()).filter(|_| !entity.is_empty()) else {
                    return false;
                };
                facts[index].entity = another;
            }
        }
        true
    }
}

/// Two facts change places; positions and times belong to the places and stay.
fn swap(facts: &mut [Fact], index: usize) -> bool {
    let first = facts[index].clone();
    let behind = &facts[index + 1..];
    let same_order = |fact: &Fact| !first.entity.is_empty() && fact.entity == first.entity;
    let same_key = |fact: &Fact| !first.key.is_empty() && fact.key == first.key;
    let nameless = first.entity.is_empty() && first.key.is_empty();
    let same_kind = |fact: &Fact| nameless && fact.kind == first.kind;
    let distance = behind.iter().position(same_order).or_else(|| behind.iter().position(same_key));
    let Some(distance) = distance.or_else(|| behind.iter().position(same_kind)) else {
        return false;
    };
    let other = index + 1 + distance;
    let second = facts[other].clone();
    let at = |fact: Fact, place: &Fact| Fact { position: place.position, at_us: place.at_us, ..fact };
    facts[index] = at(second.clone(), &first);
    facts[other] = at(first, &second);
    true
}
