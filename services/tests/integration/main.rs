//! The services as processes, against librdkafka's mock cluster.
//!
//! This executable has a main of its own: called as `integration service NAME` it is that service, so that a test can
//! start, signal and kill real processes without a binary that exists only for tests.

mod cluster;
mod mailbox;
#[path = "../support/postgres.rs"]
mod postgres;
mod process;
mod redis;
mod shop;
mod stand_in;

mod analytics;
mod billing;
mod fanout;
mod notification;
mod order;
mod platform;
mod start;
mod storefront;
mod storefront_crashes;
mod storefront_outages;
mod tracker;
mod transaction;

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

/// The tests mostly wait: for a group to form, for a session to expire.
const TESTS_AT_ONCE: usize = 6;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    if let [_, command, name] = words.as_slice()
        && command == "service"
    {
        return shakedown_services::run(name);
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(TESTS_AT_ONCE);
    let tests = [
        start::TESTS,
        order::TESTS,
        transaction::TESTS,
        notification::TESTS,
        analytics::TESTS,
        tracker::TESTS,
        billing::TESTS,
        fanout::TESTS,
        platform::TESTS,
        storefront::TESTS,
        storefront_crashes::TESTS,
        storefront_outages::TESTS,
    ];
    let trials = tests.concat().into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// A test's name and body. A panic is its failure.
type Test = (&'static str, fn());
