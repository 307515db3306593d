//! Released: what nobody pays for is given back, once for each reservation, and is not shipped; what is captured late all the
//! same is refunded.
//!
//! An order failed if its status or the money says so. Its reservations and releases must be the same, product by product. An
//! order that did not fail must have no release.

use super::goods::{self, Goods};
use super::money::{self, Money};
use super::orders::{self, Order};
use super::reading::{Books, Trouble};
use super::ruling::{Fault, Ruling, counted};
use super::telling::About;
use shakedown_reports::numbers::grouped;
use shakedown_reports::rules::RuleOptions;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn rule(books: &Books<'_>) -> Result<Ruling, Trouble> {
    let orders = orders::read(books)?;
    let all_money = money::read(books)?;
    let all_goods = goods::read(books)?;
    let mut of_order: BTreeMap<&str, Vec<(&str, &Goods)>> = BTreeMap::new();
    for ((order, product), goods) in &all_goods {
        of_order.entry(order).or_default().push((product, goods));
    }
    let ids: BTreeSet<&str> =
        orders.keys().chain(all_money.keys()).map(String::as_str).chain(of_order.keys().copied()).collect();
    let mut ruling = Ruling::default();
    let (mut failures, mut releases) = (0_u64, 0_u64);
    for id in ids {
        let money = all_money.get(id).copied().unwrap_or_default();
        let goods = of_order.get(id).map(Vec::as_slice).unwrap_or_default();
        let failed = has_failed(orders.get(id), &money, &books.rule.options);
        ruling.compared += 1;
        failures += u64::from(failed);
        releases += goods.iter().map(|(_, goods)| goods.released.times).sum::<u64>();
        let fault = if failed { wrong_with_failed(&money, goods) } else { wrong_with_paid(goods) };
        if let Some(fault) = fault {
            ruling.broken(&format!("order {id}"), fault, || About::Order(id.to_owned()));
        }
    }
    let orders = counted(ruling.compared, "order");
    ruling.summary = format!("{} of {orders} failed; {}", grouped(failures), counted(releases, "release"));
    Ok(ruling)
}

fn has_failed(order: Option<&Order>, money: &Money, options: &RuleOptions) -> bool {
    let by_status = order
        .is_some_and(|order| options.declined.contains(&order.status) || options.cancelled.contains(&order.status));
    by_status || money.refunded.times > 0 || (money.declined.times > 0 && money.captured.times == 0)
}

fn wrong_with_failed(money: &Money, goods: &[(&str, &Goods)]) -> Option<Fault> {
    for (product, Goods { reserved, released, shipped, left }) in goods {
        let sent = shipped.quantity.max(left.quantity);
        if shipped.times > 0 || left.times > 0 {
            return Some(Fault::wrong(format!("nobody paid for it, and {} {product} were shipped", grouped(sent))));
        }
        if released.times > reserved.times || released.quantity > reserved.quantity {
            let (given, taken) = (grouped(released.quantity), grouped(reserved.quantity));
            return Some(Fault::wrong(format!("{given} {product} were released, and {taken} had been reserved")));
        }
        if released != reserved {
            let left = grouped(reserved.quantity.saturating_sub(released.quantity));
            return Some(Fault::missing(format!("nobody paid for it, and {left} {product} were never released")));
        }
    }
    (money.kept() != 0)
        .then(|| Fault::missing(format!("it failed, but {} is captured and was never refunded", grouped(money.kept()))))
}

fn wrong_with_paid(goods: &[(&str, &Goods)]) -> Option<Fault> {
    let (product, given) = goods.iter().find(|(_, goods)| goods.released.times > 0)?;
    let pieces = grouped(given.released.quantity);
    Some(Fault::missing(format!("{pieces} {product} were released, though it did not fail")))
}
