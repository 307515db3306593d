//! PostgreSQL of this machine's packages.

use super::server::Program;
use crate::run::error::RunError;
use rustix::process::{Signal, geteuid};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(super) const NAME: &str = "PostgreSQL";

/// Where Debian's packages have the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// The superuser of the databases; there is no password, and nobody but this machine can connect.
const USER: &str = "shakedown";

/// Whom the package makes to run servers: PostgreSQL refuses to be run by root.
const SERVER_USER: &str = "postgres";

/// A server with its folder.
pub(super) struct Postgres {
    programs: PathBuf,
    owner: Option<Owner>,
    data: PathBuf,
}

/// Who runs the server, if that is not who runs the harness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Owner {
    user: u32,
    group: u32,
}

impl Postgres {
    /// Makes what a server starts with.
    pub(super) fn prepare(folder: &Path) -> Result<Self, RunError> {
        let (programs, owner) = (programs()?, owner()?);
        super::make_folder(folder)?;
        if let Some(Owner { user, group }) = owner {
            let parent = folder.parent().unwrap_or(folder);
            std::fs::set_permissions(parent, std::fs::Permissions::from_mode(0o711))
                .and_then(|()| chown(folder, Some(user), Some(group)))
                .map_err(RunError::io(format!("give a folder to the user {SERVER_USER}")))?;
        }
        let postgres = Self { programs, owner, data: folder.join("data") };
        let mut initdb = postgres.program("initdb");
        initdb.arg("-D").arg(&postgres.data).args(["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]);
        carry_out(initdb, "make its folder")?;
        Ok(postgres)
    }

    /// Adds a database.
    pub(super) fn create_database(&self, port: u16, name: &str) -> Result<(), RunError> {
        let mut createdb = self.client("createdb", port);
        createdb.args(["--maintenance-db=postgres", name]);
        carry_out(createdb, &format!("make a database for {name}"))
    }

    /// One of its programs, as its owner, and without whatever a user's variables say to clients of PostgreSQL.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.env_clear().env("LC_ALL", "C").stdin(Stdio::null());
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        // Where the harness stands the owner may not be allowed to.
        command.current_dir(self.data.parent().unwrap_or(&self.data));
        if let Some(Owner { user, group }) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    fn client(&self, name: &str, port: u16) -> Command {
        let mut command = self.program(name);
        command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", USER]);
        command
    }
}

impl Program for Postgres {
    fn name(&self) -> &'static str {
        NAME
    }

    fn command(&self, port: u16) -> Command {
        let mut command = self.program("postgres");
        command.arg("-D").arg(&self.data).args(["-p", &port.to_string()]);
        let settings = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            // Processes die here, machines do not: what was written is there again.
            "fsync=off",
            "shared_buffers=32MB",
            "max_connections=300",
        ];
        command.args(settings.iter().flat_map(|setting| ["-c", *setting]));
        command
    }

    fn answers(&self, port: u16) -> bool {
        let mut ready = self.client("pg_isready", port);
        ready.args(["-d", "postgres", "-q", "-t", "1"]).stdout(Stdio::null()).stderr(Stdio::null());
        ready.status().is_ok_and(|status| status.success())
    }

    /// Its fast shutdown.
    fn end(&self) -> Signal {
        Signal::INT
    }

    /// Its immediate shutdown: all its processes are gone at once, and the next start recovers from the log. After a SIGKILL of
    /// the first of them the others linger, and there is no start before they are gone.
    fn crash(&self) -> Signal {
        Signal::QUIT
    }
}

/// Where a service finds its database.
pub(super) fn url(port: u16, database: &str) -> String {
    format!("postgres://{USER}@127.0.0.1:{port}/{database}")
}

/// The folder of the newest version's programs, or of those on the `PATH`.
pub(super) fn programs() -> Result<PathBuf, RunError> {
    let folders = std::fs::read_dir(VERSIONS).into_iter().flatten().flatten().map(|entry| entry.path());
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = folders.filter(|path| path.join("bin/initdb").is_file()).max_by_key(|path| version(path));
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|folder| folder.join("initdb").is_file())
    };
    newest.map(|path| path.join("bin")).or_else(on_path).ok_or_else(|| RunError::NoServer {
        server: NAME,
        package: "postgresql",
        looked: format!("no {VERSIONS}/*/bin/initdb, and no initdb on the PATH"),
    })
}

/// Who is to run the server.
fn owner() -> Result<Option<Owner>, RunError> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    user(&users, SERVER_USER).map(Some).ok_or_else(|| RunError::NoServer {
        server: NAME,
        package: "postgresql",
        looked: format!("it refuses to be run by root, and there is no user {SERVER_USER}"),
    })
}

/// The ids of a user, as `/etc/passwd` has them.
fn user(users: &str, name: &str) -> Option<Owner> {
    let mut lines = users.lines().map(|line| line.split(':').collect::<Vec<&str>>());
    let fields = lines.find(|fields| fields[0] == name)?;
    Some(Owner { user: fields.get(2)?.parse().ok()?, group: fields.get(3)?.parse().ok()? })
}

fn carry_out(mut command: Command, doing: &str) -> Result<(), RunError> {
    let doing = format!("{doing} ({})", command.get_program().to_string_lossy());
    let output = command.output().map_err(RunError::io(&doing))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(RunError::Server {
        server: NAME.to_owned(),
        reason: format!("cannot {doing}: {}", crate::run::process::describe(output.status)),
        last_lines: said.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n"),
    })
}

#[cfg(test)]
mod tests {
    use super::{Owner, user};

    #[test]
    fn a_user_is_looked_up_by_its_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/bash\npostgres-old:x:7:8::/:\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(user(users, "postgres"), Some(Owner { user: 101, group: 104 }));
        assert_eq!(user(users, "nobody"), None);
        assert_eq!(user("postgres:x\n", "postgres"), None);
    }
}
