//! The load: offered by the load generator to a topic, or to a service over HTTP, or by a service at the rate it is given;
//! faults strike meanwhile.

use super::error::RunError;
use super::fleet::Fleet;
use super::nemesis::Nemesis;
use super::parts::Parts;
use super::readiness;
use super::recovery;
use super::session::Session;
use super::telling::Teller;
use super::{http, measuring};
use crate::plan::Plan;
use crate::scenario::model::{ArrivalShape, FaultRule, LoadRule, Target};
use serde_json::Value as Json;
use shakedown_loadgen::compression;
use shakedown_loadgen::sampler::Bystanders;
use shakedown_loadgen::{Endpoints, Load, LoadError, LoadSummary, Progress, Rate};
use shakedown_reports::numbers::{self, grouped};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two looks at the load's progress; the longest that a fault comes late.
const TICK: Duration = Duration::from_millis(2);

/// Between two questions to a service that offers the load.
const STATS_POLL: Duration = Duration::from_millis(20);

/// Where a service that offers the load tells how far it is: `{"accepted": n, "acknowledged": n, "done": bool}`.
const STATS: &str = "/stats";

/// More than one message in so many without an acknowledgement is worth a warning.
const UNNOTICED_ONE_IN: u64 = 100;

/// Offers the whole load, and returns when every message has its answer.
///
/// # Errors
/// When the load generator breaks, a service cannot be healed, or the run is interrupted.
pub fn offer(session: &Session, parts: &mut Parts) -> Result<(), RunError> {
    session.go_on()?;
    let total = grouped(session.plan.total);
    let target = session.plan.scenario.load.target.clone();
    let whereto = match &target {
        Target::Topic(name) => format!("to topic {name}"),
        Target::Topics(names) => format!("to topics {}", names.join(", ")),
        Target::Service(name) => format!("from service {name}"),
        Target::Post { service, path } => format!("by POST {path} to service {service}"),
    };
    session.journal.phase("load", format!("{total} messages {whereto}"));
    match target {
        Target::Topic(_) | Target::Topics(_) => offer_by_us(session, parts, None)?,
        Target::Post { service, .. } => offer_by_us(session, parts, Some(&service))?,
        Target::Service(name) => offer_by_service(session, parts, &name)?,
    }
    session.journal.phase("load", "done");
    Ok(())
}

/// What a service that offers the load is told.
#[must_use]
pub fn service_environment(plan: &Plan) -> BTreeMap<String, String> {
    let load = &plan.scenario.load;
    #[expect(
        clippy::cast_precision_loss,
        reason = "the service takes a decimal number, and counts messages by the total"
    )]
    let per_second = load.messages as f64 / load.per.as_secs_f64();
    BTreeMap::from([
        ("ORDERS_PER_SECOND".to_owned(), per_second.to_string()),
        ("ORDERS_TOTAL".to_owned(), plan.total.to_string()),
        ("ORDERS_SEED".to_owned(), plan.scenario.seed.to_string()),
        ("ORDERS_USERS".to_owned(), load.keys.users.to_string()),
        ("ORDERS_ARRIVALS".to_owned(), shape(load).to_lowercase()),
    ])
}

fn shape(load: &LoadRule) -> &'static str {
    load.shape.word()
}

/// The rate as it is read: of a ramp both, of bursts theirs beside the steady one, of steps the highest.
fn rate(load: &LoadRule) -> String {
    let rate = Rate::new(load.messages, load.per).map(|rate| rate.to_string()).unwrap_or_default();
    match &load.shape {
        ArrivalShape::Constant | ArrivalShape::Poisson => rate,
        ArrivalShape::Ramp { from, .. } => format!("{from} to {rate}"),
        ArrivalShape::Steps { .. } => format!("up to {rate}"),
        ArrivalShape::Burst { bursts, .. } => format!("{rate} and {}", bursts.rate),
        ArrivalShape::Replay { .. } => {
            format!("{:.1}/s on average", Rate::new(load.messages, load.per).map_or(0.0, Rate::as_f64_per_second))
        }
    }
}

/// Where the instances of a service listen now, as far as anybody knows. One that is down keeps its turn until it comes
/// back at another place: those who ask it find nobody there, as customers do. One that was scaled in has none.
fn addresses(parts: &Parts, service: &str) -> Vec<String> {
    let fleet = parts.fleet.as_deref();
    let instances = fleet.into_iter().flat_map(|fleet| fleet.of(service));
    instances.filter(|instance| instance.is_wanted()).filter_map(super::fleet::Instance::address).collect()
}

/// Has the load generator offer: over HTTP to this service, else to a topic.
fn offer_by_us(session: &Session, parts: &mut Parts, service: Option<&str>) -> Result<(), RunError> {
    let plan = &session.plan;
    let bootstrap = parts.bootstrap();
    // Whoever interrupts the run stops the load at once, wherever it waits.
    parts.load_stop = session.options.interrupt.for_part();
    let (endpoints, mut teller) = (Endpoints::default(), Teller::default());
    let begin = |parts: &mut Parts| -> Result<(), RunError> {
        let (clock, stop) = (session.clock, parts.load_stop.clone());
        // Whoever has a client by now is not part of the load.
        let bystanders = Bystanders::now();
        let (operations, intervals) = (session.directory.operation_writer()?, session.directory.interval_log());
        let started = match service {
            Some(service) => {
                endpoints.set(addresses(parts, service));
                Load::start_http(&plan.load, endpoints.clone(), clock, operations, intervals, stop)
            }
            None => Load::start(&plan.load, &bootstrap, clock, operations, intervals, stop),
        };
        parts.load = Some(started.map_err(|error| match error {
            LoadError::Stopped => RunError::Interrupted,
            other => other.into(),
        })?);
        measuring::start(session, parts, bystanders)
    };
    with_faults(session, parts, &bootstrap, begin, |parts| {
        if let Some(service) = service {
            endpoints.set(addresses(parts, service));
        }
        let Some(load) = &parts.load else { return Ok(true) };
        teller.tell(session, &load.progress(), plan.load.flush_timeout);
        Ok(load.is_finished())
    })?;
    let Some(load) = parts.load.take() else { return Ok(()) };
    let summary = load.join()?;
    sum_up(session, parts, &summary);
    measuring::finish(session, parts)
}

/// Notes what became of the load: for the report, and for the verdict.
pub(super) fn sum_up(session: &Session, parts: &mut Parts, summary: &LoadSummary) {
    let plan = &session.plan;
    let progress = summary.progress;
    session.options.live.note_progress(progress);
    parts.ending.lateness_p99_ns = Some(progress.lateness_p99_ns);
    let rule = &plan.scenario.load;
    let mut text = format!(
        "{} messages offered at {} ({}), {} acknowledged",
        grouped(progress.offered),
        rate(rule),
        shape(rule),
        grouped(progress.acknowledged)
    );
    for (number, word) in
        [(progress.failed, "failed"), (progress.unknown, "unacknowledged"), (progress.asked_again, "asked again")]
    {
        if number > 0 {
            text = format!("{text}, {} {word}", grouped(number));
        }
    }
    if progress.aborted_on_purpose > 0 {
        text = format!("{text} ({} in transactions aborted on purpose)", grouped(progress.aborted_on_purpose));
    }
    parts.summary.line("load", text);
    if let Some(commit) = &summary.commit {
        let (committed, aborted) = (grouped(progress.committed), grouped(progress.aborted));
        let [p50, p99] = [0.5, 0.99].map(|quantile| numbers::duration(commit.value_at_quantile(quantile)));
        let undecided = match progress.undecided {
            0 => String::new(),
            number => format!(", {} of which nobody knows", grouped(number)),
        };
        let text = format!("{committed} committed, {aborted} aborted{undecided}; a commit took p50 {p50}, p99 {p99}");
        parts.summary.line("transactions", text);
    }
    parts.summary.line("achieved", achieved(summary));
    if let (Some(payload), Ok(measured)) = (&plan.load.payload, compression::measure(&plan.load)) {
        let (bytes, asked) = (&payload.bytes, payload.compression_ratio);
        parts
            .summary
            .line("payload", format!("{bytes} bytes, asked to compress {asked} times, LZ4 makes it {measured:.2}"));
    }
    let totals = &mut parts.summary.totals;
    totals.insert("messages offered".to_owned(), signed(progress.offered));
    totals.insert("messages acknowledged".to_owned(), signed(progress.acknowledged));
    if !plan.scenario.expect.looks_at_acknowledgements()
        && let Some(warning) = unnoticed(progress.offered, progress.acknowledged + progress.aborted_on_purpose)
    {
        let hint = "`lost` counts acknowledged messages alone; `unacknowledged = 0` in [expect] fails such a run";
        session.journal.warning(format!("{warning}: {hint}"));
    }
    // Whoever ends a run knows that it is not whole.
    if progress.offered < plan.total && session.go_on().is_ok() {
        let (offered, total) = (grouped(progress.offered), grouped(plan.total));
        let cause = summary.last_error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        parts.ending.reasons.push(format!("only {offered} of {total} messages were offered{cause}"));
    } else if let Some(error) =
        summary.last_error.as_ref().filter(|_| progress.failed + progress.unknown > progress.aborted_on_purpose)
    {
        session
            .journal
            .warning(format!("not everything was acknowledged; the last complaint of the load's client: {error}"));
    }
}

/// What is said where more than one message in a hundred was never acknowledged, and nobody looks at that.
fn unnoticed(offered: u64, acknowledged: u64) -> Option<String> {
    let unacknowledged = offered.saturating_sub(acknowledged);
    let (number, all) = (grouped(unacknowledged), grouped(offered));
    (unacknowledged.saturating_mul(UNNOTICED_ONE_IN) > offered)
        .then(|| format!("{number} of {all} messages were never acknowledged, and no check looks at that"))
}

/// What became of the rate that was asked for, and how late the generator itself was.
fn achieved(summary: &LoadSummary) -> String {
    let lateness = numbers::duration(summary.progress.lateness_p99_ns);
    let (offered, acknowledged) = (summary.offered_per_second(), summary.acknowledged_per_second());
    format!("{offered:.1}/s offered, {acknowledged:.1}/s acknowledged; sent p99 {lateness} after the intended instant")
}

fn offer_by_service(session: &Session, parts: &mut Parts, name: &str) -> Result<(), RunError> {
    let plan = &session.plan;
    let bootstrap = parts.bootstrap();
    let deadline = Instant::now() + plan.scenario.limits.start;
    let begin = |parts: &mut Parts| -> Result<(), RunError> {
        let Some(fleet) = &parts.fleet else { return Ok(()) };
        for instance in fleet.of(name) {
            instance.start(&fleet.reaper)?;
            readiness::wait(session, &bootstrap, instance, &BTreeSet::new(), deadline)?;
        }
        measuring::start(session, parts, Bystanders::everybody())
    };
    let give_up = Instant::now() + plan.scenario.load.duration + plan.scenario.limits.drain;
    let mut asked = None::<Instant>;
    let mut last = Stats::default();
    with_faults(session, parts, &bootstrap, begin, |parts| {
        if asked.is_some_and(|at| at.elapsed() < STATS_POLL) {
            return Ok(false);
        }
        asked = Some(Instant::now());
        let Some(fleet) = &parts.fleet else { return Ok(true) };
        if let Some(stats) = stats(session, fleet, name)? {
            last = stats;
            let (planned, offered, acknowledged) = (plan.total, stats.accepted, stats.acknowledged);
            session.options.live.note_progress(Progress { planned, offered, acknowledged, ..Progress::default() });
            tell_of_service(session, name, last);
        }
        let dead = fleet.of(name).any(|instance| instance.died().is_some());
        if !last.done && (dead || Instant::now() >= give_up) {
            let reason = format!("{name} did not offer its load: {} of {} accepted", last.accepted, plan.total);
            parts.ending.reasons.push(reason);
            return Ok(true);
        }
        Ok(last.done)
    })?;
    let rule = &plan.scenario.load;
    let text = format!(
        "{} messages from {name} at {} ({}), {} acknowledged",
        grouped(last.accepted),
        rate(rule),
        shape(rule),
        grouped(last.acknowledged)
    );
    parts.summary.line("load", text);
    if let Some(warning) = unnoticed(last.accepted, last.acknowledged) {
        session.journal.warning(warning);
    }
    let totals = &mut parts.summary.totals;
    totals.insert("messages offered".to_owned(), signed(last.accepted));
    totals.insert("messages acknowledged".to_owned(), signed(last.acknowledged));
    measuring::finish(session, parts)
}

/// Shows how far the service is, or what it waits for.
fn tell_of_service(session: &Session, name: &str, stats: Stats) {
    let accepted = grouped(stats.accepted);
    if stats.accepted < session.plan.total || stats.done {
        session.journal.progress(&format!("load: {accepted} accepted"));
    } else {
        let acknowledged = grouped(stats.acknowledged);
        session
            .journal
            .waiting(&format!("load: {name} waits for acknowledgements: {acknowledged} of {accepted} so far"));
    }
}

/// Which faults fired and which did not, in the order of the scenario.
fn tell_of_faults(faults: &[FaultRule], fired: &BTreeMap<String, u64>) -> Option<String> {
    let mut names: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    let (struck, missed): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| fired.get(name).is_some_and(|times| *times > 0));
    let all = struck.len() + missed.len();
    let mut told = format!("{} of {all} fired", struck.len());
    for (word, names) in [("", struck), ("; not fired", missed)] {
        if !names.is_empty() {
            told = format!("{told}{word}: {}", names.join(", "));
        }
    }
    (all > 0).then_some(told)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[derive(Debug, Clone, Copy, Default)]
struct Stats {
    accepted: u64,
    acknowledged: u64,
    done: bool,
}

/// What the service says of itself; nothing while it is down.
fn stats(session: &Session, fleet: &Fleet, name: &str) -> Result<Option<Stats>, RunError> {
    let Some(instance) = fleet.of(name).next() else { return Ok(None) };
    let Some(address) = instance.address() else { return Ok(None) };
    let Ok(body) = session.block_on(http::get(&session.http, &address, STATS)) else { return Ok(None) };
    let json: Option<Json> = serde_json::from_str(&body).ok();
    let read = json.as_ref().and_then(|json| {
        let number = |field: &str| json[field].as_u64();
        Some(Stats {
            accepted: number("accepted")?,
            acknowledged: number("acknowledged")?,
            done: json["done"].as_bool()?,
        })
    });
    read.map(Some).ok_or_else(|| RunError::Unusable {
        service: instance.label.clone(),
        path: STATS.to_owned(),
        reason: format!("{{\"accepted\": n, \"acknowledged\": n, \"done\": bool}} is needed, and this came: {body}"),
    })
}

/// Has the load wait for faults that would come late.
fn hold(parts: &Parts, nemesis: &Nemesis<'_>) {
    if let Some(load) = &parts.load {
        load.hold_at(nemesis.holds_load_at());
    }
}

/// Begins the load, lets faults strike until it is over, then heals them all.
fn with_faults(
    session: &Session,
    parts: &mut Parts,
    bootstrap: &str,
    begin: impl FnOnce(&mut Parts) -> Result<(), RunError>,
    mut is_over: impl FnMut(&mut Parts) -> Result<bool, RunError>,
) -> Result<(), RunError> {
    let (Some(fleet), Some(cluster)) = (parts.fleet.clone(), parts.cluster.clone()) else { return Ok(()) };
    let (stand_ins, (recoveries, starter)) = (Arc::clone(&parts.stand_ins), recovery::pair());
    let (result, fired) = std::thread::scope(|scope| -> Result<_, RunError> {
        let start = || starter.work(session, &fleet, bootstrap);
        let thread = std::thread::Builder::new().name("shakedown-starter".to_owned()).spawn_scoped(scope, start);
        thread.map_err(RunError::io("start the thread that brings services back"))?;
        let mut nemesis = Nemesis::new(session, &fleet, &*cluster, &stand_ins, recoveries)?;
        let steps = || -> Result<(), RunError> {
            begin(parts)?;
            hold(parts, &nemesis);
            nemesis.begin();
            loop {
                session.go_on()?;
                nemesis.advance()?;
                hold(parts, &nemesis);
                if is_over(parts)? {
                    return nemesis.heal_all();
                }
                std::thread::sleep(TICK);
            }
        };
        let result = steps();
        Ok((result, nemesis.fired()))
    })?;
    if let Some(told) = tell_of_faults(&session.plan.scenario.faults, &fired) {
        parts.summary.line("faults", told);
    }
    for (name, _) in fired.iter().filter(|(_, times)| **times == 0) {
        parts.ending.reasons.push(format!("the fault never fired: {name}"));
    }
    parts.summary.faults_fired = fired;
    result
}

#[cfg(test)]
mod tests {
    use super::unnoticed;

    #[test]
    fn more_than_one_in_a_hundred_without_an_acknowledgement_is_told() {
        assert_eq!(unnoticed(1_000, 990), None);
        let told = unnoticed(1_000, 989).expect("eleven in a thousand");
        assert_eq!(told, "11 of 1,000 messages were never acknowledged, and no check looks at that");
        assert!(unnoticed(1, 0).is_some());
        assert_eq!(unnoticed(0, 0), None);
    }
}
