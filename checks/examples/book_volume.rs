//! How long the rules over books take, and how much memory, on a storefront's run of any length:
//! `cargo run --release -p shakedown-checks --example book_volume -- write FOLDER 60000`, which names a run directory, then
//! `... -- judge DIRECTORY`, in a process of its own, so that the memory that is reported is what the rules need.

#[expect(dead_code, reason = "the tests need more of it")]
#[path = "../tests/integration/shop.rs"]
mod shop;

use shakedown_checks::judge;
use shakedown_reports::books::BookWriter;
use shakedown_reports::expectation::Expectations;
use shakedown_reports::numbers::grouped;
use shakedown_reports::record::Record as _;
use shakedown_reports::{RunDirectory, RunInfo, RunRecord};
use shop::{End, Shop};
use std::path::Path;
use std::time::Instant;

/// Of so many orders one is declined, and one out of stock.
const EVERY: usize = 10;

fn storefront(orders: usize) -> Shop {
    let mut shop = Shop::new(1_000_000_000);
    for number in 0..orders {
        let end = match number % EVERY {
            0 => End::Declined,
            1 => End::OutOfStock,
            _ => End::Shipped,
        };
        let (id, user) = (format!("00000000-0000-4000-8000-{number:012}"), format!("user-{}", number % 1_000));
        shop.storefront(&id, &user, 100_000 + i64::try_from(number).unwrap_or(i64::MAX), end);
    }
    shop
}

fn write(folder: &Path, orders: usize) -> Result<(), Box<dyn std::error::Error>> {
    let shop = storefront(orders);
    let mut info = RunInfo::new("a long run", 1);
    let mut rules = shop::rules(&shop.record);
    for rule in &mut rules {
        rule.options.initial.clear();
        (rule.options.count, rule.options.sum) = (None, None);
    }
    info.expectations = Expectations { rules, ..Expectations::default() };
    let directory = RunDirectory::create(folder, &info)?;
    for (name, facts) in &shop.record.books {
        let mut book = BookWriter::create(directory.path(), name)?;
        facts.iter().try_for_each(|fact| book.write(fact))?;
    }
    println!("{}", directory.path().display());
    Ok(())
}

fn judge_again(directory: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let record = RunRecord::open(directory)?;
    let expectations = record.info().expectations.clone();
    let started = Instant::now();
    let verdict = judge(&record, &expectations)?;
    for finding in &verdict.findings {
        println!("{} {:?} {}: {}", finding.subject, finding.outcome, grouped(finding.compared), finding.detail);
    }
    println!("{:?} in {:?}; {} defects", verdict.outcome, started.elapsed(), record.defects().len());
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        status.lines().filter(|line| line.starts_with("VmHWM")).for_each(|line| println!("{line}"));
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["write", folder, orders] => write(Path::new(folder), orders.parse()?),
        ["judge", directory] => judge_again(Path::new(directory)),
        _ => Err("write FOLDER ORDERS, or judge DIRECTORY".into()),
    }
}
