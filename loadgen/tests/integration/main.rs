//! Loads and taps against librdkafka's mock cluster, and loads against a service that does what a test says.

mod bench;

mod command;
mod ground;
mod http;
mod load;
mod metrics;
mod shards;
mod shop;
mod soak;
mod tap;

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

/// The tests mostly wait: for the schedule, for slow brokers, for topics that never appear.
const TESTS_AT_ONCE: usize = 8;

/// A test's name and body. A panic is its failure.
type Test = (&'static str, fn());

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let soak = soak::tests();
    // What is measured to a thousandth has the machine to itself.
    arguments.test_threads.get_or_insert(if soak.is_empty() { TESTS_AT_ONCE } else { 1 });
    let trials = [command::TESTS, http::TESTS, load::TESTS, metrics::TESTS, shards::TESTS, tap::TESTS, &soak]
        .concat()
        .into_iter()
        .map(|(name, test)| {
            Trial::test(name, move || {
                test();
                Ok(())
            })
        });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
