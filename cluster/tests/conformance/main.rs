//! The same raw requests to our cluster and to Apache Kafka, and every answer compared.
//!
//! - [`wire`] sends and reads; [`requests`] and [`group_requests`] say what; [`setup`] is what sequences stand on.
//! - [`tree`] reads any reply; [`normal`] makes two of them comparable, [`records`] what is in them; [`pair`] asks both sides.
//! - [`differences`]: what may differ is a table in ARCHITECTURE.md, and nothing else may.
//! - [`fixed`] are sequences written by hand, [`generated`] those that are drawn, shrunk and kept.
//! - [`deviations`] makes ours wrong on purpose and demands to be told.
//! - [`arms`] has the clusters, of [`peers`].
//!
//! Every sequence also runs between two clusters of ours, which needs no Java: what differs there is chance, not a bug.
//! Without Java or Kafka's jars the rest is skipped with a line on standard error; `SHAKEDOWN_REQUIRE_PEERS=1` makes that a
//! failure. `SHAKEDOWN_SEQUENCES` says how many sequences are drawn, `SHAKEDOWN_SEED` which, `SHAKEDOWN_FRESH=1` that
//! others are drawn every time.

mod arms;
mod deviations;
mod differences;
mod fixed;
mod generated;
mod group_requests;
mod normal;
mod pair;
mod peers;
mod proxy;
mod records;
mod requests;
mod setup;
mod tree;
mod wire;

use arms::{Arms, With};
use fixed::Sequence;
use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;
use std::sync::{Arc, PoisonError};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let arms = Arc::new(Arms::new());
    let mut trials = vec![
        unit("tree::reads_what_debug_writes", tree::reads_what_debug_writes),
        unit(
            "records::batches_are_compared_but_for_their_producers_ids",
            records::batches_are_compared_but_for_their_producers_ids,
        ),
        unit("differences::rows_explain_what_they_say", differences::rows_explain_what_they_say),
        unit("generated::keeps_what_is_needed", generated::shrink::keeps_what_is_needed),
    ];
    let missing = arms::missing();
    trials.extend(of_arm(&arms, With::Itself));
    match &missing {
        None => trials.extend(of_arm(&arms, With::Kafka)),
        Some(reason) => trials.extend(skipped(reason)),
    }
    let other = if missing.is_none() { With::Kafka } else { With::Itself };
    trials.extend(deviations::trials(&arms, other));
    let is_whole = arguments.filter.is_none() && arguments.skip.is_empty() && !arguments.list;
    let conclusion = libtest_mimic::run(&arguments, trials);
    if is_whole && missing.is_none() && !conclusion.has_failed() {
        let unmet = arms.purposes.unmet();
        if !unmet.is_empty() {
            eprintln!("ARCHITECTURE.md has differences that nothing shows any more: {}", unmet.join(", "));
            return ExitCode::FAILURE;
        }
    }
    conclusion.exit_code()
}

/// Everything that is asked of one pair.
fn of_arm(arms: &Arc<Arms>, with: With) -> Vec<Trial> {
    let one = fixed::one_node().into_iter().map(|sequence| (1, sequence));
    let three = fixed::three_nodes().into_iter().map(|sequence| (3, sequence));
    let mut trials: Vec<Trial> = one.chain(three).map(|(nodes, sequence)| trial(arms, with, nodes, sequence)).collect();
    trials.extend(generated::trials(arms, with));
    trials
}

/// As the arm is called in the names of its tests.
fn arm(with: With) -> &'static str {
    match with {
        With::Kafka => "kafka",
        With::Itself => "itself",
    }
}

fn trial(arms: &Arc<Arms>, with: With, nodes: u32, (name, run): Sequence) -> Trial {
    let arms = Arc::clone(arms);
    Trial::test(format!("{}::{name}", arm(with)), move || {
        // Whoever failed while it held the lock has been told already.
        let _alone = (nodes > 1).then(|| arms.nodes_may_die.lock().unwrap_or_else(PoisonError::into_inner));
        let mut pair = arms.pair(with, nodes);
        run(&mut pair);
        Ok(pair.verdict()?)
    })
}

fn unit(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

/// In place of everything that needs Kafka.
fn skipped(reason: &str) -> Option<Trial> {
    eprintln!("skipped: nothing is compared with Apache Kafka: {reason}");
    let reason = reason.to_owned();
    let is_required = std::env::var_os("SHAKEDOWN_REQUIRE_PEERS").is_some_and(|value| value == "1");
    is_required.then(|| Trial::test("kafka", move || Err(reason.into())))
}
