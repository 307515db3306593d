//! The complete example of `docs/scenarios.md`, run as whoever reads the page would run it.

use crate::trial;
use libtest_mimic::Trial;
use shakedown::Runner;

const PAGE: &str = include_str!("../../../docs/scenarios.md");

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("page::the_example_of_the_page_passes", || {
        let example = PAGE.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
        assert!(
            example.starts_with("name = ") && example.contains("[expect]"),
            "the first is the whole one: {example}"
        );
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("example.toml");
        std::fs::write(&file, example).expect("a scenario file");
        let report = Runner::new(&file).output(folder.path()).run().unwrap_or_else(|error| panic!("{error}"));
        report.assert_passed();
        assert!(report.summary().faults_fired.values().all(|times| *times == 1), "{}", report.text(false));
    })]
}
