//! The services of a run as processes: started, found, hit by faults, stopped.

use super::error::RunError;
use super::journal::Journal;
use super::process::{Process, describe};
use super::servers::Servers;
use super::service_log::ServiceLog;
use crate::scenario::model::{Readiness, Service};
use rustix::process::Signal;
use shakedown_cluster::apache::reaper::Reaper;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Where and how services are started; the same for all of a run.
#[derive(Debug)]
pub struct LaunchSite<'a> {
    /// The run directory, for logs.
    pub directory: &'a Path,
    /// The folder for stores; absolute, since a service may change its own.
    pub stores: &'a Path,
    /// Where Kafka is.
    pub bootstrap: &'a str,
    /// Runs built-in services; needed only if there is one.
    pub executable: Option<&'a Path>,
    /// Whether services listen on their own ports.
    pub fixed_ports: bool,
    /// Variables for one service beyond its own: addresses of stand-ins, the load.
    pub extra: BTreeMap<String, BTreeMap<String, String>>,
}

/// One process of a service, over all its lives.
#[derive(Debug)]
pub struct Instance {
    /// The service.
    pub service: String,
    /// Which of its instances, from 1.
    pub number: u32,
    /// How messages call it: `tracker`, or `tracker 2` where there are several.
    pub label: String,
    /// When it is ready.
    pub readiness: Readiness,
    /// Its consumer group.
    pub group: Option<String>,
    /// What it prints.
    pub log: Arc<ServiceLog>,
    built_in: bool,
    command: Vec<String>,
    environment: BTreeMap<String, String>,
    /// Where a user's service was told to listen; a built-in one says where it does.
    address: Option<String>,
    /// Where its first process stands still, as `FAILPOINT` says it.
    failpoint: Option<String>,
    /// Whether it is to be there: not before its service is scaled out so far, nor after that is scaled in again.
    is_wanted: AtomicBool,
    life: Mutex<Life>,
}

#[derive(Debug, Default)]
struct Life {
    process: Option<Process>,
    /// Whether it has ever had a process.
    has_begun: bool,
    /// Whether its end is part of the plan.
    down_on_purpose: bool,
    /// How earlier lives ended that ended on their own, in words: another began when its service was scaled out again.
    obituaries: Vec<String>,
}

/// What a fault met at an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strike {
    /// A running process, which was hit.
    Hit,
    /// Nothing: an earlier fault still holds it down, or it has not started.
    Down,
    /// A process that had ended on its own; how. Its end stays on the record, and nobody starts it again.
    Died(String),
}

impl Life {
    /// What a fault would meet now.
    fn target(&mut self) -> Strike {
        match &mut self.process {
            Some(process) if !self.down_on_purpose => match process.ended() {
                Some(status) => Strike::Died(describe(status)),
                None => Strike::Hit,
            },
            _ => Strike::Down,
        }
    }
}

impl Instance {
    fn new(service: &Service, number: u32, port: Option<u16>, site: &LaunchSite<'_>) -> Result<Self, RunError> {
        let name = &service.name;
        let label = if service.instances_max() > 1 { format!("{name} {number}") } else { name.clone() };
        let log_path = site.directory.join(format!("service-{name}-{number}.log"));
        let awaited = match &service.ready {
            Readiness::Log(text) => Some(text.clone()),
            _ => None,
        };
        let log = ServiceLog::create(&log_path, awaited).map_err(RunError::io(format!("create the log of {label}")))?;
        let built_in = service.command.is_none();
        let command = match (&service.command, site.executable) {
            (Some(command), _) => command.clone(),
            (None, Some(program)) => vec![program.display().to_string(), "service".to_owned(), name.clone()],
            (None, None) => return Err(RunError::Executable { looked: "nobody looked".to_owned() }),
        };
        let (listen, address) =
            listen_address(service, port).map_err(RunError::io(format!("find a free port for {label}")))?;
        let environment = environment(service, number, site, &listen);
        Ok(Self {
            service: name.clone(),
            number,
            label,
            readiness: service.ready.clone(),
            group: service.group.clone(),
            log: Arc::new(log),
            built_in,
            command,
            environment,
            address,
            failpoint: service.equipment.failpoint.as_ref().filter(|_| number == 1).map(ToString::to_string),
            is_wanted: AtomicBool::new(number <= service.instances),
            life: Mutex::default(),
        })
    }

    /// Whether it is to be there.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Acquire)
    }

    /// Says whether it is to be there; somebody else starts or stops it.
    pub fn want(&self, is_wanted: bool) {
        self.is_wanted.store(is_wanted, Ordering::Release);
    }

    /// Where it listens, as far as anybody knows.
    #[must_use]
    pub fn address(&self) -> Option<String> {
        self.log.address()
    }

    /// Its process, while there is one and nobody is busy with it.
    fn process_id(&self) -> Option<u32> {
        self.life.try_lock().ok()?.process.as_ref().map(Process::id)
    }

    /// Begins a life, unless one is going on.
    ///
    /// # Errors
    /// When the system cannot start the command.
    pub fn start(&self, reaper: &Arc<Reaper>) -> Result<(), RunError> {
        let mut life = self.life();
        match life.target() {
            Strike::Hit => return Ok(()),
            Strike::Died(status) => {
                life.process = None;
                life.obituaries.push(self.obituary(&status));
            }
            Strike::Down => {}
        }
        self.log.begin(self.address.clone());
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).envs(&self.environment);
        // Only once: a process that was killed there would otherwise stop there again.
        if let Some(failpoint) = self.failpoint.as_ref().filter(|_| !life.has_begun) {
            command.env("FAILPOINT", failpoint);
        }
        let process = Process::start(command, &self.log, reaper).map_err(|source| RunError::Spawn {
            service: self.label.clone(),
            command: self.command.join(" "),
            source,
        })?;
        life.process = Some(process);
        life.has_begun = true;
        life.down_on_purpose = false;
        Ok(())
    }

    /// How it ended, if it did so on its own.
    #[must_use]
    pub fn died(&self) -> Option<String> {
        match self.life().target() {
            Strike::Died(status) => Some(status),
            Strike::Hit | Strike::Down => None,
        }
    }

    /// `kill -9`.
    pub fn kill(&self) -> Strike {
        let mut life = self.life();
        let strike = life.target();
        if strike != Strike::Hit {
            return strike;
        }
        let status = life.process.as_mut().and_then(Process::kill);
        match status.filter(|status| status.signal() != Some(Signal::KILL.as_raw())) {
            // It was faster, by some microseconds.
            Some(status) => Strike::Died(describe(status)),
            None => {
                life.down_on_purpose = true;
                Strike::Hit
            }
        }
    }

    /// Sends SIGSTOP or SIGCONT.
    pub fn signal(&self, signal: Signal) -> Strike {
        let mut life = self.life();
        let strike = life.target();
        if let (Strike::Hit, Some(process)) = (&strike, &mut life.process) {
            process.signal(signal);
        }
        strike
    }

    /// Asks it to stop and waits; what it met, and what is wrong with how it stopped, in words.
    pub fn stop(&self, limit: Duration) -> (Strike, Option<String>) {
        let mut life = self.life();
        let strike = life.target();
        if strike != Strike::Hit {
            return (strike, None);
        }
        life.down_on_purpose = true;
        let complaint = life.process.take().and_then(|process| self.stop_process(process, limit));
        (strike, complaint)
    }

    fn stop_process(&self, mut process: Process, limit: Duration) -> Option<String> {
        // A paused process takes SIGTERM only once it goes on.
        process.signal(Signal::TERM);
        process.signal(Signal::CONT);
        match process.wait(limit) {
            Some(status) if status.success() => None,
            // A program without a handler dies of the signal; fair for somebody's own, but ours promise better.
            Some(status) if !self.built_in && status.code().is_none() => None,
            Some(status) => {
                Some(format!("{} {} when it was asked to stop, instead of 0", self.label, describe(status)))
            }
            None => Some(format!("{} had not stopped {limit:?} after SIGTERM, and was killed", self.label)),
        }
    }

    /// Stops it for good; what is wrong with this end and with earlier ones, in words.
    fn end(&self, limit: Duration) -> Vec<String> {
        let complaint = match self.stop(limit) {
            (Strike::Died(status), _) => Some(self.obituary(&status)),
            (_, complaint) => complaint,
        };
        self.obituaries().into_iter().chain(complaint).collect()
    }

    /// How earlier lives ended on their own, in words.
    fn obituaries(&self) -> Vec<String> {
        self.life().obituaries.clone()
    }

    fn obituary(&self, status: &str) -> String {
        format!("{} {status}; its last lines:\n{}", self.label, self.log.last_lines())
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The port that an instance is known by: a further one has that behind the one before, unless it is, or may become, that of
/// another service.
fn fixed_port(service: &Service, number: u32, services: &[Service]) -> Option<u16> {
    let port = service.port?.checked_add(u16::try_from(number - 1).ok()?)?;
    let is_of = |other: &Service| {
        let first = other.port.map(u32::from);
        first.is_some_and(|first| (first..first + other.instances_max()).contains(&u32::from(port)))
    };
    let is_others = services.iter().any(|other| other.name != service.name && is_of(other));
    (number == 1 || !is_others).then_some(port)
}

/// What `HTTP_ADDR` says, and the address if that decides it already.
fn listen_address(service: &Service, fixed_port: Option<u16>) -> std::io::Result<(String, Option<String>)> {
    let port = match (fixed_port, &service.command) {
        (Some(port), _) => port,
        (None, None) => return Ok(("127.0.0.1:0".to_owned(), None)),
        // Somebody else's service cannot be asked where it listens, so it is told. The port is free now; should
        // another process be faster, the service does not become ready and its log says why.
        (None, Some(_)) => TcpListener::bind("127.0.0.1:0")?.local_addr()?.port(),
    };
    let address = format!("127.0.0.1:{port}");
    Ok((address.clone(), Some(address)))
}

fn environment(service: &Service, number: u32, site: &LaunchSite<'_>, listen: &str) -> BTreeMap<String, String> {
    let store = site.stores.join(format!("{}-{number}.db", service.name));
    let mut environment = BTreeMap::from([
        ("KAFKA_BOOTSTRAP_SERVERS".to_owned(), site.bootstrap.to_owned()),
        ("HTTP_ADDR".to_owned(), listen.to_owned()),
        ("DATABASE_URL".to_owned(), format!("sqlite://{}", store.display())),
    ]);
    if let Some((_, port)) = listen.rsplit_once(':').filter(|(_, port)| *port != "0") {
        environment.insert("PORT".to_owned(), port.to_owned());
    }
    if let Some(group) = &service.group {
        environment.insert("GROUP_ID".to_owned(), group.clone());
    }
    environment.extend(site.extra.get(&service.name).cloned().unwrap_or_default());
    // What the scenario says wins over everything the harness would say.
    environment.extend(service.env.clone());
    environment
}

/// All processes of a run.
pub struct Fleet {
    instances: Vec<Instance>,
    /// Kills what is left when the harness is gone.
    pub reaper: Arc<Reaper>,
    journal: Journal,
    /// What is behind the services.
    pub servers: Servers,
}

impl Fleet {
    /// Prepares every instance of every service; starts none.
    ///
    /// # Errors
    /// When a log cannot be created, or there is nothing to run a built-in service with.
    pub fn new(services: &[Service], site: &LaunchSite<'_>, journal: Journal) -> Result<Self, RunError> {
        let mut instances = Vec::new();
        for service in services {
            // Those that only a fault brings are prepared, too, and have no process until then.
            for number in 1..=service.instances_max() {
                let port = fixed_port(service, number, services).filter(|_| site.fixed_ports);
                instances.push(Instance::new(service, number, port, site)?);
            }
        }
        let reaper = Reaper::start().map_err(RunError::io("start the watcher of the services (sh)"))?;
        Ok(Self { instances, reaper: Arc::new(reaper), journal, servers: Servers::default() })
    }

    /// With the servers behind the services, which end after them.
    #[must_use]
    pub fn with_servers(self, servers: Servers) -> Self {
        Self { servers, ..self }
    }

    /// Every instance, in the order of the scenario.
    #[must_use]
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// The instances of one service.
    pub fn of<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a Instance> {
        self.instances.iter().filter(move |instance| instance.service == service)
    }

    /// The processes of services, and of servers behind them, that run at this moment. Each is a group of its own.
    #[must_use]
    pub fn process_ids(&self) -> Vec<u32> {
        let instances = self.instances.iter().filter_map(Instance::process_id);
        instances.chain(self.servers.process_ids()).collect()
    }

    /// Services that ended on their own, in words.
    #[must_use]
    pub fn deaths(&self) -> Vec<String> {
        self.instances.iter().filter_map(|instance| Some(instance.obituary(&instance.died()?))).collect()
    }

    /// Services that ended on their own at any time, in words: also those that have been started again since.
    #[must_use]
    pub fn obituaries(&self) -> Vec<String> {
        self.instances.iter().flat_map(Instance::obituaries).chain(self.deaths()).collect()
    }

    /// Asks every service to stop, all at once; what is wrong with how they did, and which had died before.
    #[must_use]
    pub fn stop(&self, limit: Duration) -> Vec<String> {
        let complaints: Vec<String> = std::thread::scope(|scope| {
            let stopping: Vec<_> =
                self.instances.iter().map(|instance| scope.spawn(move || instance.end(limit))).collect();
            stopping.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
        });
        let complaints: Vec<String> = complaints.into_iter().chain(self.servers.deaths()).collect();
        for complaint in &complaints {
            self.journal.warning(complaint);
        }
        complaints
    }
}

/// Where the stores are, as an absolute path that exists.
///
/// # Errors
/// When the folder cannot be made.
pub fn make_stores(path: &Path) -> Result<PathBuf, RunError> {
    std::fs::create_dir_all(path)
        .and_then(|()| path.canonicalize())
        .map_err(RunError::io("create the folder for the services' stores"))
}

#[cfg(test)]
mod tests {
    use super::{Instance, LaunchSite, Reaper, Strike, fixed_port};
    use crate::scenario::equipment::Equipment;
    use crate::scenario::model::{Readiness, Service};
    use rustix::process::Signal;
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    fn service(script: &str) -> Service {
        Service {
            name: "mine".to_owned(),
            command: Some(["sh", "-c", script].map(str::to_owned).to_vec()),
            ready: Readiness::Log("up and running".to_owned()),
            instances: 1,
            group: None,
            consumes: Vec::new(),
            produces: Vec::new(),
            calls: Vec::new(),
            env: BTreeMap::new(),
            port: None,
            figures: None,
            ledger: None,
            equipment: Equipment::default(),
        }
    }

    fn instance(script: &str, folder: &std::path::Path) -> Instance {
        let site = LaunchSite {
            directory: folder,
            stores: folder,
            bootstrap: "",
            executable: None,
            fixed_ports: false,
            extra: BTreeMap::new(),
        };
        Instance::new(&service(script), 1, None, &site).expect("an instance")
    }

    #[test]
    fn further_instances_have_the_ports_behind_unless_those_are_of_others() {
        let service = |name: &str, port: u16, instances: u32| Service {
            name: name.to_owned(),
            port: Some(port),
            instances,
            ..service("true")
        };
        let services = [service("orders", 8011, 1), service("payments", 8012, 4), service("shipping", 8014, 2)];
        let ports = |service: &Service| -> Vec<Option<u16>> {
            (1..=4).map(|number| fixed_port(service, number, &services)).collect()
        };
        assert_eq!(ports(&services[0]), [Some(8011), None, None, None]);
        assert_eq!(ports(&services[1]), [Some(8012), Some(8013), None, None]);
        assert_eq!(ports(&services[2])[..2], [Some(8014), None]);
    }

    fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !condition() {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_fault_hits_what_is_running_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let reaper = Arc::new(Reaper::start().expect("sh exists"));
        let instance = instance("echo up and running; sleep 600", folder.path());
        assert_eq!((instance.signal(Signal::STOP), instance.kill()), (Strike::Down, Strike::Down), "before its start");
        instance.start(&reaper).expect("it starts");
        wait_for("it does not begin", || instance.log.awaited_seen());
        instance.start(&reaper).expect("it goes on");
        assert!(instance.log.awaited_seen(), "a second start began a new life over a running one");
        assert_eq!((instance.signal(Signal::STOP), instance.kill()), (Strike::Hit, Strike::Hit));
        assert_eq!((instance.signal(Signal::CONT), instance.kill()), (Strike::Down, Strike::Down), "killed before");
        assert_eq!(instance.stop(Duration::from_secs(10)), (Strike::Down, None));
        assert_eq!(instance.died(), None, "its end was planned");
    }

    #[test]
    fn an_end_of_its_own_stays_on_the_record_whatever_strikes_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let reaper = Arc::new(Reaper::start().expect("sh exists"));
        let instance = instance("echo oops; exit 7", folder.path());
        instance.start(&reaper).expect("it starts");
        wait_for("it does not end", || instance.died().is_some());
        let died = Strike::Died("exited with code 7".to_owned());
        assert_eq!((instance.signal(Signal::STOP), instance.kill()), (died.clone(), died.clone()));
        assert_eq!(instance.stop(Duration::from_secs(10)), (died, None));
        let end = instance.end(Duration::from_secs(10));
        assert_eq!(end, ["mine exited with code 7; its last lines:\n    oops"]);
    }

    #[test]
    fn an_end_of_its_own_is_not_forgotten_in_the_next_life() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let reaper = Arc::new(Reaper::start().expect("sh exists"));
        // Ends at once, but for the second time.
        let script = format!("cd {} && mkdir first && exit 7; echo again; sleep 600", folder.path().display());
        let instance = instance(&script, folder.path());
        instance.start(&reaper).expect("it starts");
        wait_for("it does not end", || instance.died().is_some());
        instance.start(&reaper).expect("it starts again");
        wait_for("it does not go on", || instance.log.last_lines().contains("again"));
        assert_eq!(instance.died(), None);
        let end = instance.end(Duration::from_secs(10));
        assert_eq!(end.len(), 1, "{end:?}");
        assert!(end[0].starts_with("mine exited with code 7; its last lines:"), "{end:?}");
    }
}
