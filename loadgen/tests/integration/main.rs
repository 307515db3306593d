//! Loads and taps against librdkafka's mock cluster, and loads against a service that does what a test says.

mod bench;

mod command;
mod http;
mod load;
mod shop;
mod tap;

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

/// The tests mostly wait: for the schedule, for slow brokers, for topics that never appear.
const TESTS_AT_ONCE: usize = 8;

/// A test's name and body. A panic is its failure.
type Test = (&'static str, fn());

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(TESTS_AT_ONCE);
    let trials = [command::TESTS, http::TESTS, load::TESTS, tap::TESTS].concat().into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
