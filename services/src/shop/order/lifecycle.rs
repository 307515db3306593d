//! Which steps an order may take.
//!
//! In the storefront events of different topics can overtake each other: an order may be heard to be shipped before it is heard
//! to be paid. An event tells of everything before it, so the order then takes all steps that lead there, one version each,
//! and the event that comes late finds them taken. In the fanout all events of an order lie in one partition, in the order in
//! which they happened; money and stock go side by side.

use crate::shop::Flow;
use crate::shop::facts::Fact;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    /// Accepted; not paid.
    Pending,
    /// In the fanout: and nothing is heard of the stock.
    Paid,
    /// In the fanout: put aside, and nothing is heard of the money.
    Reserved,
    /// In the fanout: paid and put aside.
    Confirmed,
    /// In the fanout: not paid, and what may be put aside is not free again.
    Refused,
    /// Cannot be shipped: waits for its refund, in the fanout perhaps for the news that it was never paid.
    OutOfStock,
    /// Paid and shipped.
    Completed,
    /// Not paid, for good.
    Declined,
    /// Paid and refunded.
    Cancelled,
}

/// The statuses with their words.
const WORDS: [(Status, &str); 9] = [
    (Status::Pending, "PENDING"),
    (Status::Paid, "PAID"),
    (Status::Reserved, "RESERVED"),
    (Status::Confirmed, "CONFIRMED"),
    (Status::Refused, "REFUSED"),
    (Status::OutOfStock, "OUT_OF_STOCK"),
    (Status::Completed, "COMPLETED"),
    (Status::Declined, "DECLINED"),
    (Status::Cancelled, "CANCELLED"),
];

impl Status {
    /// All of them, with their words.
    pub(crate) fn all() -> impl Iterator<Item = (Self, &'static str)> {
        WORDS.into_iter()
    }

    /// As it is stored.
    pub(crate) fn word(self) -> &'static str {
        WORDS.iter().find(|(status, _)| *status == self).map_or("", |(_, word)| word)
    }

    pub(crate) fn of_word(word: &str) -> Option<Self> {
        WORDS.iter().find(|(_, known)| *known == word).map(|(status, _)| *status)
    }

    /// Whether nothing can follow.
    pub(crate) fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Declined | Self::Cancelled)
    }
}

/// The steps that an order takes when this is heard of it: none if it has taken them before, `None` if it cannot be.
pub(crate) fn steps(flow: Flow, status: Status, heard: &Fact) -> Option<Vec<Status>> {
    match flow {
        Flow::StepByStep => along_the_way(status, heard),
        Flow::SideBySide => side_by_side(status, heard).map(|next| vec![next]),
    }
}

/// The storefront's steps.
fn along_the_way(status: Status, heard: &Fact) -> Option<Vec<Status>> {
    let way = way_to(heard)?;
    if let Some(place) = way.iter().position(|step| *step == status) {
        return Some(way[place + 1..].to_vec());
    }
    // It is on no part of this way: either beyond its end, or elsewhere.
    let beyond: &[Status] = match way[way.len() - 1] {
        Status::Paid => &[Status::OutOfStock, Status::Completed, Status::Cancelled],
        Status::OutOfStock => &[Status::Cancelled],
        _ => &[],
    };
    beyond.contains(&status).then(Vec::new)
}

/// The steps from the beginning to where an order is that this is heard of; none if the storefront knows no such news.
fn way_to(heard: &Fact) -> Option<&'static [Status]> {
    match heard {
        Fact::Paid { .. } => Some(&[Status::Pending, Status::Paid]),
        Fact::NotPaid { .. } => Some(&[Status::Pending, Status::Declined]),
        Fact::Refunded => Some(&[Status::Pending, Status::Paid, Status::OutOfStock, Status::Cancelled]),
        Fact::Shipped { .. } => Some(&[Status::Pending, Status::Paid, Status::Completed]),
        Fact::OutOfStock => Some(&[Status::Pending, Status::Paid, Status::OutOfStock]),
        Fact::Created | Fact::Reserved | Fact::Released => None,
    }
}

/// The fanout's next step. It may lead to where the order is: then only its version rises.
fn side_by_side(status: Status, heard: &Fact) -> Option<Status> {
    match (status, heard) {
        (Status::Pending, Fact::Paid { .. }) => Some(Status::Paid),
        (Status::Pending, Fact::Reserved) => Some(Status::Reserved),
        (Status::Pending | Status::Paid, Fact::OutOfStock) => Some(Status::OutOfStock),
        (Status::OutOfStock, Fact::Paid { .. }) => Some(Status::OutOfStock),
        (Status::Paid, Fact::Reserved) | (Status::Reserved, Fact::Paid { .. }) => Some(Status::Confirmed),
        (Status::Confirmed, Fact::Shipped { .. }) => Some(Status::Completed),
        (Status::Pending | Status::Reserved, Fact::NotPaid { .. }) | (Status::Refused, Fact::Reserved) => {
            Some(Status::Refused)
        }
        (Status::Refused, Fact::OutOfStock | Fact::Released) | (Status::OutOfStock, Fact::NotPaid { .. }) => {
            Some(Status::Declined)
        }
        (Status::OutOfStock, Fact::Refunded) => Some(Status::Cancelled),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shop::facts::FailureReason;

    fn paid() -> Fact {
        Fact::Paid { capture_id: String::new() }
    }

    fn not_paid() -> Fact {
        Fact::NotPaid { reason: FailureReason::Declined, message: String::new() }
    }

    fn shipped() -> Fact {
        Fact::Shipped { shipment_id: String::new() }
    }

    /// The last status after these were heard, or `None` as soon as one is illegal.
    fn after(flow: Flow, heard: &[Fact]) -> Option<Status> {
        heard.iter().try_fold(Status::Pending, |status, heard| {
            Some(steps(flow, status, heard)?.last().copied().unwrap_or(status))
        })
    }

    #[test]
    fn in_the_storefront_the_order_of_events_makes_no_difference() {
        let (out, back) = (Fact::OutOfStock, Fact::Refunded);
        for (heard, end) in [
            (vec![paid(), shipped()], Status::Completed),
            (vec![shipped(), paid()], Status::Completed),
            (vec![not_paid()], Status::Declined),
            (vec![paid(), out.clone(), back.clone()], Status::Cancelled),
            (vec![paid(), back.clone(), out.clone()], Status::Cancelled),
            (vec![out.clone(), paid(), back.clone()], Status::Cancelled),
            (vec![out.clone(), back.clone(), paid()], Status::Cancelled),
            (vec![back.clone(), paid(), out.clone()], Status::Cancelled),
            (vec![back, out, paid()], Status::Cancelled),
        ] {
            assert_eq!(after(Flow::StepByStep, &heard), Some(end), "{heard:?}");
            let twice: Vec<Fact> = heard.iter().flat_map(|heard| [heard.clone(), heard.clone()]).collect();
            assert_eq!(after(Flow::StepByStep, &twice), Some(end), "{twice:?}");
        }
    }

    #[test]
    fn in_the_storefront_contradictions_are_illegal() {
        for heard in [
            [not_paid(), paid()],
            [paid(), not_paid()],
            [shipped(), Fact::Refunded],
            [shipped(), Fact::OutOfStock],
            [Fact::OutOfStock, shipped()],
        ] {
            assert_eq!(after(Flow::StepByStep, &heard), None, "{heard:?}");
        }
    }

    #[test]
    fn in_the_fanout_money_and_stock_may_come_in_any_order() {
        for (heard, end) in [
            (vec![paid(), Fact::Reserved, shipped()], Status::Completed),
            (vec![Fact::Reserved, paid(), shipped()], Status::Completed),
            (vec![not_paid(), Fact::Reserved, Fact::Released], Status::Declined),
            (vec![Fact::Reserved, not_paid(), Fact::Released], Status::Declined),
            (vec![not_paid(), Fact::OutOfStock], Status::Declined),
            (vec![Fact::OutOfStock, not_paid()], Status::Declined),
            (vec![paid(), Fact::OutOfStock, Fact::Refunded], Status::Cancelled),
            (vec![Fact::OutOfStock, paid(), Fact::Refunded], Status::Cancelled),
        ] {
            assert_eq!(after(Flow::SideBySide, &heard), Some(end), "{heard:?}");
            assert!(end.is_terminal());
        }
    }

    #[test]
    fn in_the_fanout_contradictions_are_illegal() {
        for heard in [
            vec![shipped()],
            vec![Fact::Reserved, shipped()],
            vec![paid(), Fact::Reserved, shipped(), Fact::Released],
            vec![not_paid(), paid()],
            vec![paid(), Fact::Refunded],
        ] {
            assert_eq!(after(Flow::SideBySide, &heard), None, "{heard:?}");
        }
    }

    #[test]
    fn an_order_takes_every_step_on_its_way() {
        let skipped = steps(Flow::StepByStep, Status::Pending, &shipped()).unwrap();
        assert_eq!(skipped, [Status::Paid, Status::Completed]);
        assert_eq!(steps(Flow::StepByStep, Status::Completed, &paid()), Some(Vec::new()));
        for (status, word) in Status::all() {
            assert_eq!((status.word(), Status::of_word(word)), (word, Some(status)));
            assert_eq!(serde_json::to_value(status).unwrap(), word);
        }
    }
}
