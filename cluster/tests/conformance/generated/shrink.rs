//! Makes a sequence that differs as small as it goes: fewer steps first, then plainer ones.

use super::step::Step;
use serde_json::Value;

/// Most runs that are spent on one sequence.
const RUNS_MAX: usize = 300;

/// The smallest that still differs, by what `differs` says of a candidate.
pub(super) fn shrink(mut steps: Vec<Step>, mut differs: impl FnMut(&[Step]) -> bool) -> Vec<Step> {
    let mut runs = 0;
    let mut still = |candidate: &[Step]| {
        runs += 1;
        runs <= RUNS_MAX && differs(candidate)
    };
    let mut size = steps.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + size).min(steps.len()));
            if still(&fewer) { steps = fewer } else { at += size }
        }
        size /= 2;
    }
    for at in 0..steps.len() {
        for field in fields(&steps[at]) {
            let Some(plainer) = plainer(&steps[at], &field) else { continue };
            let before = std::mem::replace(&mut steps[at], plainer);
            if !still(&steps) {
                steps[at] = before;
            }
        }
    }
    steps
}

/// What a step says besides what it is.
fn fields(step: &Step) -> Vec<String> {
    let Ok(Value::Object(whole)) = serde_json::to_value(step) else { return Vec::new() };
    let fields = whole.into_iter().next().and_then(|(_, fields)| fields.as_object().cloned());
    fields.unwrap_or_default().into_iter().map(|(name, _)| name).collect()
}

/// The step with one field as plain as it goes; nothing where it is so already.
fn plainer(step: &Step, field: &str) -> Option<Step> {
    let mut whole = serde_json::to_value(step).ok()?;
    let value = whole.as_object_mut()?.values_mut().next()?.get_mut(field)?;
    let simple = match &*value {
        // Which version it was may be all that matters, and to `acks=0` nobody answers.
        Value::Number(_) if !["version", "acks"].contains(&field) => Value::from(0),
        Value::Bool(_) => Value::from(false),
        Value::Array(items) if items.len() > 1 => Value::Array(items[..1].to_vec()),
        _ => return None,
    };
    if *value == simple {
        return None;
    }
    *value = simple;
    serde_json::from_value(whole).ok()
}

/// That nothing is kept that is not needed.
pub(crate) fn keeps_what_is_needed() {
    let needed = |steps: &[Step]| {
        let creates = steps.iter().any(|step| matches!(step, Step::CreateTopic { partitions: 2, .. }));
        creates && steps.iter().any(|step| matches!(step, Step::DescribeGroup { group: 1, .. }))
    };
    let mut steps = super::step::first();
    steps.extend((0..10).map(|producer| Step::InitProducerId { version: 3, producer }));
    steps.push(Step::DescribeGroup { version: 4, group: 1 });
    let shrunk = shrink(steps, needed);
    assert_eq!(shrunk.len(), 2, "{shrunk:?}");
    assert!(matches!(shrunk[0], Step::CreateTopic { partitions: 2, replicas: 0, config: 0, .. }), "{shrunk:?}");
}
