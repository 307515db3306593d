//! Legal steps: every order begins at the beginning, goes on by steps that are allowed, its version rising by one with each,
//! and comes to an end before its deadline.

use super::reading::{Books, Trouble};
use super::ruling::{Fault, Ruling, counted};
use super::telling::About;
use shakedown_reports::books::Fact;
use shakedown_reports::numbers::{duration, grouped};
use shakedown_reports::rules::{Part, RuleOptions};
use std::collections::BTreeMap;

/// An order as far as its steps have been followed.
struct Way {
    steps: u64,
    version: Option<i64>,
    status: String,
    began_us: i64,
    ended_us: i64,
    /// The first thing that is wrong with it.
    wrong: Option<String>,
}

pub(super) fn rule(books: &Books<'_>) -> Result<Ruling, Trouble> {
    let options = &books.rule.options;
    let mut ways: BTreeMap<String, Way> = BTreeMap::new();
    books.visit(Part::Orders, &mut |fact| match ways.get_mut(&fact.entity) {
        Some(way) => way.go_on(fact, options),
        None => {
            ways.insert(fact.entity.clone(), Way::begin(fact, options));
        }
    })?;
    let mut ruling = Ruling::over(ways.len() as u64);
    let (mut steps, mut longest_us) = (0, 0);
    for (id, way) in &ways {
        steps += way.steps;
        longest_us = longest_us.max(way.lasted_us());
        if let Some(fault) = way.fault(options) {
            ruling.broken(&format!("order {id}"), fault, || About::Order(id.clone()));
        }
    }
    let longest = duration(longest_us.saturating_mul(1_000));
    ruling.summary =
        format!("{} in {}; the longest way took {longest}", counted(steps, "step"), counted(ruling.compared, "order"));
    Ok(ruling)
}

impl Way {
    fn begin(fact: &Fact, options: &RuleOptions) -> Self {
        let first = options.steps.first().map_or("", |(status, _)| status);
        let wrong = if fact.version.is_some_and(|version| version != 1) {
            Some(format!("begins with version {}", fact.version.unwrap_or_default()))
        } else if fact.status != first {
            Some(format!("begins as {}, not as {first}", fact.status))
        } else {
            None
        };
        Self {
            steps: 1,
            version: fact.version,
            status: fact.status.clone(),
            began_us: fact.at_us,
            ended_us: fact.at_us,
            wrong,
        }
    }

    fn go_on(&mut self, fact: &Fact, options: &RuleOptions) {
        if self.wrong.is_none() {
            self.wrong = self.wrong_step(fact, options);
        }
        self.steps += 1;
        self.version = fact.version;
        self.status.clone_from(&fact.status);
        self.ended_us = fact.at_us;
    }

    fn wrong_step(&self, fact: &Fact, options: &RuleOptions) -> Option<String> {
        if let (Some(version), Some(next)) = (self.version, fact.version)
            && next != version.saturating_add(1)
        {
            return Some(format!("version {next} follows version {version}"));
        }
        (!follow(options, &self.status).contains(&fact.status))
            .then(|| format!("becomes {}, which cannot follow {}", fact.status, self.status))
    }

    fn lasted_us(&self) -> u64 {
        u64::try_from(self.ended_us.saturating_sub(self.began_us)).unwrap_or_default()
    }

    fn fault(&self, options: &RuleOptions) -> Option<Fault> {
        if let Some(wrong) = &self.wrong {
            return Some(Fault::wrong(wrong.clone()));
        }
        if !follow(options, &self.status).is_empty() {
            let steps = counted(self.steps, "step");
            return Some(Fault::missing(format!("is {} after {steps}, which is no end", self.status)));
        }
        let lasted_ns = self.lasted_us().saturating_mul(1_000);
        let deadline = options.deadline.filter(|deadline| lasted_ns > *deadline)?;
        let (lasted, allowed) = (duration(lasted_ns), duration(deadline));
        Some(Fault::wrong(format!(
            "took {lasted} to its end, {} us more than {allowed}",
            grouped((lasted_ns - deadline) / 1_000)
        )))
    }
}

/// The statuses that may follow one.
fn follow<'a>(options: &'a RuleOptions, status: &str) -> &'a [String] {
    options.steps.iter().find(|(from, _)| from == status).map(|(_, to)| to.as_slice()).unwrap_or_default()
}
