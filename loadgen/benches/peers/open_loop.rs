//! What an open loop has to say of a system that stands still: arithmetic on the record of a load, and no more.
//!
//! A message that is due while the system stands still has its answer when it goes on; so has one that was due before and
//! was still under way. Whatever else is seen is the system's ordinary latency. Nothing of it depends on how the load
//! generator fared, so that a generator that waits with the system, or forgives arrears, has other percentiles.
//!
//! Part of the bench of the peers, and of the tests beside them.

use shakedown_reports::record::Operation;

/// The quantiles that are compared.
pub(crate) const QUANTILES: [f64; 4] = [0.5, 0.99, 0.999, 0.9999];

/// What was seen at [`QUANTILES`], in nanoseconds.
pub(crate) fn seen(operations: &[Operation]) -> [u64; 4] {
    quantiles(operations.iter().map(latency_ns).collect())
}

/// What arithmetic makes of a system that stood still between these instants.
pub(crate) fn expected(operations: &[Operation], (from_ns, to_ns): (u64, u64)) -> [u64; 4] {
    let span_ns = to_ns - from_ns;
    // Well before, and well after the arrears are worked off.
    let is_calm = |operation: &&Operation| operation.completed_ns < from_ns || operation.intended_ns > to_ns + span_ns;
    let mut calm: Vec<u64> = operations.iter().filter(is_calm).map(latency_ns).collect();
    calm.sort_unstable();
    let usual_ns = calm[calm.len() / 2];
    // Of what was due while arrears were worked off nobody knows how long it would have taken: as long as others did, in turn,
    // and not the median for all of them, which would pull that quantile to itself.
    let mut others = operations.iter().filter(is_calm).map(latency_ns).cycle();
    let ideal = operations.iter().map(|operation| {
        let stands_ns = to_ns.saturating_sub(operation.intended_ns);
        let reaches_it = operation.intended_ns < to_ns && operation.intended_ns + usual_ns > from_ns;
        if reaches_it {
            stands_ns.max(usual_ns)
        } else if is_calm(&operation) {
            latency_ns(operation)
        } else {
            others.next().unwrap_or(usual_ns)
        }
    });
    quantiles(ideal.collect())
}

fn latency_ns(operation: &Operation) -> u64 {
    operation.completed_ns - operation.intended_ns
}

fn quantiles(mut values: Vec<u64>) -> [u64; 4] {
    values.sort_unstable();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
    let place = |quantile: f64| (quantile * values.len() as f64).ceil() as usize;
    QUANTILES.map(|quantile| values[place(quantile).max(1) - 1])
}
