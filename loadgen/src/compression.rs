//! How well the payloads of a plan compress: measured, with LZ4, on the messages that would be sent first.

use crate::identity_header::{self, IdentityHeader};
use crate::plan::{LoadPlan, PlanError};

/// Messages that are looked at, at most.
const MESSAGES: u64 = 10_000;
/// Bytes that are looked at, roughly.
const BYTES: usize = 1 << 20;
/// What is compressed at once: the default block of LZ4's frames, as brokers store them.
const BLOCK: usize = 64 << 10;
/// An instant of these days, for the identities: in a real one as many bytes count.
const EPOCH_NS: u64 = 1_760_000_000_000_000_000;

/// How many times shorter LZ4 makes the payloads of this plan, batch after batch. Kafka's own framing is no part of it.
///
/// # Errors
/// When the plan cannot be carried out.
pub fn measure(plan: &LoadPlan) -> Result<f64, PlanError> {
    let mut workload = plan.workload()?;
    let mut cursor = plan.schedule()?.cursor();
    let (mut payload, mut batch) = (Vec::new(), Vec::with_capacity(2 * BLOCK));
    let (mut plain, mut compressed) = (0, 0);
    for _ in 0..MESSAGES {
        let Some(offset_ns) = cursor.peek() else { break };
        cursor.advance();
        let message = workload.next_message();
        workload.write_payload(&message, &mut payload);
        if workload.is_raw() {
            let identity = IdentityHeader {
                run: plan.run,
                producer: 0,
                sequence: message.sequence,
                key: message.key,
                key_sequence: message.key_sequence,
                intended_ns: EPOCH_NS + offset_ns,
                value: message.value,
            };
            payload[..identity_header::LENGTH].copy_from_slice(&identity.encode());
        }
        batch.extend_from_slice(&payload);
        if plain + batch.len() >= BYTES {
            break;
        }
        if batch.len() >= BLOCK {
            plain += batch.len();
            compressed += compressed_length(&batch);
            batch.clear();
        }
    }
    plain += batch.len();
    compressed += compressed_length(&batch);
    Ok(plain as f64 / compressed as f64)
}

fn compressed_length(batch: &[u8]) -> usize {
    batch.chunks(BLOCK).map(|block| lz4_flex::block::compress(block).len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::PayloadPlan;
    use crate::{Arrivals, KeySpace, Shape};
    use std::time::Duration;

    fn plan(payload: Option<PayloadPlan>) -> LoadPlan {
        let rate = "10000/s".parse().expect("a rate");
        let arrivals = Arrivals { shape: Shape::Poisson, rate, duration: Duration::from_secs(10) };
        let mut plan = LoadPlan::new(42, 7, "orders", arrivals, KeySpace::uniform(1_000));
        plan.payload = payload;
        plan
    }

    #[test]
    fn payloads_compress_as_asked() {
        for (bytes, ratios) in [
            ("200", &[1.0, 1.5, 2.0, 3.0, 4.0][..]),
            ("1000", &[1.0, 1.5, 2.0, 4.0, 8.0]),
            ("10000", &[1.0, 2.0, 4.0, 10.0]),
            ("100..2000", &[1.0, 2.0, 4.0]),
            ("lognormal(300, 2000)", &[1.0, 2.0, 4.0]),
            ("100:9, 10000:1", &[1.0, 2.0, 4.0]),
        ] {
            for ratio in ratios {
                let payload = PayloadPlan { bytes: bytes.parse().expect("sizes"), compression_ratio: *ratio };
                let measured = measure(&plan(Some(payload))).expect("valid");
                assert!((measured / ratio - 1.0).abs() < 0.1, "{bytes}: {measured}, not {ratio}");
            }
        }
    }

    /// Orders are JSON whose ids are random.
    #[test]
    fn orders_compress_as_orders_do() {
        let measured = measure(&plan(None)).expect("valid");
        assert!((1.5..4.0).contains(&measured), "{measured}");
    }
}
