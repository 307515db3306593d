//! Shipped rightly: what left the warehouse was captured and reserved, and left it once.
//!
//! The warehouse's book says what left; each product of each order in it needs one reservation of as many pieces, and an
//! order whose money was kept.

use super::goods::{self, Goods};
use super::money::{self, Money};
use super::reading::{Books, Trouble};
use super::ruling::{Fault, Ruling, counted};
use super::telling::About;
use shakedown_reports::numbers::grouped;
use std::collections::BTreeSet;

pub(super) fn rule(books: &Books<'_>) -> Result<Ruling, Trouble> {
    let all_money = money::read(books)?;
    let mut ruling = Ruling::default();
    let mut orders: BTreeSet<String> = BTreeSet::new();
    let mut pieces = 0_i128;
    for ((order, product), goods) in goods::read(books)? {
        if goods.left.times == 0 {
            continue;
        }
        ruling.compared += 1;
        pieces += i128::from(goods.left.quantity);
        let money = all_money.get(&order).copied().unwrap_or_default();
        if let Some(fault) = wrong(&product, &goods, &money) {
            ruling.broken(&format!("order {order}"), fault, || About::Order(order.clone()));
        }
        orders.insert(order);
    }
    ruling.summary =
        format!("{} pieces of {} left the warehouse", grouped(pieces), counted(orders.len() as u64, "order"));
    Ok(ruling)
}

fn wrong(product: &str, goods: &Goods, money: &Money) -> Option<Fault> {
    let Goods { reserved, left, .. } = goods;
    if left.times > 1 {
        let sent = grouped(left.quantity);
        return Some(Fault::wrong(format!(
            "{product} left the warehouse {} times, {sent} pieces together",
            left.times
        )));
    }
    if money.refunded.times > 0 {
        return Some(Fault::wrong(format!("{product} was shipped, and its money refunded")));
    }
    if reserved.times > 1 {
        return Some(Fault::wrong(format!("{product} was reserved {} times", reserved.times)));
    }
    if reserved.times == 1 && reserved.quantity != left.quantity {
        let (put, sent) = (grouped(reserved.quantity), grouped(left.quantity));
        return Some(Fault::wrong(format!("{put} {product} were reserved, and {sent} shipped")));
    }
    if reserved.times == 0 {
        return Some(Fault::missing(format!("{product} was shipped, but never reserved")));
    }
    (money.captured.times == 0).then(|| Fault::missing(format!("{product} was shipped, but nobody captured its money")))
}
