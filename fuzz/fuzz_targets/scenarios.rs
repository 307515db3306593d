//! Scenario files that somebody has typed: read and validated, or refused with problems that can be shown.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shakedown::backend::Embedded;
use shakedown::language::problem::ScenarioError;
use shakedown::plan::Plan;
use shakedown::scenario::files::{self, SystemFile};
use shakedown::scenario::validate::{Capabilities, scenario};
use shakedown_fuzz::allowance::{self, Allowance};
use std::path::Path;

#[global_allocator]
static ALLOCATOR: Allowance = Allowance;

const MIB: usize = 1 << 20;
const SYSTEM: &str = include_str!("../../scenarios/systems/tracker.toml");

fuzz_target!(|text: &str| {
    allowance::within(64 * MIB, 256 * MIB, || {
        if let Err(error) = judged(text) {
            if let ScenarioError::Invalid(problems) = &error {
                assert!(!problems.is_empty(), "a refusal says why");
            }
            assert!(error.render(false).len() > error.to_string().len(), "and it can be shown");
        }
    });
});

fn judged(text: &str) -> Result<(), ScenarioError> {
    let files = files::assemble(Path::new("scenarios/fuzzed.toml"), text.to_owned(), &|name| {
        Ok(if name == "tracker" {
            SystemFile::Found { path: "scenarios/systems/tracker.toml".to_owned(), text: SYSTEM.to_owned() }
        } else {
            SystemFile::Missing { known: vec!["tracker".to_owned()] }
        })
    })?;
    let capabilities = Capabilities::of(&Embedded, &["tracker", "transaction", "analytics"]);
    // That what was written cannot be planned is an answer, too.
    drop(Plan::new(scenario(&files, capabilities)?));
    Ok(())
}
