//! Books of a service and of a topic: read while the service is killed and comes back, compared by a rule, and compared again
//! when the run is long over.

use crate::{tool, trial};
use libtest_mimic::Trial;
use shakedown::Runner;
use shakedown_reports::books::file_name;
use shakedown_reports::verdict::Outcome;
use std::path::Path;

/// What the tracker tracked is what lies in its topic, order by order, and what it says it all comes to.
const SCENARIO: &str = r#"name = "the tracker's book agrees with its topic"
system = "tracker"

[topics.orders.book]
amount = "/quantity"
event = "/order_id"

[services.tracker.books.trail]
get = "/tracked"
entity = "/order_id"
kind = "/item"
amount = "/quantity"
key = "/user"

[conserved.books]
rule = "folded"
orders = "tracker-trail"
log = ["orders"]
count = "figure tracker.orders"
sum = "figure tracker.quantity"

[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "500/s", for = "2s" }

[[fault]]
at = "700ms"
do = { kill = "service(tracker)" }
heal = { after = "100ms" }

[expect]
conserved = ["books"]
"#;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("books::what_a_service_says_is_compared_with_its_topic_now_and_later", || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = scenario(folder.path());
        let runner = Runner::new(&file).executable(env!("CARGO_BIN_EXE_shakedown")).output(folder.path());
        let report = runner.run().unwrap_or_else(|error| panic!("{error}"));
        report.assert_passed();
        let finding = &report.verdict().findings[0];
        assert_eq!((finding.subject.as_str(), finding.outcome), ("books", Outcome::Pass));
        assert_eq!(finding.compared, 1_002, "every order, and two figures");

        let run = report.directory();
        let again = check(run);
        assert_eq!(again.0, Some(0), "{}", again.1);
        assert!(again.1.contains("conserved: books"), "{}", again.1);
        // The book of somebody who forgot an order.
        let book = run.join(file_name("tracker-trail"));
        let text = std::fs::read_to_string(&book).expect("a book");
        let forgotten = text.lines().nth(500).expect("a thousand lines").to_owned() + "\n";
        std::fs::write(&book, text.replace(&forgotten, "")).expect("the book is altered");
        let again = check(run);
        assert_eq!(again.0, Some(1), "{}", again.1);
        assert!(again.1.contains("is in the log, but was never accepted"), "{}", again.1);
        assert!(again.1.contains("topic orders/"), "the story shows where it lies: {}", again.1);
    })]
}

fn scenario(folder: &Path) -> std::path::PathBuf {
    let systems = folder.join("systems");
    std::fs::create_dir(&systems).expect("a folder");
    let system = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/systems/tracker.toml");
    std::fs::copy(system, systems.join("tracker.toml")).expect("the system");
    let file = folder.join("books.toml");
    std::fs::write(&file, SCENARIO).expect("a scenario file");
    file
}

/// What `shakedown check` says of a run directory.
fn check(run: &Path) -> (Option<i32>, String) {
    let output = tool::shakedown(&["check", &run.display().to_string()]);
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}
