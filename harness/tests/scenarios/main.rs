//! One test for each file in `scenarios/correctness/`, and tests of the harness over systems that are wrong on purpose.
//!
//! The executable is also one of those systems' services: `misbehave` as its first argument runs [`forwarder`].

mod agreement;
mod books;
mod ceiling;
mod committed;
mod compared;
mod compose;
mod crashes;
mod deaths;
mod dlq;
mod doctor;
mod equipment;
mod external;
mod failover;
mod folder;
mod forwarder;
mod hlog;
mod interrupts;
mod kcat;
mod launch;
mod long_log;
mod measured;
mod misbehaviour;
mod page;
mod processes;
mod reach;
mod real_servers;
mod report;
mod stand_ins;
mod systems_page;
mod tool;
mod watched;

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("misbehave") {
        return forwarder::run();
    }
    let mut trials: Vec<Trial> = committed::trials();
    trials.extend(misbehaviour::trials());
    trials.extend(watched::trials());
    trials.extend(books::trials());
    trials.extend(launch::trials());
    trials.extend(deaths::trials());
    trials.extend(failover::trials());
    trials.extend(equipment::trials());
    trials.extend(crashes::trials());
    trials.extend(reach::trials());
    trials.extend(real_servers::trials());
    trials.extend(stand_ins::trials());
    trials.extend(systems_page::trials());
    trials.extend(tool::trials());
    trials.extend(folder::trials());
    trials.extend(report::trials());
    trials.extend(hlog::trials());
    trials.extend(compared::trials());
    trials.extend(interrupts::trials());
    trials.extend(page::trials());
    trials.extend(dlq::trials());
    trials.extend(compose::trials());
    trials.extend(kcat::trials());
    trials.extend(external::trials());
    trials.extend(doctor::trials());
    trials.extend(agreement::trials());
    trials.extend(ceiling::trials());
    trials.extend(long_log::trials());
    trials.extend(measured::trials());
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A trial out of a function that panics when something is wrong.
fn trial(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name.to_owned(), move || {
        test();
        Ok(())
    })
}
