//! Captured once: no order is paid twice, and what is kept of it is nothing or its price.
//!
//! The truth is the ledger of whoever moves the money, not the table of the service that asks for it. What makes it a
//! violation is always there to be seen; a refund that is still to come is for [`super::settled`] to miss.

use super::money::{self, Money};
use super::orders::{self, Order};
use super::reading::{Books, Trouble};
use super::ruling::{Fault, Ruling, counted};
use super::telling::About;
use shakedown_reports::numbers::grouped;

pub(super) fn rule(books: &Books<'_>) -> Result<Ruling, Trouble> {
    let orders = orders::read(books)?;
    let all_money = money::read(books)?;
    let mut ruling = Ruling::default();
    let (mut captured, mut refunded) = (0_u64, 0_u64);
    for (id, money) in &all_money {
        ruling.compared += 1;
        captured += money.captured.times;
        refunded += money.refunded.times;
        if let Some(reason) = wrong(money, orders.get(id)) {
            ruling.broken(&format!("order {id}"), Fault::wrong(reason), || About::Order(id.clone()));
        }
    }
    ruling.summary = format!("{}, {}", counted(captured, "capture"), counted(refunded, "refund"));
    Ok(ruling)
}

/// What is wrong with an order's money, if anything.
fn wrong(money: &Money, order: Option<&Order>) -> Option<String> {
    let Money { captured, refunded, .. } = money;
    let (taken, given) = (grouped(captured.sum), grouped(refunded.sum));
    if captured.times > 1 {
        return Some(format!("was captured {} times, {taken} together", captured.times));
    }
    if money.refunded_first {
        return Some(format!("{given} was refunded before anything was captured"));
    }
    if refunded.times > captured.times {
        return Some(format!("was refunded {} times, {given} together, for {taken}", refunded.times));
    }
    if refunded.times > 0 && refunded.sum != captured.sum {
        return Some(format!("{taken} was captured, but {given} refunded"));
    }
    match order {
        Some(order) if captured.times > 0 && captured.sum != order.total => {
            Some(format!("costs {}, but {taken} was captured", grouped(order.total)))
        }
        _ => None,
    }
}
