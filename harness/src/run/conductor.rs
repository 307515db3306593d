//! The phases of a run, in order: boot, topics, taps, services, load with faults, drain, figures, stop, verdict.

use super::books::Books;
use super::chronicle::Chronicle;
use super::error::RunError;
use super::fleet::{Fleet, Instance, LaunchSite, make_stores};
use super::journal::Journal;
use super::judgement::{ENDING_FILE, INTERRUPTED, Stalled, judge};
use super::ledger::LedgerPoller;
use super::options::{OUTPUT, RunOptions};
use super::parts::{Parts, short};
use super::servers::Servers;
use super::session::Session;
use super::stand_ins::StandIns;
use super::watching::Watching;
use super::{backlog, drain, equipping, executable, figures, hops, http, measuring, offering, readiness, topics};
use crate::backend::{Backend, ClusterPlan};
use crate::plan::{Plan, identity_rule};
use crate::report::{PAGE_FILE, Report};
use crate::scenario::model::{Service, Target, Topic};
use shakedown_loadgen::{KEY_PREFIX, Names, RunClock, StopFlag, Tap, TapPlan};
use shakedown_reports::numbers::grouped;
use shakedown_reports::overview::gather;
use shakedown_reports::record::StreamId;
use shakedown_reports::{RunDirectory, RunInfo, RunRecord, html};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The embedded brokers' first port under `--fixed-ports`: Kafka's own.
const BASE_PORT: u16 = 9092;

/// How long a new group waits for further members. Kafka waits 3 s, and every scenario would pay that at its start; none
/// at all would make a second instance wait for the first one's next heartbeat.
const REBALANCE_DELAY: &str = "group.initial.rebalance.delay.ms";

/// Between two looks while the system drains.
const DRAIN_POLL: Duration = Duration::from_millis(20);

/// Carries a plan out.
///
/// # Errors
/// When no verdict can be reached, because the harness or what it needs broke.
pub fn run(plan: Plan, backend: &dyn Backend, options: RunOptions) -> Result<Report, RunError> {
    let began = Instant::now();
    let session = session(plan, backend, options)?;
    let mut parts = Parts::default();
    let performed = perform(&session, backend, &mut parts);
    let is_kept = session.options.keep && performed.is_ok();
    let finished = parts.finish(&session, is_kept);
    let path = session.directory.path().to_owned();
    let concluded = match performed {
        Ok(()) => finished.and_then(|()| conclude(&session, &mut parts, began)),
        Err(RunError::Interrupted) => {
            parts.ending.interrupted = true;
            parts.ending.reasons.insert(0, INTERRUPTED.to_owned());
            conclude(&session, &mut parts, began)
        }
        Err(error) => Err(error),
    };
    if is_kept {
        keep_up(&session, &mut parts, concluded.as_ref().ok());
    }
    concluded.map_err(|error| {
        let reason = format!("the run broke off: {error}");
        session.journal.warning(&reason);
        parts.ending.drained = false;
        parts.ending.reasons.push(reason);
        // For `check`; the error itself goes to the caller, whether or not this can be written.
        let _ = session.directory.write_text(ENDING_FILE, &parts.ending.to_json());
        RunError::InDirectory { directory: path, source: Box::new(error) }
    })
}

/// Leaves what was under test as it is, for whoever wants to look at it, until somebody interrupts.
fn keep_up(session: &Session, parts: &mut Parts, report: Option<&Report>) {
    session.journal.close();
    if let Some(report) = report {
        session.options.observer.kept(report, &parts.places());
        while session.go_on().is_ok() {
            std::thread::sleep(DRAIN_POLL);
        }
    }
    if let Err(error) = parts.end(session) {
        session.journal.warning(error.to_string());
    }
}

/// What the run of a plan needs, with a run directory of its own.
pub(super) fn session(plan: Plan, backend: &dyn Backend, options: RunOptions) -> Result<Session, RunError> {
    let clock = RunClock::start();
    let info = run_info(&plan, backend, &options);
    let directory = RunDirectory::create(&options.output, &info)?;
    let journal = Journal::new(directory.clone(), clock, Arc::clone(&options.observer), options.live.clone());
    options.live.begin(&plan.scenario.name);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("shakedown-io")
        .enable_all()
        .build()
        .map_err(RunError::io("start the runtime"))?;
    Ok(Session { plan, options, clock, directory, journal, runtime, http: http::client() })
}

/// What has to be typed beside the file and the seed for the same run.
fn arguments(options: &RunOptions) -> Vec<String> {
    let mut arguments = options.backend.as_ref().map(|backend| backend.arguments()).unwrap_or_default();
    for setting in &options.settings {
        arguments.extend(["--set".to_owned(), setting.text()]);
    }
    if options.output != Path::new(OUTPUT) {
        arguments.extend(["--out".to_owned(), options.output.display().to_string()]);
    }
    arguments
}

fn run_info(plan: &Plan, backend: &dyn Backend, options: &RunOptions) -> RunInfo {
    let versions = BTreeMap::from([
        ("shakedown".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("librdkafka".to_owned(), rdkafka::util::get_rdkafka_version().1),
    ]);
    RunInfo {
        scenario_file: plan.scenario.path.display().to_string(),
        scenario_text: plan.scenario.text.clone(),
        plan_digest: plan.digest.clone(),
        backend: backend.name().to_owned(),
        versions,
        streams: plan.streams.clone(),
        flows: plan.flows.clone(),
        shares: plan.shares.clone(),
        watches: plan.watches.clone(),
        arguments: arguments(options),
        expectations: plan.expectations.clone(),
        key_prefix: KEY_PREFIX.to_owned(),
        ..RunInfo::new(&plan.scenario.name, plan.scenario.seed)
    }
}

fn perform(session: &Session, backend: &dyn Backend, parts: &mut Parts) -> Result<(), RunError> {
    boot(session, backend, parts)?;
    watch_topics(session, parts)?;
    launch(session, parts)?;
    match offering::offer(session, parts) {
        Err(RunError::NotRecovered { who, source }) => {
            parts.ending.reasons.push(format!("the run was broken off when {who} did not come back"));
            parts.ending.stalled.push(Stalled { who, detail: source.to_string() });
            return Ok(());
        }
        offered => offered?,
    }
    drain_all(session, parts)?;
    read_figures(session, parts)
}

/// Asks services for their figures, if everything has arrived: before that they would only be half of the truth.
fn read_figures(session: &Session, parts: &mut Parts) -> Result<(), RunError> {
    let Some(fleet) = parts.fleet.as_ref().filter(|_| parts.ending.drained) else { return Ok(()) };
    match figures::read(session, fleet) {
        Ok(figures) => {
            session.directory.write_figures(&figures)?;
            parts.figures = figures;
            Ok(())
        }
        // A service that died after the drain has no answer; its death is a reason when the fleet stops.
        Err(_) if !fleet.deaths().is_empty() => {
            parts.ending.drained = false;
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn boot(session: &Session, backend: &dyn Backend, parts: &mut Parts) -> Result<(), RunError> {
    session.go_on()?;
    let scenario = &session.plan.scenario;
    let mut brokers = counted(scenario.brokers, "broker");
    if scenario.controllers > 0 {
        brokers = format!("{brokers}, {}", counted(scenario.controllers, "controller"));
    }
    session.journal.phase("boot", format!("{brokers}, {}", backend.name()));
    let scaled = scenario.services.iter().any(|service| service.instances > 1);
    let mut config = scenario.broker_config.clone();
    config.entry(REBALANCE_DELAY.to_owned()).or_insert_with(|| if scaled { "300" } else { "0" }.to_owned());
    let began = Instant::now();
    let cluster = backend.boot(&ClusterPlan {
        brokers: scenario.brokers,
        controllers: scenario.controllers,
        memory: scenario.memory,
        config,
        base_port: session.options.fixed_ports.then_some(BASE_PORT),
        seed: scenario.seed,
    })?;
    let booted = short(began.elapsed());
    let bootstrap = cluster.bootstrap_servers();
    parts.chronicle = Some(Chronicle::start(cluster.events(), session.journal.clone())?);
    parts.cluster = Some(Arc::from(cluster));
    let borrowed = parts.cluster.as_ref().is_some_and(|cluster| cluster.is_borrowed());
    let text = if borrowed {
        session.block_on(topics::create_missing(&bootstrap, &scenario.topics, &mut parts.brought))?;
        format!("{}, {bootstrap}; answers after {booted}", backend.name())
    } else {
        session.block_on(topics::create(&bootstrap, &scenario.topics))?;
        format!("{}, {brokers}, KRaft; up in {booted}", backend.name())
    };
    session.journal.phase("boot", format!("done: {bootstrap}"));
    parts.summary.line("cluster", text);
    Ok(())
}

fn watch_topics(session: &Session, parts: &mut Parts) -> Result<(), RunError> {
    session.go_on()?;
    let plan = &session.plan;
    let bootstrap = parts.bootstrap();
    parts.tap_stop = StopFlag::new();
    for (stream, topic) in plan.tapped() {
        let tap = tap(session, &bootstrap, stream, topic, false, &parts.tap_stop)?;
        session.options.live.watch(tap.gauges());
        parts.taps.push((topic.name.clone(), tap));
    }
    parts.watching = Watching::start(session, &bootstrap)?;
    Ok(())
}

/// Begins to read a topic from its beginning: for the first time, or once more.
pub(super) fn tap(
    session: &Session,
    bootstrap: &str,
    stream: StreamId,
    topic: &Topic,
    again: bool,
    stop: &StopFlag,
) -> Result<Tap, RunError> {
    let plan = &session.plan;
    let rule = identity_rule(topic.message.as_ref());
    let tap_plan = TapPlan {
        run: Some(plan.load.run),
        again,
        measures_partitions: plan.expectations.measures_partitions_of(stream),
        ..TapPlan::new(stream, &topic.name, rule, plan.load.seed, plan.planned_identities())
    };
    Ok(Tap::start(
        tap_plan,
        bootstrap,
        session.clock,
        session.directory.delivery_writer(stream)?,
        session.directory.interner(),
        session.directory.interval_log(),
        stop.clone(),
    )?)
}

fn launch(session: &Session, parts: &mut Parts) -> Result<(), RunError> {
    session.go_on()?;
    let plan = &session.plan;
    let services = &plan.scenario.services;
    let servers = Servers::launch(session)?;
    let processes = services.iter().map(|service| service.instances).sum();
    session.journal.phase("launch", counted(processes, "process"));
    let began = Instant::now();
    let mut extra: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    parts.stand_ins = Arc::new(StandIns::open(session)?);
    for service in services {
        extra.entry(service.name.clone()).or_default().extend(parts.stand_ins.variables(&service.calls));
    }
    if let Target::Service(name) = &plan.scenario.load.target {
        extra.entry(name.clone()).or_default().extend(offering::service_environment(plan));
    }
    let built_in = services.iter().any(|service| service.command.is_none());
    let program = built_in.then(|| executable::find(session.options.executable.as_deref())).transpose()?;
    let bootstrap = parts.bootstrap();
    let stores = make_stores(&session.stores())?;
    equipping::variables(&plan.scenario, session.directory.path(), &stores, &servers, &mut extra);
    let site = LaunchSite {
        directory: session.directory.path(),
        stores: &stores,
        bootstrap: &bootstrap,
        executable: program.as_deref(),
        fixed_ports: session.options.fixed_ports,
        extra,
    };
    let fleet = Arc::new(Fleet::new(services, &site, session.journal.clone())?.with_servers(servers));
    parts.fleet = Some(Arc::clone(&fleet));
    let target = match &plan.scenario.load.target {
        Target::Service(name) => Some(name.as_str()),
        Target::Topic(_) | Target::Topics(_) | Target::Post { .. } => None,
    };
    let first = |instance: &&Instance| instance.is_wanted() && Some(instance.service.as_str()) != target;
    let deadline = began + plan.scenario.limits.start;
    // The service that offers the load begins when everybody behind it is ready; see `offering`.
    for instance in fleet.instances().iter().filter(first) {
        instance.start(&fleet.reaper)?;
        session.journal.service(&instance.service, format!("{} started", instance.label));
    }
    for instance in fleet.instances().iter().filter(first) {
        readiness::wait(session, &bootstrap, instance, &BTreeSet::new(), deadline)?;
    }
    let names = Names::new(session.directory.interner(), plan.load.seed, plan.planned_identities());
    read_ledgers(session, parts, &fleet, names)?;
    parts.books = Books::start(session, &fleet)?;
    if !services.is_empty() {
        parts.summary.line("services", format!("{}; ready in {}", roll(services), short(began.elapsed())));
    }
    Ok(())
}

/// Begins to read the ledgers of services.
fn read_ledgers(session: &Session, parts: &mut Parts, fleet: &Fleet, names: Names) -> Result<(), RunError> {
    let names = Arc::new(names);
    for service in &session.plan.scenario.services {
        let stream = session.plan.ledger_stream(&service.name);
        let (Some(rule), Some(stream)) = (&service.ledger, stream) else { continue };
        let instances: Vec<_> = fleet.of(&service.name).collect();
        let instances = (instances.as_slice(), service.equipment.is_shared());
        let writer = session.directory.delivery_writer(stream)?;
        let poller = LedgerPoller::start(&session.runtime, &session.http, instances, rule, &names, writer);
        parts.pollers.push((rule.clone(), poller));
    }
    Ok(())
}

/// `1 broker`, `3 brokers`.
fn counted(number: u32, word: &str) -> String {
    let plural = if word.ends_with('s') { "es" } else { "s" };
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}{plural}") }
}

/// `order, transaction x2, analytics`.
fn roll(services: &[Service]) -> String {
    let name = |service: &Service| match service.instances {
        1 => service.name.clone(),
        n => format!("{} x{n}", service.name),
    };
    services.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn drain_all(session: &Session, parts: &mut Parts) -> Result<(), RunError> {
    let limit = session.plan.scenario.limits.drain;
    session.journal.phase("drain", format!("for {} at most", short(limit)));
    let deadline = Instant::now() + limit;
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for service in session.plan.scenario.services.iter().filter(|service| !service.consumes.is_empty()) {
        if let Some(group) = &service.group {
            groups.entry(group.clone()).or_default().extend(service.consumes.iter().cloned());
        }
    }
    let tapped: Vec<_> = parts.taps.iter().map(|(topic, _)| topic.clone()).collect();
    let bootstrap = parts.bootstrap();
    let gauge = &*parts.gauge.insert(drain::Gauge::new(&bootstrap, &groups, &tapped)?);

    let mut previous = None;
    let mut marks = None;
    loop {
        session.go_on()?;
        // Their deaths become reasons when the fleet stops.
        if parts.fleet.as_ref().is_some_and(|fleet| !fleet.deaths().is_empty()) {
            return Ok(());
        }
        for (rule, poller) in &parts.pollers {
            poller.check(rule)?;
        }
        parts.books.check()?;
        let look = match gauge.look() {
            Ok(look) => look,
            // Brokers that have just come back may not know yet who leads; the next look is as good.
            Err(error) if Instant::now() < deadline => {
                session.journal.waiting(&format!("drain: {error}"));
                std::thread::sleep(DRAIN_POLL);
                continue;
            }
            Err(error) => return Err(error),
        };
        if let Some(reason) = drain::hopeless(&look.ends, &parts.taps) {
            session.journal.warning(&reason);
            parts.ending.reasons.push(reason);
            return Ok(());
        }
        let mut missing = drain::missing(&look, &parts.taps);
        if let Some(fleet) = parts.fleet.as_ref().filter(|_| missing.is_empty()) {
            missing = backlog::left(session, fleet)?;
        }
        if missing.is_empty() && previous.as_ref() == Some(&look.ends) {
            // Ledgers are asked once more after everything else stood still.
            let mark_all = || parts.pollers.iter().map(|(_, poller)| poller.mark()).collect::<Vec<_>>();
            let (marks, books) = marks.get_or_insert_with(|| (mark_all(), parts.books.mark()));
            let ledgers = parts.pollers.iter().zip(marks.iter()).all(|((_, poller), mark)| poller.complete(mark));
            if ledgers && parts.books.are_complete(books) {
                parts.ending.drained = true;
                session.journal.phase("drain", "done");
                return Ok(());
            }
            "a ledger or a book is not complete".clone_into(&mut missing);
        } else {
            marks = None;
            previous = missing.is_empty().then_some(look.ends);
        }
        if Instant::now() >= deadline {
            if session.plan.scenario.expect.stalled.is_some_and(|stalled| stalled.is_expected()) {
                session.journal.phase("drain", format!("not finished, as expected of what stands still: {missing}"));
                return Ok(());
            }
            let reason = format!("the drain did not finish within {}: {missing}", short(limit));
            session.journal.warning(&reason);
            parts.ending.reasons.push(reason);
            return Ok(());
        }
        session.journal.waiting(&format!("drain: {missing}"));
        std::thread::sleep(DRAIN_POLL);
    }
}

fn conclude(session: &Session, parts: &mut Parts, began: Instant) -> Result<Report, RunError> {
    let ending = &parts.ending;
    session.directory.write_text(ENDING_FILE, &ending.to_json())?;
    session.journal.phase("judge", grouped(session.plan.total) + " messages");
    let record = RunRecord::open(session.directory.path())?;
    hops::write(&record, &session.directory.interval_log())?;
    let verdict = judge(&record, ending)?;
    parts.summary.validity = measuring::validity(&record, ending)?;
    session.directory.write_verdict(&verdict)?;
    let wanted = |name: &str| {
        let rules = &session.plan.expectations.conserved;
        let figure = shakedown_reports::expectation::Term::Figure(name.to_owned());
        rules.iter().any(|rule| rule.equal.contains(&figure))
    };
    for figure in parts.figures.iter().filter(|figure| wanted(&figure.name)) {
        parts.summary.totals.insert(figure.name.clone(), figure.value);
    }
    parts.summary.elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    session.directory.write_summary(&parts.summary)?;
    let directory = session.directory.path().to_owned();
    let page = html::render(&gather(&directory, &record, verdict.clone())?)?;
    session.directory.write_text(PAGE_FILE, &page)?;
    let report = Report::new(record.info().clone(), parts.summary.clone(), record.events()?, verdict, directory);
    session.directory.write_text("report.txt", &report.text(false))?;
    Ok(report)
}
