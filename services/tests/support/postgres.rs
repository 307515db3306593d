//! A PostgreSQL server of this machine's packages, for the tests of this process: started by the first that asks, on a socket
//! in a temporary folder, and gone with the process.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

const USER: &str = "shakedown";

/// Far above what it takes.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs the server until standard input is closed, by this process or by its end, and leaves nothing behind.
const KEEPER: &str = r#"
folder=$1; shift
"$@" >"$folder/log" 2>&1 & server=$!
echo started
cat >/dev/null
kill -INT $server; wait $server; rm -rf "$folder""#;

struct Server {
    programs: PathBuf,
    sockets: PathBuf,
    /// Holds standard input open.
    _keeper: Child,
    databases: Mutex<u32>,
}

static SERVER: OnceLock<Option<Server>> = OnceLock::new();

/// The URL of a new database, or `None` where the machine has no PostgreSQL, which is said aloud; with
/// `SHAKEDOWN_REQUIRE_PEERS` that is a failure.
pub(crate) fn database() -> Option<String> {
    let server = SERVER.get_or_init(|| match programs() {
        Some(programs) => Some(start(programs)),
        None => {
            assert!(
                std::env::var_os("SHAKEDOWN_REQUIRE_PEERS").is_none(),
                "PostgreSQL is not installed: no /usr/lib/postgresql/*/bin"
            );
            eprintln!("skipped on PostgreSQL: it is not installed (no /usr/lib/postgresql/*/bin)");
            None
        }
    });
    let server = server.as_ref()?;
    let name = {
        let mut databases = server.databases.lock().unwrap();
        *databases += 1;
        format!("test_{databases}")
    };
    let created = client(server, "createdb").arg(&name).output().unwrap();
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    Some(format!("postgres://{USER}@localhost/{name}?host={}", server.sockets.display()))
}

/// The newest version's programs, where Debian's packages have them.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.filter(|path| path.join("bin/initdb").exists()).max_by_key(|path| version(path))?;
    Some(newest.join("bin"))
}

/// PostgreSQL refuses to be run by root: then it is its own user's, whom the package made.
fn owner() -> Option<(u32, u32)> {
    let id = Command::new("id").arg("-u").output().unwrap();
    if id.stdout.trim_ascii() != b"0" {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:")).expect("the package made a user postgres");
    let fields: Vec<&str> = line.split(':').collect();
    Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}

fn start(programs: PathBuf) -> Server {
    let folder = tempfile::tempdir().unwrap().keep();
    let owner = owner();
    if let Some((user, group)) = owner {
        chown(&folder, Some(user), Some(group)).unwrap();
    }
    let as_owner = |command: &mut Command| {
        command.current_dir(&folder).stdin(Stdio::null());
        if let Some((user, group)) = owner {
            command.uid(user).gid(group);
        }
    };
    let data = folder.join("data");
    let mut prepare = Command::new(programs.join("initdb"));
    as_owner(&mut prepare);
    prepare.arg("-D").arg(&data).args(["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]);
    let prepared = prepare.output().unwrap();
    assert!(prepared.status.success(), "{}", String::from_utf8_lossy(&prepared.stderr));

    let mut keeper = Command::new("sh");
    as_owner(&mut keeper);
    keeper.args(["-c", KEEPER, "keeper"]).arg(&folder).arg(programs.join("postgres")).arg("-D").arg(&data);
    keeper.arg("-k").arg(&folder).args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=400"]);
    let mut keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut started = String::new();
    BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut started).unwrap();
    let server = Server { programs, sockets: folder.clone(), _keeper: keeper, databases: Mutex::new(0) };
    let deadline = Instant::now() + START_TIMEOUT;
    while !client(&server, "pg_isready").args(["-d", "postgres"]).output().unwrap().status.success() {
        let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(Instant::now() < deadline, "PostgreSQL did not start: {log}");
        std::thread::sleep(Duration::from_millis(20));
    }
    server
}

fn client(server: &Server, program: &str) -> Command {
    let mut command = Command::new(server.programs.join(program));
    command.arg("-h").arg(&server.sockets).args(["-U", USER]);
    command
}
