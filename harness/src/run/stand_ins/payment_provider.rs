//! The payment provider: takes the money of an order, and gives it back.
//!
//! `POST /captures` and `POST /refunds` with `{"order_id", "user_id", "amount"}`. Declines by rules over the amount and the
//! order's id, so that the same orders are declined in every run. A refund of an order of which nothing was captured is a 404.

use super::draw::draw;
use super::trade::{Effect, Outcome, Received, Trade, fields, named};
use crate::scenario::stand_in::Declines;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use shakedown_reports::books::Fact;
use std::collections::HashSet;

const CAPTURES: &str = "/captures";
const REFUNDS: &str = "/refunds";

/// The payment provider.
pub(super) struct PaymentProvider {
    declines: Declines,
    /// Draws who is declined.
    seed: u64,
    /// Orders of which something was captured.
    captured: HashSet<String>,
}

/// What it is asked.
pub(super) struct Asked {
    is_refund: bool,
    payment: Payment,
}

#[derive(Debug, Deserialize)]
struct Payment {
    order_id: String,
    user_id: String,
    /// In minor units.
    amount: i64,
}

impl PaymentProvider {
    pub(super) fn new(declines: Declines, seed: u64) -> Self {
        Self { declines, seed, captured: HashSet::new() }
    }

    /// Why a capture is declined, if so.
    fn declined(&self, payment: &Payment) -> Option<String> {
        let Declines { above, every } = self.declines;
        if let Some(above) = above.filter(|above| payment.amount > *above) {
            return Some(format!("{} is more than {above}", payment.amount));
        }
        let every = every?;
        let drawn = draw(self.seed, "decline", CAPTURES, &payment.order_id) % every == 0;
        drawn.then(|| format!("one order in {every} is declined"))
    }

    fn capture(&mut self, payment: Payment, number: u64) -> Effect {
        if let Some(reason) = self.declined(&payment) {
            let answer = json!({ "status": "declined", "reason": reason }).to_string();
            return Effect { outcome: Outcome::Declined(answer.into()), facts: vec![payment.fact("declined")] };
        }
        self.captured.insert(payment.order_id.clone());
        let answer = json!({ "status": "captured", "capture_id": format!("capture-{number}") });
        Effect::done(answer.to_string(), vec![payment.fact("captured")])
    }

    fn refund(&self, payment: Payment, number: u64) -> Effect {
        if !self.captured.contains(&payment.order_id) {
            return Effect::refused(StatusCode::NOT_FOUND, "nothing was captured for this order");
        }
        let answer = json!({ "status": "refunded", "refund_id": format!("refund-{number}") });
        Effect::done(answer.to_string(), vec![payment.fact("refunded")])
    }
}

impl Trade for PaymentProvider {
    type Request = Asked;

    const PATHS: &'static [&'static str] = &[CAPTURES, REFUNDS];

    fn read(path: &'static str, body: Json) -> Result<Asked, String> {
        let payment: Payment = fields(body)?;
        named("order_id", &payment.order_id)?;
        if payment.amount < 0 {
            return Err(format!("`amount` is {}; 0 and more are allowed", payment.amount));
        }
        Ok(Asked { is_refund: path == REFUNDS, payment })
    }

    fn identity(asked: &Asked) -> &str {
        &asked.payment.order_id
    }

    fn perform(&mut self, asked: Asked, received: Received) -> Effect {
        match asked {
            Asked { is_refund: false, payment } => self.capture(payment, received.number),
            Asked { is_refund: true, payment } => self.refund(payment, received.number),
        }
    }
}

impl Payment {
    fn fact(self, kind: &str) -> Fact {
        let Self { order_id, user_id, amount } = self;
        Fact { entity: order_id, kind: kind.to_owned(), amount: Some(amount), key: user_id, ..Fact::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::desk::testing::{ask, counted};
    use super::*;
    use std::num::NonZeroU64;

    fn payment(order: &str, amount: i64) -> Json {
        json!({ "order_id": order, "user_id": "user-1", "amount": amount })
    }

    #[test]
    fn money_is_taken_and_given_back_once_an_order() {
        let provider = counted(PaymentProvider::new(Declines::default(), 1));
        assert_eq!(ask(&provider, REFUNDS, Some("a/refund"), &payment("a", 1250)).0, 404);
        let (status, captured) = ask(&provider, CAPTURES, Some("a"), &payment("a", 1250));
        assert_eq!((status, &captured["status"]), (201, &json!("captured")));
        assert_eq!(ask(&provider, CAPTURES, Some("a"), &payment("a", 1250)), (200, captured));
        let (status, refunded) = ask(&provider, REFUNDS, Some("a/refund"), &payment("a", 1250));
        assert_eq!((status, &refunded["status"]), (201, &json!("refunded")), "the 404 was not for ever");
        assert_eq!(ask(&provider, REFUNDS, Some("a/refund"), &payment("a", 1250)), (200, refunded));
        let told: Vec<_> = provider.facts().into_iter().map(|fact| (fact.kind, fact.entity, fact.amount)).collect();
        let expected = ["captured", "refunded"].map(|kind| (kind.to_owned(), "a".to_owned(), Some(1250)));
        assert_eq!(told, expected);
    }

    #[test]
    fn too_much_is_declined_and_stays_so() {
        let provider = counted(PaymentProvider::new(Declines { above: Some(1000), every: None }, 1));
        assert_eq!(ask(&provider, CAPTURES, Some("a"), &payment("a", 1000)).0, 201);
        let (status, declined) = ask(&provider, CAPTURES, Some("b"), &payment("b", 1001));
        let reason = json!({ "status": "declined", "reason": "1001 is more than 1000" });
        assert_eq!((status, &declined), (402, &reason));
        assert_eq!(ask(&provider, CAPTURES, Some("b"), &payment("b", 1001)), (402, declined));
        assert_eq!(ask(&provider, REFUNDS, Some("b/refund"), &payment("b", 1001)).0, 404, "nothing was taken");
        assert_eq!(provider.kinds(), ["captured", "declined"]);
    }

    #[test]
    fn one_order_in_ten_is_declined_by_its_id_and_not_by_when_it_comes() {
        let every = Declines { above: None, every: NonZeroU64::new(10) };
        let declined = |seed, orders: &mut dyn Iterator<Item = u32>| {
            let provider = counted(PaymentProvider::new(every, seed));
            let mut declined: Vec<u32> = orders
                .filter(|n| ask(&provider, CAPTURES, None, &payment(&format!("order-{n}"), 5)).0 == 402)
                .collect();
            declined.sort_unstable();
            declined
        };
        let forwards = declined(1, &mut (0..1000));
        assert!((60..140).contains(&forwards.len()), "{} of 1000", forwards.len());
        assert_eq!(declined(1, &mut (0..1000).rev()), forwards);
        assert_ne!(declined(2, &mut (0..1000)), forwards, "another seed");
    }

    #[test]
    fn what_lacks_something_is_no_payment() {
        let provider = counted(PaymentProvider::new(Declines::default(), 1));
        for wrong in [
            json!({ "order_id": "a", "user_id": "user-1" }),
            json!({ "order_id": "a", "amount": 5 }),
            json!({ "order_id": "", "user_id": "user-1", "amount": 5 }),
            json!({ "order_id": "a", "user_id": "user-1", "amount": -5 }),
            json!({ "order_id": "a", "user_id": "user-1", "amount": 5.5 }),
            json!({ "order_id": "a", "user_id": "user-1", "amount": 1e30 }),
            json!([]),
            json!(["a", "user-1", 5]),
        ] {
            let (status, answer) = ask(&provider, CAPTURES, Some("a"), &wrong);
            assert!(status == 400 && answer["error"].is_string(), "{wrong}: {status} {answer}");
        }
        assert!(provider.facts().is_empty());
    }
}
