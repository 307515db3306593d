//! How much there is of each product, and what moves it. Every change is one transaction that reads, decides and writes, and
//! leaves a line in the audit trail for each product.

use crate::clock::unix_us;
use crate::shop::catalogue::Catalogue;
use crate::shop::facts::Item;
use crate::store::{BulkInsert, Page, Positions, Store, StoreTransaction, select_in};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::any::AnyRow;
use std::collections::{BTreeMap, HashMap};
use utoipa::ToSchema;

const FILL: BulkInsert = BulkInsert {
    into: "INSERT INTO stock (product_id, initial, on_hand, reserved, shipped)",
    columns: 5,
    then: "ON CONFLICT (product_id) DO NOTHING",
};

const CHANGE: BulkInsert = BulkInsert {
    into: "INSERT INTO stock (product_id, initial, on_hand, reserved, shipped)",
    columns: 5,
    then: "ON CONFLICT (product_id) DO UPDATE SET on_hand = excluded.on_hand, reserved = excluded.reserved,
           shipped = excluded.shipped",
};

const RESERVATIONS: BulkInsert = BulkInsert {
    into: "INSERT INTO reservations (reservation_id, order_id, state, quantities, at_us)",
    columns: 5,
    then: "ON CONFLICT (reservation_id) DO UPDATE SET state = excluded.state",
};

const MOVEMENTS: BulkInsert = BulkInsert {
    into: "INSERT INTO movements (position, order_id, product_id, kind, quantity, on_hand, reserved, shipped, at_us)",
    columns: 9,
    then: "",
};

/// Quantities by product.
pub(super) type Quantities = BTreeMap<String, i64>;

/// A product, as `GET /inventory` shows it: `initial` = `on_hand` + `reserved` + `shipped`, always.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(super) struct Product {
    pub(super) product_id: String,
    pub(super) initial: i64,
    pub(super) on_hand: i64,
    pub(super) reserved: i64,
    pub(super) shipped: i64,
}

/// What is asked to be put aside for an order.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// The same again is the same reservation.
    pub(super) reservation_id: String,
    pub(super) order_id: String,
    pub(super) quantities: Quantities,
}

/// Whether it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reserved {
    Yes,
    /// There is not enough of something; nothing of it is put aside.
    No,
}

/// What becomes of what was put aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It has left the house.
    Shipped,
    /// It is free again.
    Released,
}

impl End {
    fn state(self) -> &'static str {
        match self {
            Self::Shipped => "shipped",
            Self::Released => "released",
        }
    }
}

/// Something moved, as the audit trail tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Movement {
    /// Ascends in the order of commits.
    pub(super) position: i64,
    pub(super) order_id: String,
    pub(super) product_id: String,
    /// `reserve`, `ship` or `release`.
    pub(super) kind: String,
    pub(super) quantity: i64,
    /// Afterwards.
    pub(super) on_hand: i64,
    pub(super) reserved: i64,
    pub(super) shipped: i64,
    pub(super) at_us: i64,
}

/// The stock; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Stock {
    store: Store,
}

/// The products that one transaction moves.
struct Shelves {
    products: HashMap<String, Product>,
    moved: Vec<Movement>,
    at_us: i64,
}

impl Stock {
    pub(super) fn new(store: &Store) -> Self {
        Self { store: store.clone() }
    }

    /// Puts the first stock of new products on the shelves.
    pub(super) async fn fill(&self, catalogue: &Catalogue) -> Result<(), sqlx::Error> {
        let products: Vec<(&str, i64)> = catalogue.stock().collect();
        let mut transaction = self.store.begin().await?;
        FILL.execute(&mut transaction, &products, |query, (product_id, stock)| {
            query.bind((*product_id).to_owned()).bind(*stock).bind(*stock).bind(0_i64).bind(0_i64)
        })
        .await?;
        transaction.commit().await
    }

    /// Puts aside what is wanted, in this order; what was decided before stays decided.
    pub(super) async fn reserve(&self, wanted: &[Wanted]) -> Result<Vec<Reserved>, sqlx::Error> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut transaction = self.store.begin().await?;
        let ids: Vec<&str> = wanted.iter().map(|wanted| wanted.reservation_id.as_str()).collect();
        let mut decided = decided(&mut transaction, &ids).await?;
        let open = wanted.iter().filter(|wanted| !decided.contains_key(&wanted.reservation_id));
        let mut shelves = Shelves::load(&mut transaction, open.clone().map(|wanted| &wanted.quantities)).await?;
        let mut new: Vec<(&Wanted, Reserved)> = Vec::new();
        for wanted in wanted {
            if !decided.contains_key(&wanted.reservation_id) {
                let reserved = shelves.reserve(wanted);
                let state = if reserved == Reserved::Yes { "reserved" } else { "rejected" };
                decided.insert(wanted.reservation_id.clone(), state.to_owned());
                new.push((wanted, reserved));
            }
        }
        RESERVATIONS
            .execute(&mut transaction, &new, |query, (wanted, reserved)| {
                query
                    .bind(wanted.reservation_id.clone())
                    .bind(wanted.order_id.clone())
                    .bind(if *reserved == Reserved::Yes { "reserved" } else { "rejected" })
                    .bind(serde_json::to_string(&wanted.quantities).unwrap_or_default())
                    .bind(shelves.at_us)
            })
            .await?;
        shelves.store(&mut transaction).await?;
        transaction.commit().await?;
        let is_reserved =
            |wanted: &Wanted| decided.get(&wanted.reservation_id).is_some_and(|state| state != "rejected");
        Ok(wanted.iter().map(|wanted| if is_reserved(wanted) { Reserved::Yes } else { Reserved::No }).collect())
    }

    /// What is put aside for these orders and has come to no end, by order.
    pub(super) async fn held(&self, order_ids: &[&str]) -> Result<HashMap<String, Wanted>, sqlx::Error> {
        let mut connection = self.store.warm().await?;
        let select =
            "SELECT reservation_id, order_id, quantities FROM reservations WHERE state = 'reserved' AND order_id IN";
        let mut held = HashMap::new();
        for row in select_in(&mut connection, select, order_ids).await? {
            let (reservation_id, order_id, quantities): (String, String, String) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let quantities =
                serde_json::from_str(&quantities).map_err(|failure| sqlx::Error::Decode(failure.into()))?;
            held.insert(order_id.clone(), Wanted { reservation_id, order_id, quantities });
        }
        Ok(held)
    }

    /// What was put aside comes to its end. Returns the reservations for which it had not before.
    pub(super) async fn end(
        transaction: &mut StoreTransaction,
        ended: &[(Wanted, End)],
    ) -> Result<Vec<String>, sqlx::Error> {
        let ids: Vec<&str> = ended.iter().map(|(wanted, _)| wanted.reservation_id.as_str()).collect();
        let mut decided = decided(transaction, &ids).await?;
        let mut leaving: Vec<&(Wanted, End)> = Vec::with_capacity(ended.len());
        for ending in ended {
            let (wanted, end) = ending;
            // Once, even if it is named twice.
            if decided.get(&wanted.reservation_id).is_some_and(|state| state == "reserved") {
                decided.insert(wanted.reservation_id.clone(), end.state().to_owned());
                leaving.push(ending);
            }
        }
        let mut shelves = Shelves::load(transaction, leaving.iter().map(|(wanted, _)| &wanted.quantities)).await?;
        for (wanted, end) in &leaving {
            shelves.end(wanted, *end);
        }
        RESERVATIONS
            .execute(transaction, &leaving, |query, (wanted, end)| {
                query
                    .bind(wanted.reservation_id.clone())
                    .bind(wanted.order_id.clone())
                    .bind(end.state())
                    .bind(serde_json::to_string(&wanted.quantities).unwrap_or_default())
                    .bind(shelves.at_us)
            })
            .await?;
        shelves.store(transaction).await?;
        Ok(leaving.into_iter().map(|(wanted, _)| wanted.reservation_id.clone()).collect())
    }

    /// Every product, by id.
    pub(super) async fn products(&self) -> Result<Vec<Product>, sqlx::Error> {
        sqlx::query("SELECT product_id, initial, on_hand, reserved, shipped FROM stock ORDER BY product_id")
            .try_map(|row| product(&row))
            .fetch_all(self.store.readers())
            .await
    }

    /// A page of the audit trail.
    pub(super) async fn movements(self, page: Page) -> Result<Vec<Movement>, sqlx::Error> {
        sqlx::query(
            "SELECT position, order_id, product_id, kind, quantity, on_hand, reserved, shipped, at_us FROM movements
             WHERE position > $1 ORDER BY position LIMIT $2",
        )
        .bind(page.after)
        .bind(i64::from(page.limit))
        .try_map(|row| movement(&row))
        .fetch_all(self.store.readers())
        .await
    }
}

impl Shelves {
    async fn load<'a>(
        transaction: &mut StoreTransaction,
        quantities: impl Iterator<Item = &'a Quantities>,
    ) -> Result<Self, sqlx::Error> {
        let mut ids: Vec<&str> = quantities.flat_map(|quantities| quantities.keys().map(String::as_str)).collect();
        ids.sort_unstable();
        ids.dedup();
        let select = "SELECT product_id, initial, on_hand, reserved, shipped FROM stock WHERE product_id IN";
        let rows = select_in(transaction, select, &ids).await?;
        let products: Vec<Product> = rows.iter().map(product).collect::<Result<_, _>>()?;
        let products = products.into_iter().map(|product| (product.product_id.clone(), product)).collect();
        Ok(Self { products, moved: Vec::new(), at_us: i64::try_from(unix_us()).unwrap_or(i64::MAX) })
    }

    /// All of it, or nothing.
    fn reserve(&mut self, wanted: &Wanted) -> Reserved {
        let is_there = |(product_id, quantity): (&String, &i64)| {
            self.products.get(product_id).is_some_and(|product| product.on_hand >= *quantity)
        };
        if !wanted.quantities.iter().all(is_there) {
            return Reserved::No;
        }
        self.shift(wanted, "reserve", |product, quantity| {
            product.on_hand -= quantity;
            product.reserved += quantity;
        });
        Reserved::Yes
    }

    fn end(&mut self, wanted: &Wanted, end: End) {
        match end {
            End::Shipped => self.shift(wanted, "ship", |product, quantity| {
                product.reserved -= quantity;
                product.shipped += quantity;
            }),
            End::Released => self.shift(wanted, "release", |product, quantity| {
                product.reserved -= quantity;
                product.on_hand += quantity;
            }),
        }
    }

    fn shift(&mut self, wanted: &Wanted, kind: &str, shift: impl Fn(&mut Product, i64)) {
        for (product_id, quantity) in &wanted.quantities {
            let Some(product) = self.products.get_mut(product_id) else { continue };
            shift(product, *quantity);
            self.moved.push(Movement {
                position: 0,
                order_id: wanted.order_id.clone(),
                product_id: product_id.clone(),
                kind: kind.to_owned(),
                quantity: *quantity,
                on_hand: product.on_hand,
                reserved: product.reserved,
                shipped: product.shipped,
                at_us: self.at_us,
            });
        }
    }

    /// Writes what moved.
    async fn store(&self, transaction: &mut StoreTransaction) -> Result<(), sqlx::Error> {
        if self.moved.is_empty() {
            return Ok(());
        }
        let products: Vec<&Product> = self.products.values().collect();
        CHANGE
            .execute(transaction, &products, |query, product| {
                query
                    .bind(product.product_id.clone())
                    .bind(product.initial)
                    .bind(product.on_hand)
                    .bind(product.reserved)
                    .bind(product.shipped)
            })
            .await?;
        let first = Positions::Ledger.take(transaction, self.moved.len()).await?;
        let numbered: Vec<(i64, &Movement)> = (first..).zip(&self.moved).collect();
        MOVEMENTS
            .execute(transaction, &numbered, |query, (position, moved)| {
                query
                    .bind(*position)
                    .bind(moved.order_id.clone())
                    .bind(moved.product_id.clone())
                    .bind(moved.kind.clone())
                    .bind(moved.quantity)
                    .bind(moved.on_hand)
                    .bind(moved.reserved)
                    .bind(moved.shipped)
                    .bind(moved.at_us)
            })
            .await?;
        Ok(())
    }
}

/// The quantities of an order's lines, the same product's together.
pub(super) fn quantities(items: &[Item]) -> Quantities {
    let mut quantities = Quantities::new();
    for item in items {
        *quantities.entry(item.product_id.clone()).or_default() += i64::from(item.quantity);
    }
    quantities
}

/// The states of these reservations.
async fn decided(transaction: &mut StoreTransaction, ids: &[&str]) -> Result<HashMap<String, String>, sqlx::Error> {
    let select = "SELECT reservation_id, state FROM reservations WHERE reservation_id IN";
    let rows = select_in(transaction, select, ids).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

fn product(row: &AnyRow) -> Result<Product, sqlx::Error> {
    Ok(Product {
        product_id: row.try_get(0)?,
        initial: row.try_get(1)?,
        on_hand: row.try_get(2)?,
        reserved: row.try_get(3)?,
        shipped: row.try_get(4)?,
    })
}

fn movement(row: &AnyRow) -> Result<Movement, sqlx::Error> {
    Ok(Movement {
        position: row.try_get(0)?,
        order_id: row.try_get(1)?,
        product_id: row.try_get(2)?,
        kind: row.try_get(3)?,
        quantity: row.try_get(4)?,
        on_hand: row.try_get(5)?,
        reserved: row.try_get(6)?,
        shipped: row.try_get(7)?,
        at_us: row.try_get(8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;
    use crate::store::{testing, with_shared};

    async fn stock(place: &testing::Place, catalogue: &str) -> Stock {
        let stock = Stock::new(&place.open(&with_shared(&sqlx::migrate!("migrations/inventory"))).await);
        let environment = Environment::from_iter([("CATALOGUE", catalogue)]);
        stock.fill(&Catalogue::read(&environment).unwrap()).await.unwrap();
        stock
    }

    fn wanted(order_id: &str, quantities: &[(&str, i64)]) -> Wanted {
        let quantities = quantities.iter().map(|(product, quantity)| ((*product).to_owned(), *quantity)).collect();
        Wanted { reservation_id: order_id.to_owned(), order_id: order_id.to_owned(), quantities }
    }

    /// On hand, reserved, shipped.
    async fn levels(stock: &Stock, product_id: &str) -> (i64, i64, i64) {
        let products = stock.products().await.unwrap();
        let product = products.into_iter().find(|product| product.product_id == product_id).unwrap();
        assert_eq!(product.initial, product.on_hand + product.reserved + product.shipped);
        (product.on_hand, product.reserved, product.shipped)
    }

    async fn ship(stock: &Stock, shipped: &[Wanted]) -> usize {
        end(stock, shipped, End::Shipped).await
    }

    async fn end(stock: &Stock, ended: &[Wanted], how: End) -> usize {
        let mut transaction = stock.store.begin().await.unwrap();
        let ended: Vec<(Wanted, End)> = ended.iter().map(|wanted| (wanted.clone(), how)).collect();
        let left = Stock::end(&mut transaction, &ended).await.unwrap();
        transaction.commit().await.unwrap();
        left.len()
    }

    #[tokio::test]
    async fn an_order_gets_all_it_wants_or_nothing() {
        for place in testing::places() {
            let stock = stock(&place, "tea=5,mug=1").await;
            let orders =
                [wanted("a", &[("tea", 3)]), wanted("b", &[("mug", 1), ("tea", 3)]), wanted("c", &[("tea", 2)])];
            let reserved = stock.reserve(&orders).await.unwrap();
            assert_eq!(reserved, [Reserved::Yes, Reserved::No, Reserved::Yes]);
            assert_eq!(levels(&stock, "tea").await, (0, 5, 0));
            assert_eq!(levels(&stock, "mug").await, (1, 0, 0), "nothing of an order that cannot be served");
            let unknown = stock.reserve(&[wanted("d", &[("coffee", 1)])]).await.unwrap();
            assert_eq!(unknown, [Reserved::No]);
        }
    }

    #[tokio::test]
    async fn what_was_decided_stays_decided() {
        for place in testing::places() {
            let stock = stock(&place, "tea=5").await;
            let orders = [wanted("a", &[("tea", 3)]), wanted("b", &[("tea", 3)]), wanted("a", &[("tea", 3)])];
            for _ in 0..2 {
                let reserved = stock.reserve(&orders).await.unwrap();
                assert_eq!(reserved, [Reserved::Yes, Reserved::No, Reserved::Yes]);
                assert_eq!(levels(&stock, "tea").await, (2, 3, 0));
            }
            assert_eq!(ship(&stock, &[orders[0].clone(), orders[0].clone(), orders[1].clone()]).await, 1);
            assert_eq!(ship(&stock, &orders).await, 0);
            assert_eq!(levels(&stock, "tea").await, (2, 0, 3));
            assert_eq!(stock.reserve(&orders[..1]).await.unwrap(), [Reserved::Yes], "it is shipped");
        }
    }

    #[tokio::test]
    async fn what_is_released_can_be_had_by_another() {
        for place in testing::places() {
            let stock = stock(&place, "tea=3").await;
            let order = wanted("a", &[("tea", 3)]);
            stock.reserve(std::slice::from_ref(&order)).await.unwrap();
            assert_eq!(stock.held(&["a", "b"]).await.unwrap().len(), 1);
            assert_eq!(end(&stock, &[order.clone(), order.clone()], End::Released).await, 1);
            assert_eq!(levels(&stock, "tea").await, (3, 0, 0));
            assert_eq!(ship(&stock, &[order]).await, 0, "it is not there any more");
            assert!(stock.held(&["a"]).await.unwrap().is_empty());
            assert_eq!(stock.reserve(&[wanted("b", &[("tea", 3)])]).await.unwrap(), [Reserved::Yes]);
        }
    }

    #[tokio::test]
    async fn the_audit_trail_tells_every_movement() {
        for place in testing::places() {
            let stock = stock(&place, "tea=9").await;
            let order = wanted("a", &[("tea", 4)]);
            stock.reserve(std::slice::from_ref(&order)).await.unwrap();
            ship(&stock, &[order]).await;
            let moved = stock.movements(Page { after: 0, limit: 10 }).await.unwrap();
            let told: Vec<(i64, &str, i64, i64, i64, i64)> = moved
                .iter()
                .map(|moved| {
                    let Movement { position, kind, quantity, on_hand, reserved, shipped, .. } = moved;
                    (*position, kind.as_str(), *quantity, *on_hand, *reserved, *shipped)
                })
                .collect();
            assert_eq!(told, [(1, "reserve", 4, 5, 4, 0), (2, "ship", 4, 5, 0, 4)]);
        }
    }

    #[tokio::test]
    async fn shelves_are_filled_once() {
        for place in testing::places() {
            let first = stock(&place, "tea=5").await;
            first.reserve(&[wanted("a", &[("tea", 3)])]).await.unwrap();
            let again = stock(&place, "tea=7,mug=1").await;
            assert_eq!(levels(&again, "tea").await, (2, 3, 0));
            assert_eq!(levels(&again, "mug").await, (1, 0, 0), "a new product");
        }
    }
}
