//! Loads and taps against librdkafka's mock cluster, and loads against a service that does what a test says.

mod bench;

mod command;
mod direct;
mod ground;
mod http;
mod load;
mod metrics;
mod shards;
mod shop;
mod soak;
mod tap;
mod transactions;

use libtest_mimic::{Arguments, Trial};
use shakedown_loadgen::Driver;
use std::process::ExitCode;

/// The tests mostly wait: for the schedule, for slow brokers, for topics that never appear.
const TESTS_AT_ONCE: usize = 8;

/// A test's name and body. A panic is its failure.
type Test = (&'static str, fn());

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let (soak, of_the_program) = (soak::of_every_driver(), soak::of_the_program());
    // What is measured to a thousandth has the machine to itself.
    arguments.test_threads.get_or_insert(if soak.is_empty() { TESTS_AT_ONCE } else { 1 });
    let once = [
        command::TESTS,
        http::TESTS,
        metrics::TESTS,
        shards::TESTS,
        direct::TESTS,
        transactions::TESTS,
        &of_the_program,
    ]
    .concat();
    let once = once.into_iter().map(|(name, test)| trial(name, Driver::Librdkafka, test));
    // Whatever a load promises, it promises with every driver.
    let all = [load::TESTS, tap::TESTS, &soak].concat().into_iter().flat_map(|(name, test)| {
        let direct = trial(&format!("{name}, direct"), Driver::Direct, test);
        [trial(name, Driver::Librdkafka, test), direct]
    });
    let trials: Vec<Trial> = once.chain(all).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A test whose plans are offered by this driver.
fn trial(name: &str, driver: Driver, test: fn()) -> Trial {
    Trial::test(name, move || {
        bench::DRIVER.set(driver);
        test();
        Ok(())
    })
}
