//! The figures and the targets, as they are printed.

use crate::figures::Figures;

/// What a figure of ours may be.
pub(crate) struct Check {
    what: String,
    value: f64,
    bound: f64,
    is_floor: bool,
}

impl Check {
    pub(crate) fn at_least(what: &str, value: f64, bound: f64) -> Self {
        Self { what: what.to_owned(), value, bound, is_floor: true }
    }

    pub(crate) fn at_most(what: &str, value: f64, bound: f64) -> Self {
        Self { what: what.to_owned(), value, bound, is_floor: false }
    }

    /// No figure holds nothing.
    fn holds(&self) -> bool {
        if self.is_floor { self.value >= self.bound } else { self.value <= self.bound }
    }
}

/// All that has been checked so far; rows are printed as they come.
#[derive(Default)]
pub(crate) struct Table(Vec<Check>);

impl Table {
    pub(crate) fn section(&mut self, title: &str) {
        println!("\n{title}");
        println!(
            "| {:<22} | {:>11} | {:>8} | {:>9} | {:>9} | {:>9} | {:>9} | {:>9} | {:>7} |",
            "", "messages/s", "error", "p50 ms", "p99 ms", "p99.9 ms", "p99.99 ms", "max ms", "CPU us"
        );
        let columns = [22, 11, 8, 9, 9, 9, 9, 9, 7].map(|width| format!("{}:|", "-".repeat(width + 1)));
        println!("|{}", columns.concat());
    }

    /// One peer's figures; the error is against the rate that was asked for, if it was told one.
    pub(crate) fn row(&mut self, name: &str, asked: Option<f64>, figures: &Figures) {
        let error = asked.map_or(String::new(), |asked| format!("{:+.3} %", (figures.rate / asked - 1.0) * 100.0));
        let ms = |figure: Option<f64>| figure.map_or(String::new(), |ms| format!("{ms:.2}"));
        println!(
            "| {name:<22} | {:>11.1} | {error:>8} | {:>9} | {:>9} | {:>9} | {:>9} | {:>9} | {:>7} |",
            figures.rate,
            ms(figures.p50),
            ms(figures.p99),
            ms(figures.p999),
            ms(figures.p9999),
            ms(figures.max),
            ms(figures.cpu_us)
        );
    }

    pub(crate) fn check(&mut self, check: Check) {
        self.0.push(check);
    }

    /// Prints what ours may be; whether all of it holds.
    pub(crate) fn end(&self) -> bool {
        println!("\ntargets of ours");
        for check in &self.0 {
            let sign = if check.is_floor { ">=" } else { "<=" };
            let verdict = if check.holds() { "holds" } else { "MISSED" };
            println!("  {:<44} {:>9.4} ({sign} {}) {verdict}", check.what, check.value, check.bound);
        }
        !self.0.is_empty() && self.0.iter().all(Check::holds)
    }
}
