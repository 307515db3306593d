//! The name of a plan: 16 hexadecimal digits over everything that is offered.
//!
//! Written field by field, so that a renamed field does not change the names of plans; and whatever was added to plans later is
//! told by more, so that those without it keep theirs.

use crate::bodies::Bodies;
use crate::digest::Digest;
use crate::driver::Driver;
use crate::duration_text;
use crate::http::HttpPlan;
use crate::keys::{HotSet, KeyDraw, KeySpace};
use crate::payload::PayloadPlan;
use crate::plan::{LoadPlan, PlanError};
use crate::schedule::{Arrivals, Process, Shape};
use crate::transactions::TransactionPlan;
use crate::workload::{PlannedMessage, Workload};

/// The messages of each end of the plan that go into its digest one by one.
const DIGEST_MESSAGES: u64 = 1_000;

/// That of a plan that can be carried out.
pub(crate) fn of(plan: &LoadPlan) -> Result<String, PlanError> {
    plan.validate()?;
    let mut digest = Digest::new();
    digest.number(plan.seed);
    plan.topics().for_each(|topic| digest.text(topic));
    add_arrivals(&mut digest, &plan.arrivals);
    add_keys(&mut digest, &plan.keys);
    digest.number(plan.client.len() as u64);
    for (name, value) in &plan.client {
        digest.text(name);
        digest.text(value);
    }
    digest.text(&plan.max_rate.map_or_else(String::new, |rate| rate.to_string()));
    if plan.driver != Driver::default() {
        digest.text("driver");
        digest.text(plan.driver.word());
    }
    if let Some(transactions) = &plan.transactions {
        add_transactions(&mut digest, transactions);
    }
    if plan.producers > 1 {
        digest.text("producers");
        digest.number(u64::from(plan.producers));
    }
    if let Some(PayloadPlan { bytes, compression_ratio }) = &plan.payload {
        digest.text("payload");
        digest.text(&bytes.to_string());
        digest.number(compression_ratio.to_bits());
    }
    if let Some(http) = &plan.http {
        add_http(&mut digest, http);
    }

    let bodies = plan.http.as_ref().map(|http| Bodies::new(plan.seed, http.body, &http.products));
    let schedule = plan.schedule()?;
    let mut workload = plan.workload()?;
    let total = schedule.total();
    let mut buffer = Vec::with_capacity(256);
    for sequence in total.saturating_sub(DIGEST_MESSAGES)..total {
        let message = workload.message_at(sequence);
        add_message(&mut digest, &workload, bodies.as_ref(), &message, &mut buffer);
    }
    digest.number(schedule.offset_ns(total - 1));
    let mut cursor = schedule.cursor();
    for _ in 0..total.min(DIGEST_MESSAGES) {
        let message = workload.next_message();
        add_message(&mut digest, &workload, bodies.as_ref(), &message, &mut buffer);
        digest.number(cursor.peek().expect("the schedule has that many messages"));
        cursor.advance();
    }
    Ok(digest.to_string())
}

/// Whatever was added to the first three shapes is told by more, so that plans without it keep their digest.
fn add_arrivals(digest: &mut Digest, Arrivals { shape, rate, duration }: &Arrivals) {
    match shape {
        Shape::Constant => digest.number(0),
        Shape::Poisson => digest.number(1),
        Shape::Ramp { from, .. } => {
            digest.number(2);
            digest.text(&from.to_string());
        }
        Shape::Steps { steps, .. } => {
            digest.number(3);
            digest.number(steps.len() as u64);
            for step in steps {
                digest.text(&step.rate.to_string());
                digest.text(&duration_text::format(step.duration));
            }
        }
        Shape::Burst { bursts, .. } => {
            digest.number(4);
            digest.text(&bursts.rate.to_string());
            digest.text(&duration_text::format(bursts.every));
            digest.text(&duration_text::format(bursts.duration));
        }
        Shape::Replay { recording, speed } => {
            digest.number(5);
            digest.text(&speed.to_string());
            digest.number(recording.offsets_ns().len() as u64);
            recording.offsets_ns().iter().for_each(|offset| digest.number(*offset));
        }
    }
    if !matches!(shape, Shape::Poisson) && shape.process() == Process::Poisson {
        digest.text("poisson");
    }
    digest.text(&rate.to_string());
    digest.text(&duration_text::format(*duration));
}

fn add_keys(digest: &mut Digest, KeySpace { users, draw }: &KeySpace) {
    digest.number(u64::from(*users));
    match draw {
        KeyDraw::Uniform => digest.number(u64::MAX),
        KeyDraw::Zipf(exponent) => digest.number(exponent.to_bits()),
        KeyDraw::Hot(HotSet { keys, share }) => {
            digest.text("hot");
            digest.number(u64::from(*keys));
            digest.number(share.to_bits());
        }
        KeyDraw::Sequential => digest.text("sequential"),
    }
}

fn add_transactions(digest: &mut Digest, TransactionPlan { every, messages, abort, id }: &TransactionPlan) {
    digest.text("transactions");
    digest.text(&duration_text::format(*every));
    digest.number(u64::from(messages.unwrap_or(0)));
    digest.number(abort.to_bits());
    digest.text(id.as_deref().unwrap_or(""));
}

fn add_http(digest: &mut Digest, http: &HttpPlan) {
    let HttpPlan { path, body, products, in_flight, timeout, retry_for } = http;
    for text in ["http", path, body.word(), &duration_text::format(*timeout), &duration_text::format(*retry_for)] {
        digest.text(text);
    }
    digest.number(u64::from(*in_flight));
    digest.number(products.len() as u64);
    for product in products {
        digest.text(product);
    }
}

/// With `bodies` the message is a request's, else a topic's.
fn add_message(
    digest: &mut Digest,
    workload: &Workload,
    bodies: Option<&Bodies>,
    message: &PlannedMessage,
    buffer: &mut Vec<u8>,
) {
    digest.number(message.sequence);
    digest.number(u64::from(message.key));
    digest.number(u64::from(message.key_sequence));
    digest.bytes(&message.value.to_le_bytes());
    match bodies {
        Some(bodies) => bodies.write(message, buffer),
        None => workload.write_payload(message, buffer),
    }
    digest.bytes(buffer);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::byte_sizes::ByteSizes;
    use crate::plan::tests::example;
    use crate::rate::Rate;
    use crate::replay::Recording;
    use crate::schedule::{Bursts, Step};
    use std::collections::HashSet;
    use std::time::Duration;

    #[test]
    fn the_digest_is_the_same_for_ever() {
        assert_eq!(example().digest().expect("valid"), GOLDEN, "the same plan must stay the same plan");
    }

    /// The digest of the example above.
    const GOLDEN: &str = "b1be9d420797c106";

    #[test]
    fn the_digest_tells_every_part_but_the_run() {
        let digest = |change: fn(&mut LoadPlan)| {
            let mut plan = example();
            change(&mut plan);
            plan.digest().expect("valid")
        };
        let original = digest(|_| ());
        let every = |every| {
            let transactions =
                Some(TransactionPlan { every: Duration::from_millis(every), ..TransactionPlan::default() });
            LoadPlan { transactions, ..example() }.digest().expect("valid")
        };
        assert_ne!(every(50), every(60));
        assert_eq!(digest(|plan| plan.run = 8), original);
        let changes: [fn(&mut LoadPlan); 21] = [
            |plan| plan.transactions = Some(TransactionPlan::default()),
            |plan| plan.transactions = Some(TransactionPlan { messages: Some(9), ..TransactionPlan::default() }),
            |plan| plan.transactions = Some(TransactionPlan { abort: 0.1, ..TransactionPlan::default() }),
            |plan| {
                let id = Some("till".to_owned());
                plan.transactions = Some(TransactionPlan { id, ..TransactionPlan::default() });
            },
            |plan| plan.producers = 2,
            |plan| plan.seed = 43,
            |plan| plan.topic = "order".to_owned(),
            |plan| plan.more_topics.push("payments".to_owned()),
            |plan| plan.arrivals.shape = Shape::Constant,
            |plan| plan.arrivals.rate = "501/s".parse().expect("a rate"),
            |plan| plan.arrivals.duration = Duration::from_secs(11),
            |plan| plan.keys.users = 1_001,
            |plan| plan.keys.draw = KeyDraw::Uniform,
            |plan| plan.keys.draw = KeyDraw::Sequential,
            |plan| plan.keys.draw = KeyDraw::Hot(HotSet { keys: 10, share: 0.8 }),
            |plan| plan.keys.draw = KeyDraw::Hot(HotSet { keys: 10, share: 0.9 }),
            |plan| plan.payload = Some(PayloadPlan::new(ByteSizes::Fixed(200))),
            |plan| plan.payload = Some(PayloadPlan::new(ByteSizes::Fixed(201))),
            |plan| {
                plan.payload = Some(PayloadPlan { compression_ratio: 2.0, ..PayloadPlan::new(ByteSizes::Fixed(200)) });
            },
            |plan| plan.max_rate = Some("500/s".parse().expect("a rate")),
            |plan| drop(plan.client.insert("acks".to_owned(), "1".to_owned())),
        ];
        let acks = |value: &str| {
            let mut plan = example();
            plan.client.insert("acks".to_owned(), value.to_owned());
            plan.digest().expect("valid")
        };
        assert_ne!(acks("0"), acks("1"));
        let mut seen = HashSet::from([original]);
        for (place, change) in changes.into_iter().enumerate() {
            assert!(seen.insert(digest(change)), "change {place} went unnoticed");
        }
    }

    #[test]
    fn the_digest_tells_every_part_of_every_shape() {
        let rate = |text: &str| text.parse::<Rate>().expect("a rate");
        let seconds = Duration::from_secs;
        let ramp = |from, process| Shape::Ramp { from: rate(from), process };
        let burst = |burst, every, length| Shape::Burst {
            bursts: Bursts { rate: rate(burst), every: seconds(every), duration: seconds(length) },
            process: Process::Even,
        };
        let at = |shape| Arrivals { shape, ..example().arrivals };
        let steps = |steps: &[(&str, u64)], process| {
            let steps = steps.iter().map(|(text, length)| Step { rate: rate(text), duration: seconds(*length) });
            Arrivals::steps(steps.collect(), process).expect("steps")
        };
        let replay = |instants: &[u64], speed: &str| {
            let recording = Recording::new(instants.to_vec()).expect("a recording");
            Arrivals::replay(recording, speed.parse().expect("a speed")).expect("a replay")
        };
        let mut seen = HashSet::new();
        for arrivals in [
            at(Shape::Constant),
            at(Shape::Poisson),
            at(ramp("100/s", Process::Even)),
            at(ramp("500/s", Process::Even)),
            at(ramp("500/s", Process::Poisson)),
            at(burst("100/s", 4, 2)),
            at(burst("101/s", 4, 2)),
            at(burst("100/s", 5, 2)),
            at(burst("100/s", 4, 1)),
            steps(&[("500/s", 10)], Process::Even),
            steps(&[("500/s", 10)], Process::Poisson),
            steps(&[("500/s", 5), ("500/s", 5)], Process::Even),
            replay(&[1, 2, 3], "1"),
            replay(&[1, 2, 3], "2"),
            replay(&[1, 3, 4], "1"),
        ] {
            let plan = LoadPlan { arrivals, ..example() };
            assert!(seen.insert(plan.digest().expect("valid")), "{:?} went unnoticed", plan.arrivals);
        }
    }

    #[test]
    fn the_digest_tells_every_part_of_a_load_over_http() {
        let digest = |change: fn(&mut HttpPlan)| {
            let mut http = HttpPlan::new("/orders");
            change(&mut http);
            LoadPlan { http: Some(http), ..example() }.digest().expect("valid")
        };
        let original = digest(|_| ());
        assert_ne!(original, GOLDEN, "a topic is no service");
        let changes: [fn(&mut HttpPlan); 6] = [
            |http| http.path = "/order".to_owned(),
            |http| http.body = crate::BodyForm::Fanout,
            |http| drop(http.products.pop()),
            |http| http.in_flight += 1,
            |http| http.timeout += Duration::from_secs(1),
            |http| http.retry_for = Duration::ZERO,
        ];
        for (place, change) in changes.into_iter().enumerate() {
            assert_ne!(digest(change), original, "change {place} went unnoticed");
        }
    }

    #[test]
    fn the_digest_tells_where_a_ramp_begins() {
        let digest = |from: &str| {
            let mut plan = example();
            plan.arrivals.shape = Shape::Ramp { from: from.parse().expect("a rate"), process: Process::Even };
            plan.digest().expect("valid")
        };
        assert_eq!(digest("100/s"), "75eb7fdc7df677f7", "the same plan must stay the same plan");
        assert_ne!(digest("100/s"), digest("101/s"));
        assert_ne!(digest("500/s"), example().digest().expect("valid"));
    }
}
