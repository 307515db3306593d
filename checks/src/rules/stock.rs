//! Stock: of each product, what there was at first is on hand, reserved or shipped, at every moment, and nothing is ever
//! negative.
//!
//! Each movement says what there is after it. That must be what there was before it, with as many pieces moved as it says;
//! before the first, everything is on hand. So no moment is left out, and a movement that is missing shows at the next one.
//! At the end what left the warehouse is, order by order, what the stock's books ship.

use super::goods::{self, MOVEMENTS, Movement};
use super::reading::{Books, Trouble};
use super::ruling::{Fault, Ruling, counted};
use super::telling::{About, event};
use shakedown_reports::books::Fact;
use shakedown_reports::numbers::grouped;
use shakedown_reports::rules::Part;
use std::collections::BTreeMap;

/// On hand, reserved, shipped.
type Levels = [i64; 3];

/// A product as far as its movements have been followed.
struct Shelf {
    initial: i64,
    levels: Levels,
    last: Option<Fact>,
}

pub(super) fn rule(books: &Books<'_>) -> Result<Ruling, Trouble> {
    let mut ruling = Ruling::default();
    let mut shelves: BTreeMap<String, Shelf> = BTreeMap::new();
    let book = books.of(Part::Movements).first().cloned().unwrap_or_default();
    let mut unsaid = false;
    books.visit_known(Part::Movements, MOVEMENTS, &mut |fact| {
        let Some(movement) = Movement::of(&fact.kind) else { return false };
        let (Some(levels), Some(quantity)) = (fact.stock, fact.quantity) else {
            unsaid = true;
            return true;
        };
        ruling.compared += 1;
        let shelf = shelves.entry(fact.part.clone()).or_insert_with(|| {
            let implied = levels.iter().fold(0, |sum, level| level.saturating_add(sum));
            let initial = books.rule.options.initial.get(&fact.part).copied().unwrap_or(implied);
            Shelf { initial, levels: [initial, 0, 0], last: None }
        });
        if let Some(reason) = wrong(shelf.levels, movement, quantity, levels) {
            let subject = format!("product {}", fact.part);
            ruling.broken(&subject, Fault::wrong(reason), || {
                About::Told(shelf.last.iter().chain([fact]).map(|fact| event(&book, fact)).collect())
            });
        }
        shelf.levels = levels;
        shelf.last = Some(fact.clone());
        true
    })?;
    if unsaid {
        let reason = format!("a movement in `{book}` lacks its quantity, or what there is after it");
        return Err(Trouble::Unusable(reason));
    }
    left_the_house(books, &mut ruling)?;
    ruling.summary = summary(&shelves);
    Ok(ruling)
}

/// What is wrong with a movement, if anything.
fn wrong(before: Levels, movement: Movement, quantity: i64, after: Levels) -> Option<String> {
    let [on_hand, reserved, shipped] = before;
    let expected = match movement {
        Movement::Reserve => [on_hand.saturating_sub(quantity), reserved.saturating_add(quantity), shipped],
        Movement::Ship => [on_hand, reserved.saturating_sub(quantity), shipped.saturating_add(quantity)],
        Movement::Release => [on_hand.saturating_add(quantity), reserved.saturating_sub(quantity), shipped],
    };
    if quantity <= 0 {
        return Some(format!("{} pieces moved", grouped(quantity)));
    }
    if after.iter().any(|level| *level < 0) {
        return Some(format!("there is less than nothing: {}", levels_in_words(after)));
    }
    (after != expected)
        .then(|| format!("there should be {}, and is {}", levels_in_words(expected), levels_in_words(after)))
}

/// The warehouse's book against the stock's, order by order.
fn left_the_house(books: &Books<'_>, ruling: &mut Ruling) -> Result<(), Trouble> {
    for ((order, product), goods) in goods::read(books)? {
        if goods.shipped.times == 0 && goods.left.times == 0 {
            continue;
        }
        ruling.compared += 1;
        if goods.shipped.quantity != goods.left.quantity {
            let (shipped, left) = (grouped(goods.shipped.quantity), grouped(goods.left.quantity));
            let reason = format!("{left} {product} left the warehouse, but the stock shipped {shipped}");
            let subject = format!("order {order}");
            ruling.broken(&subject, Fault::missing(reason), || About::Order(order));
        }
    }
    Ok(())
}

fn levels_in_words([on_hand, reserved, shipped]: Levels) -> String {
    format!("{} on hand, {} reserved, {} shipped", grouped(on_hand), grouped(reserved), grouped(shipped))
}

/// `8 products: 8,000,000 = 7,999,000 on hand + 0 reserved + 1,000 shipped`.
fn summary(shelves: &BTreeMap<String, Shelf>) -> String {
    let sum = |level: &dyn Fn(&Shelf) -> i64| shelves.values().map(|shelf| i128::from(level(shelf))).sum::<i128>();
    format!(
        "{}: {} = {} on hand + {} reserved + {} shipped",
        counted(shelves.len() as u64, "product"),
        grouped(sum(&|shelf| shelf.initial)),
        grouped(sum(&|shelf| shelf.levels[0])),
        grouped(sum(&|shelf| shelf.levels[1])),
        grouped(sum(&|shelf| shelf.levels[2]))
    )
}
