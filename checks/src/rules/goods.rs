//! What the parts `movements` and `shipments` say of each product of each order.

use super::reading::{Books, Trouble};
use shakedown_reports::books::Fact;
use shakedown_reports::rules::Part;
use std::collections::BTreeMap;

/// How often, and how many together.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pieces {
    pub(super) times: u64,
    pub(super) quantity: i64,
}

/// One product of one order.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Goods {
    pub(super) reserved: Pieces,
    pub(super) released: Pieces,
    /// By the stock's books.
    pub(super) shipped: Pieces,
    /// By the warehouse's.
    pub(super) left: Pieces,
}

/// Goods by order and product.
pub(super) type AllGoods = BTreeMap<(String, String), Goods>;

/// What a movement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Movement {
    Reserve,
    Ship,
    Release,
}

impl Movement {
    /// By the words of the services and by those of [`Fact::kind`].
    pub(super) fn of(kind: &str) -> Option<Self> {
        match kind {
            "reserve" | "reserved" => Some(Self::Reserve),
            "ship" | "shipped" => Some(Self::Ship),
            "release" | "released" => Some(Self::Release),
            _ => None,
        }
    }
}

/// The kinds that movements have.
pub(super) const MOVEMENTS: &str = "`reserve`, `ship` and `release`";

impl Pieces {
    fn add(&mut self, fact: &Fact) {
        self.times += 1;
        self.quantity = self.quantity.saturating_add(fact.quantity.unwrap_or_default());
    }
}

/// Everything that moved.
pub(super) fn read(books: &Books<'_>) -> Result<AllGoods, Trouble> {
    let mut all = AllGoods::new();
    books.visit_known(Part::Movements, MOVEMENTS, &mut |fact| {
        let Some(movement) = Movement::of(&fact.kind) else { return false };
        let goods = all.entry((fact.entity.clone(), fact.part.clone())).or_default();
        match movement {
            Movement::Reserve => goods.reserved.add(fact),
            Movement::Ship => goods.shipped.add(fact),
            Movement::Release => goods.released.add(fact),
        }
        true
    })?;
    books.visit_known(Part::Shipments, "`shipped`", &mut |fact| {
        let ships = Movement::of(&fact.kind) == Some(Movement::Ship);
        if ships {
            all.entry((fact.entity.clone(), fact.part.clone())).or_default().left.add(fact);
        }
        // Where the stock's own book stands in for a warehouse that nobody plays.
        ships || books.of(Part::Shipments) == books.of(Part::Movements)
    })?;
    Ok(all)
}
