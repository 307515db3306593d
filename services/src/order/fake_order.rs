//! Realistic orders from a seed: the same seed makes the same orders, ids and traces included.
//!
//! No two orders of a run cost the same. Totals that agree downstream therefore agree because every order is there,
//! not because a lost one and a doubled one happened to cancel out.

use super::catalogue::{PRODUCTS, email};
use crate::domain::{OrderDetails, OrderItem};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::borrow::Cow;

/// The cheapest order, in cents.
const TOTAL_MIN: i64 = 500;

/// So many orders cost between [`TOTAL_MIN`] and about a thousand; the next as many cost up to a thousand more, and so
/// on. A prime, so that every step from 1 to one below it visits every price of a block once.
const PRICES_PER_BLOCK: u64 = 99_991;

const ITEMS_MAX: usize = 4;
const QUANTITY_MAX: u32 = 3;

/// An endless series of orders.
#[derive(Debug)]
pub(crate) struct FakeOrders {
    random: ChaCha8Rng,
    users: u32,
    made: u64,
    price_step: u64,
    price_start: u64,
}

impl FakeOrders {
    pub(crate) fn new(seed: u64, users: u32) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let price_step = random.random_range(1..PRICES_PER_BLOCK);
        let price_start = random.random_range(0..PRICES_PER_BLOCK);
        Self { random, users, made: 0, price_step, price_start }
    }

    /// The next order, with its total.
    pub(crate) fn next_order(&mut self, created_at_us: u64) -> (OrderDetails<'static>, i64) {
        let total = self.next_total();
        let user = self.random.random_range(0..self.users);
        let mut id = [0; 16];
        self.random.fill_bytes(&mut id);
        let order = OrderDetails {
            order_id: Cow::Owned(uuid::Builder::from_random_bytes(id).into_uuid().hyphenated().to_string()),
            user_id: Cow::Owned(format!("user-{user}")),
            user_email: Cow::Owned(email(user)),
            items: self.items(total),
            created_at_us,
        };
        (order, total)
    }

    /// A price that no order of this series had before: blocks do not overlap, and within a block an affine step
    /// modulo a prime is a bijection.
    fn next_total(&mut self) -> i64 {
        let block = self.made / PRICES_PER_BLOCK;
        let place = u128::from(self.made % PRICES_PER_BLOCK);
        let stepped =
            (place * u128::from(self.price_step) + u128::from(self.price_start)) % u128::from(PRICES_PER_BLOCK);
        self.made += 1;
        let stepped = i64::try_from(stepped).unwrap_or(i64::MAX);
        let block_start = i64::try_from(block * PRICES_PER_BLOCK).unwrap_or(i64::MAX);
        TOTAL_MIN.saturating_add(block_start).saturating_add(stepped)
    }

    /// Lines that add up to exactly `total`.
    fn items(&mut self, total: i64) -> Vec<OrderItem<'static>> {
        let lines = self.random.random_range(1..=ITEMS_MAX);
        let mut items = Vec::with_capacity(lines);
        let mut remaining = total;
        for _ in 1..lines {
            let quantity = self.random.random_range(1..=QUANTITY_MAX);
            // At most half of what is left, so that the last line is never free.
            let price_max = remaining / (2 * i64::from(quantity));
            let unit_price = self.random.random_range(1..=price_max.max(1));
            remaining -= unit_price * i64::from(quantity);
            items.push(self.item(quantity, unit_price));
        }
        items.push(self.item(1, remaining));
        items
    }

    fn item(&mut self, quantity: u32, unit_price: i64) -> OrderItem<'static> {
        let product = PRODUCTS[self.random.random_range(0..PRODUCTS.len())];
        OrderItem { product: Cow::Borrowed(product), quantity, unit_price }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use uuid::Uuid;

    #[test]
    fn every_order_adds_up_to_a_total_of_its_own() {
        let mut orders = FakeOrders::new(42, 50);
        let mut totals = HashSet::new();
        let mut ids = HashSet::new();
        // Beyond one block of prices.
        for number in 0..250_000_u64 {
            let (order, total) = orders.next_order(number);
            assert_eq!(order.total_cost().unwrap(), total);
            assert!(order.items.iter().all(|item| item.unit_price >= 1 && item.quantity >= 1), "{order:?}");
            assert!(totals.insert(total), "order {number} costs {total}, as another does");
            assert!(ids.insert(order.order_id.into_owned()));
        }
    }

    #[test]
    fn the_seed_decides_everything() {
        let (first, _) = FakeOrders::new(1, 100).next_order(5);
        assert_eq!(FakeOrders::new(1, 100).next_order(5).0, first);
        assert_ne!(FakeOrders::new(2, 100).next_order(5).0.order_id, first.order_id);
        assert_eq!(Uuid::parse_str(&first.order_id).unwrap().get_version_num(), 4);
    }

    #[test]
    fn users_are_as_many_as_asked_for() {
        let mut orders = FakeOrders::new(3, 4);
        let users: HashSet<String> = (0..200).map(|_| orders.next_order(0).0.user_id.into_owned()).collect();
        let expected: HashSet<String> = (0..4).map(|user| format!("user-{user}")).collect();
        assert_eq!(users, expected);
    }
}
