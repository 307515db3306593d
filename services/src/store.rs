//! The store of a service: a SQLite file of its own, opened and migrated before the service reads its first event.

use crate::config::{ConfigError, Environment};
use crate::error::RunError;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use std::str::FromStr;
use std::time::Duration;

/// The store's connections.
pub(crate) type Store = sqlx::SqlitePool;

/// One connection writes (the consumer thread); the others answer requests beside it, which WAL allows.
const CONNECTIONS_MAX: u32 = 4;

/// How long to wait for another process's write lock, such as a second instance on the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How much a power failure may undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The last transactions. Enough where the store also holds the offsets to resume from: what is undone is redone.
    Consistent,
    /// Nothing. Needed where offsets are committed elsewhere, once the store has taken the events before them.
    EveryTransaction,
}

/// Where the store is.
#[derive(Debug, Clone)]
pub(crate) struct StoreSettings {
    url: String,
    options: SqliteConnectOptions,
}

impl StoreSettings {
    /// Reads `DATABASE_URL`; by default a file named after the service in the working directory.
    pub(crate) fn read(service: &str, environment: &Environment) -> Result<Self, ConfigError> {
        let url = environment.text("DATABASE_URL", &format!("sqlite://{service}.db"));
        // A database in memory would lose, with the process, what its group has already committed.
        let in_file = url.starts_with("sqlite://") && !url.contains(":memory:") && !url.contains("mode=memory");
        match SqliteConnectOptions::from_str(&url) {
            Ok(options) if in_file => Ok(Self { url, options }),
            _ => Err(ConfigError {
                variable: "DATABASE_URL".to_owned(),
                value: url,
                allowed: "sqlite://FILE or sqlite:///ABSOLUTE/FILE".to_owned(),
            }),
        }
    }

    /// Opens the store and brings its tables up to date.
    pub(crate) async fn open(self, durability: Durability, migrations: &Migrator) -> Result<Store, RunError> {
        let synchronous = match durability {
            Durability::Consistent => SqliteSynchronous::Normal,
            Durability::EveryTransaction => SqliteSynchronous::Full,
        };
        let options = self
            .options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .busy_timeout(BUSY_TIMEOUT)
            // 64 MiB of pages (a negative size is in KiB): the indexes of a long run stay in memory.
            .pragma("cache_size", "-65536");
        let url = self.url;
        let store = match SqlitePoolOptions::new().max_connections(CONNECTIONS_MAX).connect_with(options).await {
            Ok(store) => store,
            Err(source) => return Err(RunError::Store { url, source }),
        };
        match migrations.run(&store).await {
            Ok(()) => Ok(store),
            Err(source) => Err(RunError::Migrate { url, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sqlite_files_are_allowed() {
        assert!(StoreSettings::read("tracker", &Environment::default()).is_ok());
        for url in ["postgres://localhost/tracker", "sqlite::memory:", "sqlite://:memory:", "tracker.db"] {
            let error = StoreSettings::read("tracker", &Environment::from_iter([("DATABASE_URL", url)])).unwrap_err();
            assert_eq!(error.value, url);
            assert_eq!(error.allowed, "sqlite://FILE or sqlite:///ABSOLUTE/FILE");
        }
    }
}
