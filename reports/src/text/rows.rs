//! The table of checks: findings of one check over several flows share a row, and what failed is told below it.

use super::{paint, wrap};
use crate::numbers::grouped;
use crate::verdict::{Finding, Outcome};

/// Where `compared` ends, as far as names allow.
const NAME_WIDTH: usize = 24;
const NAME_WIDTH_MAX: usize = 44;
const COMPARED_WIDTH: usize = 10;
/// How many stories of a finding are told; the rest is in `verdict.json`.
const STORIES_MAX: usize = 3;

/// One line of the table with the findings behind it.
pub(super) struct Row<'a> {
    name: String,
    findings: Vec<&'a Finding>,
}

/// Consecutive findings of one check over flows become one row; rules and metrics have a row each.
pub(super) fn rows(findings: &[Finding]) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for finding in findings {
        let name = match finding.check.as_str() {
            "reordered" => "order, per key".to_owned(),
            "conserved" | "contradicted" => format!("conserved: {}", finding.subject),
            "latency" => format!("latency {}", finding.subject),
            other => other.to_owned(),
        };
        match rows.last_mut() {
            Some(row) if row.name == name => row.findings.push(finding),
            _ => rows.push(Row { name, findings: vec![finding] }),
        }
    }
    rows
}

impl Row<'_> {
    fn outcome(&self) -> Outcome {
        self.findings.iter().map(|finding| finding.outcome).max().unwrap_or(Outcome::Inconclusive)
    }

    fn detail(&self) -> String {
        if let [finding] = self.findings.as_slice() {
            return finding.detail.clone();
        }
        let total =
            |count: fn(&Finding) -> u64| grouped(self.findings.iter().map(|finding| count(finding)).sum::<u64>());
        match self.outcome() {
            Outcome::Fail => {
                let (found, compared) = (total(|finding| finding.found), total(|finding| finding.compared));
                format!("{found} of {compared} over {}", self.subjects())
            }
            Outcome::Pass | Outcome::Inconclusive => String::new(),
        }
    }

    /// `2 flows`: what the row adds up.
    fn subjects(&self) -> String {
        let word = match self.findings.first().map_or("", |finding| finding.check.as_str()) {
            "lost" | "reordered" => "flows",
            "duplicated" | "phantom" => "sinks",
            "inconsistent-offset" => "topics",
            "offset-regressed" | "lag" => "groups",
            _ => "places",
        };
        format!("{} {word}", self.findings.len())
    }
}

/// Renders the table. Times in stories count from `started_ns`.
pub(super) fn render(out: &mut String, rows: &[Row<'_>], started_ns: u64, colour: bool) {
    let longest = rows.iter().map(|row| row.name.chars().count() + 1).max().unwrap_or_default();
    let name_width = longest.clamp(NAME_WIDTH, NAME_WIDTH_MAX);
    let unclear = rows.iter().any(|row| row.outcome() == Outcome::Inconclusive);
    let verdict_width = if unclear { 14 } else { 10 };
    let head = format!("  {:<name_width$}{:>COMPARED_WIDTH$}   verdict\n", "check", "compared");
    out.push_str(&paint::bold(colour, head.trim_end()));
    out.push('\n');
    for row in rows {
        let outcome = row.outcome();
        let compared: u64 = row.findings.iter().map(|finding| finding.compared).sum();
        let name = wrap::cut(&row.name, name_width - 1);
        out.push_str(&format!("  {name:<name_width$}{:>COMPARED_WIDTH$}   ", grouped(compared)));
        out.push_str(&paint::outcome(colour, outcome, &format!("{:<verdict_width$}", paint::word(outcome))));
        wrap::append(out, 2 + name_width + COMPARED_WIDTH + 3 + verdict_width, &row.detail());
        for finding in &row.findings {
            if row.findings.len() > 1 && finding.outcome != Outcome::Pass {
                out.push_str("    ");
                wrap::append(out, 4, &format!("{}: {}", finding.subject, finding.detail));
            }
            stories(out, finding, started_ns);
        }
    }
}

fn stories(out: &mut String, finding: &Finding, started_ns: u64) {
    for story in finding.evidence.iter().take(STORIES_MAX) {
        out.push_str("    ");
        wrap::append(out, 4, &story.title);
        for event in &story.events {
            let time = event.at_ns.map_or_else(String::new, |at_ns| seconds(at_ns, started_ns));
            out.push_str(&format!("      {time:>9}  "));
            wrap::append(out, 17, &event.text);
        }
    }
    if let Some(more) = untold(finding) {
        out.push_str(&format!("    {more}\n"));
    }
}

/// How many violations the stories of a finding leave out, and where some more of them are told. There is no list of all:
/// what a few do not show, a million will not.
fn untold(finding: &Finding) -> Option<String> {
    let (told, stories) = (finding.evidence.len().min(STORIES_MAX) as u64, finding.evidence.len() as u64);
    let kept = stories - told;
    let more = match finding.check.as_str() {
        // Their stories are not one for each of what they count: copies of one message, bounds, looks.
        "duplicated" | "latency" | "lag" => kept,
        _ if stories == 0 => 0,
        _ => finding.found.saturating_sub(told).max(kept),
    };
    match (more, kept) {
        (0, _) => None,
        (more, 0) => Some(format!("and {} more", grouped(more))),
        (more, kept) if more == kept => Some(format!("and {kept} more in verdict.json")),
        (more, kept) => Some(format!("and {} more, {kept} of them in verdict.json", grouped(more))),
    }
}

/// `4.018 s` since the start of the run.
pub(crate) fn seconds(at_ns: u64, started_ns: u64) -> String {
    let milliseconds = i128::from(at_ns) / 1_000_000 - i128::from(started_ns) / 1_000_000;
    let (sign, magnitude) = if milliseconds < 0 { ("-", -milliseconds) } else { ("", milliseconds) };
    format!("{sign}{}.{:03} s", magnitude / 1000, magnitude % 1000)
}

#[cfg(test)]
mod tests {
    use super::{rows, untold};
    use crate::verdict::{Finding, Outcome, Story};

    fn finding(check: &str, found: u64, stories: usize) -> Finding {
        Finding {
            check: check.to_owned(),
            subject: "load -> topic orders".to_owned(),
            outcome: Outcome::Fail,
            compared: 600,
            found,
            detail: String::new(),
            evidence: vec![Story { title: "message 1".to_owned(), events: Vec::new() }; stories],
        }
    }

    #[test]
    fn what_the_stories_leave_out_is_counted() {
        let told = |check, found, stories| untold(&finding(check, found, stories));
        assert_eq!(told("lost", 1_398, 5).as_deref(), Some("and 1,395 more, 2 of them in verdict.json"));
        assert_eq!(told("lost", 5, 5).as_deref(), Some("and 2 more in verdict.json"));
        assert_eq!(told("stalled", 7, 3).as_deref(), Some("and 4 more"));
        assert_eq!(told("lost", 3, 3), None);
        assert_eq!(told("conserved", 4_200, 0), None, "an amount that is missing is no message");
        assert_eq!(told("latency", 1, 5).as_deref(), Some("and 2 more in verdict.json"));
        assert_eq!(told("duplicated", 9, 1), None, "nine copies of one message are one story");
    }

    #[test]
    fn a_sum_says_of_what() {
        let detail = |findings: &[Finding]| rows(findings)[0].detail();
        let lost = [finding("lost", 398, 0), finding("lost", 0, 0)];
        assert_eq!(detail(&lost), "398 of 1,200 over 2 flows");
        assert_eq!(detail(&[finding("duplicated", 1, 0), finding("duplicated", 2, 0)]), "3 of 1,200 over 2 sinks");
    }

    #[test]
    fn a_rule_of_conservation_is_a_row_whatever_convicts_it() {
        let finding = |check: &str, subject: &str| Finding {
            check: check.to_owned(),
            subject: subject.to_owned(),
            outcome: Outcome::Fail,
            compared: 1,
            found: 1,
            detail: String::new(),
            evidence: Vec::new(),
        };
        let findings = [finding("conserved", "orders"), finding("contradicted", "money"), finding("lost", "a -> b")];
        let names: Vec<String> = rows(&findings).into_iter().map(|row| row.name).collect();
        assert_eq!(names, ["conserved: orders", "conserved: money", "lost"]);
    }
}
