//! The figures, what they may be, and how both are printed.

use crate::measure::median;
use crate::peer::Column;
use shakedown_cluster::builder::MEMORY_BUDGET;
use std::collections::BTreeMap;

/// The rows of the table, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Row {
    Boot,
    Idle,
    Throughput,
    Cpu,
    RoundTrips,
    Median,
    Tail,
    Log,
    LogBytes,
    Topics,
    TopicsMemory,
}

impl Row {
    pub(crate) const ALL: [Self; 11] = [
        Self::Boot,
        Self::Idle,
        Self::Throughput,
        Self::Cpu,
        Self::RoundTrips,
        Self::Median,
        Self::Tail,
        Self::Log,
        Self::LogBytes,
        Self::Topics,
        Self::TopicsMemory,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Boot => "boot to the first acks=all acknowledgement, ms",
            Self::Idle => "memory, idle, MB",
            Self::Throughput => "messages/s, 200 B, acks=all, linger 5 ms",
            Self::Cpu => "broker CPU for 2 M messages, s",
            Self::RoundTrips => "broker CPU for 60,000 round trips, s",
            Self::Median => "end to end at 5,000/s, linger 0, p50, ms",
            Self::Tail => "end to end at 5,000/s, linger 0, p99, ms",
            Self::Log => "memory growth for 1 GB of log, MB",
            Self::LogBytes => "of it not there with a budget of 0, MB",
            Self::Topics => "1,000 topics x 10 partitions created, s",
            Self::TopicsMemory => "memory with 1,000 topics x 10 partitions, MB",
        }
    }

    fn targets(self) -> &'static [Target] {
        const fn at_most(bound: f64, of: Option<Column>) -> Target {
            Target { of, is_floor: false, bound }
        }
        const fn at_least(bound: f64, of: Column) -> Target {
            Target { of: Some(of), is_floor: true, bound }
        }
        const FLOOR: Option<Column> = Some(Column::Floor);
        match self {
            Self::Boot => const { &[at_most(25.0, None)] },
            Self::Idle => const { &[at_most(20.0, None)] },
            Self::Throughput => {
                const {
                    &[
                        at_least(1.2, Column::Kfake),
                        at_least(1.2, Column::KfakeOfThree),
                        at_least(0.75, Column::Floor),
                        at_least(0.9, Column::OursUnreplicated),
                    ]
                }
            }
            Self::Cpu => const { &[at_most(1.5, FLOOR)] },
            Self::RoundTrips => const { &[at_most(1.7, FLOOR)] },
            Self::Median | Self::Tail => const { &[at_most(2.0, FLOOR)] },
            // The budget is for the log and says nothing of buffers, stacks and code.
            Self::Log => &[],
            Self::LogBytes => const { &[at_most(MEMORY_BUDGET as f64 / 1e6, None)] },
            Self::Topics => const { &[at_most(1.0, None)] },
            Self::TopicsMemory => const { &[at_most(100.0, None)] },
        }
    }
}

/// What a figure of ours may be, by itself or as a multiple of somebody else's.
struct Target {
    of: Option<Column>,
    is_floor: bool,
    bound: f64,
}

/// All figures of a run, one a round.
#[derive(Default)]
pub(crate) struct Table(BTreeMap<(Row, Column), Vec<f64>>);

impl Table {
    pub(crate) fn add(&mut self, row: Row, column: Column, figure: f64) {
        self.0.entry((row, column)).or_default().push(figure);
    }

    fn figure(&self, row: Row, column: Column) -> Option<f64> {
        self.0.get(&(row, column)).map(|figures| median(figures))
    }

    /// Prints the medians of these rows with what they may be; whether no target is missed.
    pub(crate) fn print(&self, rows: &[Row]) -> bool {
        println!("| {:<46} |{} ratios and targets |", "", cells(|column| column.name().to_owned()));
        println!("|{}|{}---|", "-".repeat(48), "-----------:|".repeat(Column::ALL.len()));
        let mut all_hold = true;
        for row in rows {
            let verdicts: Vec<_> = row.targets().iter().map(|target| self.verdict(*row, target)).collect();
            all_hold &= verdicts.iter().all(|(holds, _)| *holds != Some(false));
            let texts: Vec<_> = verdicts.into_iter().map(|(_, text)| text).collect();
            let figures = cells(|column| self.figure(*row, column).map_or_else(|| String::from("-"), figure_text));
            println!("| {:<46} |{figures} {} |", row.name(), texts.join("; "));
        }
        all_hold
    }

    /// Whether a target holds, if everybody it needs was measured, and how that reads.
    fn verdict(&self, row: Row, target: &Target) -> (Option<bool>, String) {
        let sign = if target.is_floor { ">=" } else { "<=" };
        let theirs = match target.of {
            Some(column) => self.figure(row, column),
            None => Some(1.0),
        };
        let value = self.figure(row, Column::Ours).zip(theirs).map(|(ours, theirs)| ours / theirs);
        let holds = value.map(|value| if target.is_floor { value >= target.bound } else { value <= target.bound });
        let verdict = match holds {
            Some(true) => "holds",
            Some(false) => "MISSED",
            None => "not measured",
        };
        let bound = (target.bound * 100.0).round() / 100.0;
        let text = match (target.of, value) {
            (Some(column), Some(ratio)) => format!("{ratio:.2} x {} ({sign} {bound}) {verdict}", column.name()),
            (Some(column), None) => format!("{sign} {bound} x {}: {verdict}", column.name()),
            (None, _) => format!("{sign} {bound} {verdict}"),
        };
        (holds, text)
    }
}

fn cells(text: impl Fn(Column) -> String) -> String {
    Column::ALL.iter().map(|column| format!(" {:>10} |", text(*column))).collect()
}

/// As many digits as mean something; what never came to an end is infinite.
fn figure_text(figure: f64) -> String {
    match figure {
        f64::INFINITY => String::from("behind"),
        figure if figure >= 1000.0 => format!("{figure:.0}"),
        figure if figure >= 10.0 => format!("{figure:.1}"),
        figure => format!("{figure:.3}"),
    }
}
