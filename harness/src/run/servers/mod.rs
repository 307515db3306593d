//! Servers behind services: PostgreSQL and Redis from this machine's packages, in a temporary folder, on ports of their own,
//! gone with the run however it ends.
//!
//! Owns which servers there are and who has which ([`Servers`]). One [`server`] is a process that faults may hit; how it is
//! prepared, started and asked is in [`postgres`] and [`redis`]; [`sweeper`] takes the folder away. Services that no fault
//! deprives of their server share one, with a database each; every other has one to itself, or a fault would hit its
//! neighbours, too.

mod postgres;
mod redis;
pub mod server;
mod sweeper;

use super::error::RunError;
use super::parts::short;
use super::service_log::ServiceLog;
use super::session::Session;
use crate::scenario::deed::Deed;
use crate::scenario::equipment::{ServerKind, ServerRole};
use crate::scenario::model::{FaultTarget, Scenario};
use postgres::Postgres;
use redis::Redis;
use server::{Program, Server};
use shakedown_cluster::apache::reaper::Reaper;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use sweeper::Sweeper;

/// How many ports are tried: another process may take one between its choice and its use.
const PORTS: usize = 5;

/// What a server says of a port that somebody else has.
const TAKEN: &str = "in use";

/// The servers of a run. Dropping them ends them.
#[derive(Default)]
pub struct Servers {
    servers: Vec<Arc<Server>>,
    /// Who is served by which, and under what URL.
    places: BTreeMap<ServerRole, (usize, String)>,
    /// Where they have their data, each in a folder of its own.
    folder: PathBuf,
    sweeper: Option<Sweeper>,
}

impl Servers {
    /// Starts what the services of a scenario need, and waits until it answers.
    ///
    /// # Errors
    /// When this machine has no such server, or one does not start.
    pub fn launch(session: &Session) -> Result<Self, RunError> {
        let scenario = &session.plan.scenario;
        let stores = groups(scenario, ServerKind::Store);
        let caches = groups(scenario, ServerKind::Cache);
        if stores.is_empty() && caches.is_empty() {
            return Ok(Self::default());
        }
        session.go_on()?;
        let began = Instant::now();
        session.journal.phase("servers", roll(&stores, &caches));
        let folder = tempfile::Builder::new().prefix("shakedown-servers-").tempdir();
        let folder = folder.map_err(RunError::io("make a folder for servers"))?.keep();
        let sweeper = Sweeper::start(&folder, session.options.keep)?;
        let reaper = Reaper::start().map_err(RunError::io("start the watcher of the servers (sh)"))?;
        let mut servers =
            Self { servers: Vec::new(), places: BTreeMap::new(), folder: folder.clone(), sweeper: Some(sweeper) };
        let site = Site { session, folder, reaper: Arc::new(reaper), apart: stores.len().max(caches.len()) };
        for group in stores {
            let program = Arc::new(Postgres::prepare(&site.folder_for(&group))?);
            let server = site.open(&group, &(Arc::clone(&program) as Arc<dyn Program>))?;
            for role in &group {
                program.create_database(server.port(), &role.service)?;
            }
            servers.add(group, server, |port, _, role| postgres::url(port, &role.service));
        }
        for group in caches {
            let program: Arc<dyn Program> = Arc::new(Redis::prepare(&site.folder_for(&group))?);
            let server = site.open(&group, &program)?;
            servers.add(group, server, |port, place, _| redis::url(port, place));
        }
        session.journal.phase("servers", format!("done: ready in {}", short(began.elapsed())));
        Ok(servers)
    }

    fn add(&mut self, group: Vec<ServerRole>, server: Server, url: impl Fn(u16, usize, &ServerRole) -> String) {
        let (index, port) = (self.servers.len(), server.port());
        self.servers.push(Arc::new(server));
        for (place, role) in group.into_iter().enumerate() {
            let url = url(port, place, &role);
            self.places.insert(role, (index, url));
        }
    }

    /// The server of this role, if there is one.
    #[must_use]
    pub fn of(&self, role: &ServerRole) -> Option<&Arc<Server>> {
        self.places.get(role).map(|(index, _)| &self.servers[*index])
    }

    /// What a service is given to find it.
    #[must_use]
    pub fn url(&self, role: &ServerRole) -> Option<&str> {
        self.places.get(role).map(|(_, url)| url.as_str())
    }

    /// Whose server is where, for people.
    pub fn places(&self) -> impl Iterator<Item = (String, String)> {
        self.places.iter().map(|(role, (_, url))| (role.to_string(), url.clone()))
    }

    /// The processes that run at this moment.
    #[must_use]
    pub fn process_ids(&self) -> Vec<u32> {
        self.servers.iter().filter_map(|server| server.process_id()).collect()
    }

    /// Where they have their data, if that outlives them.
    #[must_use]
    pub fn kept_folder(&self) -> Option<&Path> {
        self.sweeper.as_ref().is_some_and(Sweeper::keeps).then_some(self.folder.as_path())
    }

    /// Servers that ended though nobody asked them to, in words.
    #[must_use]
    pub fn deaths(&self) -> Vec<String> {
        self.servers.iter().filter_map(|server| server.obituary()).collect()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let keeps = self.sweeper.as_ref().is_some_and(Sweeper::keeps);
        for server in &self.servers {
            // What is kept is left in order; for everything else there is no reason to wait.
            if keeps {
                server.stop()
            } else {
                server.kill()
            };
        }
    }
}

/// Where servers of a run are started.
struct Site<'a> {
    session: &'a Session,
    folder: PathBuf,
    reaper: Arc<Reaper>,
    /// How many servers of a kind there are at most: with one nobody has to say whose it is.
    apart: usize,
}

impl Site<'_> {
    /// A folder that no other server has.
    fn folder_for(&self, group: &[ServerRole]) -> PathBuf {
        self.folder.join(group.first().map_or_else(String::new, ToString::to_string))
    }

    /// Starts a server on a port that is free, and waits for it.
    fn open(&self, group: &[ServerRole], program: &Arc<dyn Program>) -> Result<Server, RunError> {
        let label = match group {
            [only] if self.apart > 1 => format!("{} of {}", program.name(), only.service),
            _ => program.name().to_owned(),
        };
        let log = self.session.directory.path().join(format!("server-{}.log", label.to_lowercase().replace(' ', "-")));
        let log = ServiceLog::create(&log, None).map_err(RunError::io(format!("create the log of {label}")))?;
        let log = Arc::new(log);
        let limit = self.session.plan.scenario.limits.start;
        let mut tried = 1;
        loop {
            let port = free_port().map_err(RunError::io(format!("find a free port for {label}")))?;
            let place = (label.clone(), port);
            let server = Server::new(place, Arc::clone(program), Arc::clone(&log), Arc::clone(&self.reaper));
            server.start()?;
            match server.await_answer(limit, &self.session.options.interrupt) {
                Ok(()) => {
                    self.session.go_on()?;
                    return Ok(server);
                }
                Err(_) if tried < PORTS && log.last_lines().contains(TAKEN) => tried += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Who needs a server of this kind, by the server that they have in common.
fn groups(scenario: &Scenario, kind: ServerKind) -> Vec<Vec<ServerRole>> {
    let hit = |role: &ServerRole| {
        scenario
            .faults
            .iter()
            .any(|fault| matches!(&fault.deed, Deed::Hit { target: FaultTarget::Server(target), .. } if target == role))
    };
    let needing = scenario.services.iter().filter(|service| service.equipment.has_server(kind));
    let roles = needing.map(|service| ServerRole { kind, service: service.name.clone() });
    let (apart, shared): (Vec<_>, Vec<_>) = roles.partition(hit);
    let shared = (!shared.is_empty()).then_some(shared);
    shared.into_iter().chain(apart.into_iter().map(|role| vec![role])).collect()
}

/// `PostgreSQL for 4 services on 2 servers, Redis for 1 service`.
fn roll(stores: &[Vec<ServerRole>], caches: &[Vec<ServerRole>]) -> String {
    let told = [(postgres::NAME, stores), (redis::NAME, caches)].into_iter().filter(|(_, groups)| !groups.is_empty());
    let told = told.map(|(name, groups)| {
        let services: usize = groups.iter().map(Vec::len).sum();
        let services = if services == 1 { "1 service".to_owned() } else { format!("{services} services") };
        let servers = if groups.len() == 1 { String::new() } else { format!(" on {} servers", groups.len()) };
        format!("{name} for {services}{servers}")
    });
    told.collect::<Vec<_>>().join(", ")
}

/// What this machine lacks of the servers that scenarios may ask for, in words; nothing where it lacks nothing.
#[must_use]
pub fn missing() -> Option<String> {
    let lacks = [postgres::programs().err(), redis::program().err()];
    let lacks: Vec<String> = lacks.into_iter().flatten().map(|error| error.to_string()).collect();
    (!lacks.is_empty()).then(|| lacks.join("; "))
}

/// A folder of a server's own, which belongs to whoever runs it.
fn make_folder(folder: &Path) -> Result<(), RunError> {
    std::fs::create_dir_all(folder).map_err(RunError::io("make a folder for a server"))
}

#[cfg(test)]
mod tests {
    use super::{ServerKind, ServerRole, groups, roll};
    use crate::Runner;

    const SCENARIO: &str = r#"
name = "servers"
store = "postgres"

[topics.orders]

[services.tracker]
cache = "redis"

[services.analytics]

[services.transaction]

[services.mine]
command = ["true"]
ready = { log = "up" }

[services.apart]
command = ["true"]
ready = { log = "up" }
store = "sqlite"

[flows.end-to-end]
from = "load"
to = "topic orders"

[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "100/s", for = "1s" }

[expect]
lost = 0
"#;

    fn stores(faults: &str) -> (Vec<Vec<ServerRole>>, String) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("servers.toml");
        std::fs::write(&file, format!("{SCENARIO}\n{faults}")).expect("a scenario");
        let plan = Runner::new(&file).plan().unwrap_or_else(|error| panic!("{error}"));
        let [stores, caches] = [ServerKind::Store, ServerKind::Cache].map(|kind| groups(&plan.scenario, kind));
        let told = roll(&stores, &caches);
        (stores, told)
    }

    #[test]
    fn services_share_a_server_unless_a_fault_is_about_the_store_of_one() {
        let role = ServerRole::store;
        let (shared, told) = stores("");
        assert_eq!(shared, [vec![role("tracker"), role("analytics"), role("mine")]], "transaction keeps nothing");
        assert_eq!(told, "PostgreSQL for 3 services, Redis for 1 service");
        let (apart, told) = stores("[[fault]]\nat = \"100ms\"\ndo = { kill = \"store(analytics)\" }");
        assert_eq!(apart, [vec![role("tracker"), role("mine")], vec![role("analytics")]]);
        assert_eq!(told, "PostgreSQL for 3 services on 2 servers, Redis for 1 service");
    }
}
