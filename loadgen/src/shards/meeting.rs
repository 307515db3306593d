//! What shards say to one another, and what follows from it: pure, and the same for everybody who reads the same log.
//!
//! 1. Each says *ready* once its clients can send, and for how long it waits.
//! 2. The one whose word completes the number says *start*: the instant from which all schedules count.
//! 3. Whoever gives up waiting says *gone*, so that its name can be taken again. What a killed one said is void when the time
//!    it wanted to wait is over.
//! 4. Each says *done* when it will send nothing more, for those that read the topic back.
//!
//! A word that makes no sense in the place where it lies in the log counts for nobody: a shard that is there already, a plan
//! that is another one, a run that has begun. The one who said it reads it, too, and learns that it is refused.

use crate::part::Shard;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// From the last *ready* to the first intended instant: everybody has read *start* by then.
pub const LEAD: Duration = Duration::from_secs(1);

/// One record of the topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The run's name.
    pub run: String,
    /// Who says it: a process, not a shard, for two may claim to be the same shard.
    pub process: String,
    /// When, in nanoseconds since the Unix epoch by its own clock.
    pub at_ns: u64,
    /// What.
    #[serde(flatten)]
    pub word: Word,
}

/// What a shard says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "kebab-case")]
pub enum Word {
    /// It can send.
    Ready {
        /// Which it is, from 0.
        shard: u32,
        /// Of how many.
        of: u32,
        /// The digest of its plan.
        plan: String,
        /// Until when it waits for the others.
        until_ns: u64,
    },
    /// All are there.
    Start {
        /// The instant from which schedules count.
        start_ns: u64,
    },
    /// It waits no longer.
    Gone,
    /// It sends nothing more.
    Done,
}

/// Why a shard may not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MeetingError {
    /// The run had begun before.
    #[error("run {run:?} has begun already: give this one another name")]
    Begun {
        /// Its name.
        run: String,
    },
    /// Somebody else is this shard.
    #[error("shard {shard} of run {run:?} is there already: each is started once")]
    Twice {
        /// The run's name.
        run: String,
        /// The shard.
        shard: Shard,
    },
    /// The others offer something else.
    #[error(
        "shard {shard} of run {run:?} has plan {plan}, and the others plan {theirs} in {of} shards: all need the same arguments"
    )]
    OtherPlan {
        /// The run's name.
        run: String,
        /// The shard.
        shard: Shard,
        /// Its own plan.
        plan: String,
        /// The plan of those that were there before.
        theirs: String,
        /// In how many shards they offer it.
        of: u32,
    },
    /// Some never came.
    #[error("of {of} shards of run {run:?} {} did not come within {waited:?}", list(missing))]
    Missing {
        /// The run's name.
        run: String,
        /// How many there should be.
        of: u32,
        /// Those that are not there, from 1.
        missing: Vec<u32>,
        /// How long they were waited for.
        waited: Duration,
    },
    /// The start was read when it was over.
    #[error(
        "run {run:?} began {late:?} before this shard had read so: is the topic slow, or are the clocks of the machines apart?"
    )]
    Late {
        /// The run's name.
        run: String,
        /// How long before.
        late: Duration,
    },
}

fn list(missing: &[u32]) -> String {
    let numbers: Vec<String> = missing.iter().map(ToString::to_string).collect();
    match numbers.as_slice() {
        [] => "the one that starts them all".to_owned(),
        [one] => format!("number {one}"),
        more => format!("numbers {}", more.join(", ")),
    }
}

/// Who is there.
#[derive(Debug)]
struct Present {
    process: String,
    of: u32,
    plan: String,
    until_ns: u64,
}

/// What the log has said so far about one run, as one of its shards sees it.
#[derive(Debug)]
pub struct Meeting {
    run: String,
    me: String,
    shard: Shard,
    present: BTreeMap<u32, Present>,
    start_ns: Option<u64>,
    done: BTreeSet<String>,
}

/// What a shard has to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// To read on.
    Wait,
    /// To say *start*: its word completed the number.
    SayStart,
    /// To begin.
    Begin {
        /// When.
        start_ns: u64,
    },
}

impl Meeting {
    /// Nothing has been read yet.
    #[must_use]
    pub fn new(run: &str, me: &str, shard: Shard) -> Self {
        let (present, done) = (BTreeMap::new(), BTreeSet::new());
        Self { run: run.to_owned(), me: me.to_owned(), shard, present, start_ns: None, done }
    }

    /// The next record of the log.
    ///
    /// # Errors
    /// When it was this shard's own word, and counts for nothing.
    pub fn read(&mut self, said: &Said) -> Result<Step, MeetingError> {
        if said.run != self.run {
            return Ok(Step::Wait);
        }
        match &said.word {
            Word::Ready { shard, of, plan, until_ns } => {
                if let Err(refusal) = self.admit(said, *shard, *of, plan, *until_ns) {
                    return if said.process == self.me { Err(refusal) } else { Ok(Step::Wait) };
                }
                let complete = self.present.len() == *of as usize;
                Ok(if complete && said.process == self.me { Step::SayStart } else { Step::Wait })
            }
            Word::Gone => {
                if self.start_ns.is_none() {
                    self.present.retain(|_, present| present.process != said.process);
                }
                Ok(Step::Wait)
            }
            Word::Start { start_ns } => {
                let complete = self.present.values().next().is_some_and(|one| self.present.len() == one.of as usize);
                if !complete || self.start_ns.is_some() || !self.is_present(&said.process) {
                    return Ok(Step::Wait);
                }
                self.start_ns = Some(*start_ns);
                Ok(if self.is_present(&self.me) { Step::Begin { start_ns: *start_ns } } else { Step::Wait })
            }
            Word::Done => {
                self.done.insert(said.process.clone());
                Ok(Step::Wait)
            }
        }
    }

    /// Takes a shard in that says it is ready.
    fn admit(&mut self, said: &Said, shard: u32, of: u32, plan: &str, until_ns: u64) -> Result<(), MeetingError> {
        if self.start_ns.is_some() {
            return Err(MeetingError::Begun { run: self.run.clone() });
        }
        self.present.retain(|_, present| present.until_ns >= said.at_ns);
        if let Some(other) = self.present.values().find(|other| other.of != of || other.plan != plan) {
            return Err(MeetingError::OtherPlan {
                run: self.run.clone(),
                shard: self.shard,
                plan: plan.to_owned(),
                theirs: other.plan.clone(),
                of: other.of,
            });
        }
        if self.present.contains_key(&shard) {
            return Err(MeetingError::Twice { run: self.run.clone(), shard: self.shard });
        }
        self.present.insert(shard, Present { process: said.process.clone(), of, plan: plan.to_owned(), until_ns });
        Ok(())
    }

    fn is_present(&self, process: &str) -> bool {
        self.present.values().any(|present| present.process == process)
    }

    /// Whether every shard has said that it is done.
    #[must_use]
    pub fn all_done(&self) -> bool {
        self.present.values().all(|present| self.done.contains(&present.process))
    }

    /// The shards that have not come, from 1.
    #[must_use]
    pub fn missing(&self) -> Vec<u32> {
        (0..self.shard.of()).filter(|shard| !self.present.contains_key(shard)).map(|shard| shard + 1).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn shard(text: &str) -> Shard {
        text.parse().expect("a shard")
    }

    fn said(process: u64, at_s: u64, word: Word) -> Said {
        Said { run: "nightly".to_owned(), process: process.to_string(), at_ns: at_s * SECOND, word }
    }

    fn ready(process: u64, at_s: u64, shard: u32, of: u32, plan: &str) -> Said {
        let until_ns = (at_s + 60) * SECOND;
        said(process, at_s, Word::Ready { shard, of, plan: plan.to_owned(), until_ns })
    }

    fn start(process: u64, at_s: u64) -> Said {
        said(process, at_s, Word::Start { start_ns: (at_s + 1) * SECOND })
    }

    /// What process 1, shard 1/2, makes of a log.
    fn read(log: &[Said]) -> Result<Step, MeetingError> {
        let mut meeting = Meeting::new("nightly", "1", shard("1/2"));
        log.iter().try_fold(Step::Wait, |_, said| meeting.read(said))
    }

    #[test]
    fn whoever_completes_the_number_starts_all() {
        let begun = Ok(Step::Begin { start_ns: 6 * SECOND });
        assert_eq!(read(&[ready(1, 3, 0, 2, "p")]), Ok(Step::Wait));
        assert_eq!(read(&[ready(1, 3, 0, 2, "p"), ready(2, 4, 1, 2, "p")]), Ok(Step::Wait), "the other one says it");
        assert_eq!(read(&[ready(2, 3, 1, 2, "p"), ready(1, 4, 0, 2, "p")]), Ok(Step::SayStart));
        assert_eq!(read(&[ready(1, 3, 0, 2, "p"), ready(2, 4, 1, 2, "p"), start(2, 5)]), begun);
        assert_eq!(read(&[ready(2, 3, 1, 2, "p"), ready(1, 4, 0, 2, "p"), start(1, 5)]), begun);
    }

    #[test]
    fn a_run_begins_once() {
        let log = [ready(8, 1, 0, 2, "p"), ready(9, 1, 1, 2, "p"), start(9, 2), ready(1, 3, 0, 2, "p")];
        assert_eq!(read(&log), Err(MeetingError::Begun { run: "nightly".to_owned() }));
        let mut other = log.to_vec();
        other[..3].iter_mut().for_each(|said| said.run = "weekly".to_owned());
        assert_eq!(read(&other), Ok(Step::Wait), "another run is none of its business");
    }

    #[test]
    fn a_shard_that_is_there_already_and_another_plan_are_refused_to_whoever_came_second() {
        let twice = read(&[ready(9, 1, 0, 2, "p"), ready(1, 3, 0, 2, "p")]).expect_err("refused");
        assert_eq!(twice.to_string(), "shard 1/2 of run \"nightly\" is there already: each is started once");
        assert_eq!(read(&[ready(1, 1, 0, 2, "p"), ready(9, 3, 0, 2, "p")]), Ok(Step::Wait), "the first one stays");
        let other = read(&[ready(9, 1, 1, 3, "q"), ready(1, 3, 0, 2, "p")]).expect_err("refused");
        assert!(other.to_string().contains("has plan p, and the others plan q in 3 shards"), "{other}");
        // Neither takes part: shard 2/2 of the same plan still completes the number.
        let log = [ready(1, 1, 0, 2, "p"), ready(9, 2, 1, 2, "q"), ready(2, 3, 1, 2, "p"), start(2, 4)];
        assert_eq!(read(&log), Ok(Step::Begin { start_ns: 5 * SECOND }));
    }

    #[test]
    fn whoever_is_gone_or_was_killed_long_ago_makes_room() {
        let gone = [ready(8, 1, 0, 2, "p"), said(8, 2, Word::Gone), ready(1, 3, 0, 2, "p")];
        assert_eq!(read(&gone), Ok(Step::Wait));
        let killed = |at_s| [ready(8, 1, 0, 2, "p"), ready(1, at_s, 0, 2, "p")];
        assert!(matches!(read(&killed(61)), Err(MeetingError::Twice { .. })), "it may still be there");
        assert_eq!(read(&killed(62)), Ok(Step::Wait));
    }

    #[test]
    fn a_start_that_nobody_may_say_begins_nothing() {
        assert_eq!(read(&[ready(1, 1, 0, 2, "p"), start(1, 2)]), Ok(Step::Wait), "one is missing");
        let stranger = [ready(1, 1, 0, 2, "p"), ready(2, 1, 1, 2, "p"), start(7, 2)];
        assert_eq!(read(&stranger), Ok(Step::Wait), "it was never there");
    }

    #[test]
    fn all_are_done_when_each_has_said_so() {
        let mut meeting = Meeting::new("nightly", "1", shard("1/2"));
        for said in [ready(1, 1, 0, 2, "p"), ready(2, 1, 1, 2, "p"), start(2, 2), said(2, 9, Word::Done)] {
            meeting.read(&said).expect("allowed");
        }
        assert!(!meeting.all_done());
        meeting.read(&said(1, 9, Word::Done)).expect("allowed");
        assert!(meeting.all_done());
    }

    #[test]
    fn those_that_never_came_are_named() {
        let mut meeting = Meeting::new("nightly", "1", shard("2/4"));
        meeting.read(&ready(1, 1, 1, 4, "p")).expect("allowed");
        let (missing, waited) = (meeting.missing(), Duration::from_secs(60));
        let error = MeetingError::Missing { run: "nightly".to_owned(), of: 4, missing, waited };
        assert_eq!(error.to_string(), "of 4 shards of run \"nightly\" numbers 1, 3, 4 did not come within 60s");
    }

    #[test]
    fn a_record_is_json_that_people_can_read() {
        let text = serde_json::to_string(&ready(1, 1, 0, 2, "p")).expect("serializable");
        assert!(text.contains(r#""word":"ready","shard":0,"of":2,"plan":"p","until_ns":61000000000"#), "{text}");
        assert_eq!(serde_json::from_str::<Said>(&text).expect("readable"), ready(1, 1, 0, 2, "p"));
    }
}
