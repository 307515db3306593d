//! Settled: every accepted order was captured, declined or cancelled, nothing is in flight, for each order and in money.
//!
//! An order's status says how it ended; the books about money say whether that is so. They must tell of the same orders: one
//! that was captured and never accepted is nobody's. When every order agrees, amounts included, so do the totals; the
//! summary shows them.

use super::money::{self, Money};
use super::orders::{self, Order};
use super::reading::{Books, Trouble};
use super::ruling::{Fault, Ruling, counted};
use super::telling::About;
use shakedown_reports::numbers::grouped;
use shakedown_reports::rules::RuleOptions;

/// How an order ended.
#[derive(Clone, Copy)]
enum End {
    Captured,
    Declined,
    Cancelled,
}

pub(super) fn rule(books: &Books<'_>) -> Result<Ruling, Trouble> {
    let orders = orders::read(books)?;
    let mut all_money = money::read(books)?;
    let mut ruling = Ruling::default();
    // Orders and money: captured, declined, cancelled.
    let mut ends = [(0_u64, 0_i128); 3];
    let mut accepted = 0_i128;
    for (id, order) in &orders {
        let money = all_money.remove(id).unwrap_or_default();
        ruling.compared += 1;
        accepted += i128::from(order.total);
        match end(order, &money, &books.rule.options) {
            Ok(end) => {
                let (count, sum) = &mut ends[end as usize];
                *count += 1;
                *sum += i128::from(order.total);
            }
            Err(fault) => ruling.broken(&format!("order {id}"), fault, || About::Order(id.clone())),
        }
    }
    for (id, money) in &all_money {
        ruling.compared += 1;
        let what = if money.captured.times > 0 { "captured" } else { "declined" };
        let fault = Fault::missing(format!("was {what}, but never accepted"));
        ruling.broken(&format!("order {id}"), fault, || About::Order(id.clone()));
    }
    let told = ends.map(|(count, sum)| format!("{} over {}", grouped(count), grouped(sum)));
    ruling.summary = format!(
        "{} over {} = {} captured + {} declined + {} cancelled",
        counted(orders.len() as u64, "order"),
        grouped(accepted),
        told[0],
        told[1],
        told[2]
    );
    Ok(ruling)
}

/// How the order ended, if its money says the same.
fn end(order: &Order, money: &Money, options: &RuleOptions) -> Result<End, Fault> {
    let (status, total) = (&order.status, order.total);
    match order.accepted {
        0 => return Err(Fault::missing("has steps, but was never accepted")),
        1 => {}
        times => return Err(Fault::wrong(format!("was accepted {times} times"))),
    }
    if order.total_changes {
        return Err(Fault::wrong("its price changes from step to step"));
    }
    let costs = grouped(total);
    if options.captured.contains(status) {
        return match (money.captured.times, money.kept()) {
            (0, _) => Err(Fault::missing(format!("is {status}, but nobody captured its {costs}"))),
            (_, kept) if kept != total => {
                Err(Fault::missing(format!("is {status} over {costs}, but {} is captured", grouped(kept))))
            }
            _ => Ok(End::Captured),
        };
    }
    if !options.declined.contains(status) && !options.cancelled.contains(status) {
        return Err(Fault::missing(format!("is still {status}: in flight")));
    }
    if money.kept() != 0 {
        let kept = grouped(money.kept());
        return Err(Fault::missing(format!("is {status}, but {kept} of it is captured and not refunded")));
    }
    let Money { captured, refunded, declined, .. } = money;
    if options.cancelled.contains(status) {
        return match (captured.times, refunded.times) {
            (0, _) => Err(Fault::missing(format!("is {status}, but was never captured"))),
            (_, 0) => Err(Fault::missing(format!("is {status}, but was never refunded"))),
            _ if captured.sum != total => {
                Err(Fault::missing(format!("is {status} over {costs}, but {} was captured", grouped(captured.sum))))
            }
            _ => Ok(End::Cancelled),
        };
    }
    match (declined.times, captured.times) {
        // A late capture that was refunded is a decline, too.
        (0, 0) => Err(Fault::missing(format!("is {status}, but nobody declined it"))),
        (1.., _) if declined.sum != total.saturating_mul(i64::try_from(declined.times).unwrap_or(i64::MAX)) => {
            Err(Fault::missing(format!("is {status} over {costs}, but {} was declined", grouped(declined.sum))))
        }
        _ => Ok(End::Declined),
    }
}
