//! The store of a service: a database of its own, opened and migrated before the service reads its first event.
//!
//! SQLite in a file by default, PostgreSQL when `DATABASE_URL` says so, with the same statements and the same migrations on
//! both: parameters are `$1` (but for those of many rows, see `rows`), numbers `BIGINT`, and everything else `TEXT`. One writer at a time on both, so that what a
//! transaction reads still holds when it writes, and positions are given out in the order of commits.
//!
//! Map: `rows` (many rows with few statements), `counters` (positions), `paging` (ledgers as NDJSON).

mod counters;
mod paging;
mod rows;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use counters::Positions;
pub(crate) use paging::{Page, page_routes};
pub(crate) use rows::{BulkInsert, select_in, texts};

use crate::config::{ConfigError, Environment};
use crate::error::RunError;
use backon::{ExponentialBuilder, Retryable};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Transaction};
use std::ops::{Deref, DerefMut};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// A transaction on either database; rolled back when dropped.
pub(crate) struct StoreTransaction {
    transaction: Transaction<'static, Any>,
    /// Given back behind the transaction: fields are dropped in their order.
    _turn: OwnedMutexGuard<()>,
}

/// Connections that only read, beside the one that writes, which WAL and PostgreSQL allow.
const READERS_MAX: u32 = 3;

/// How long a request or a batch waits for one of them, or for its turn to write, before it fails, and is tried again.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// The number of PostgreSQL's advisory lock that a writing transaction holds. Any will do: one service has one database.
const WRITER_LOCK: i64 = 7_425;

/// What every statement of a SQLite connection rests on. 64 MiB of pages (a negative size is in KiB): the indexes of a long
/// run stay in memory. The busy time-out is for the lock of another process, such as a second instance on the same file. The log
/// grows to 32 MiB before its pages go to the database (1,000 pages of 4 KiB by default): keys are random, and a page that many
/// transactions touch goes there once for all of them. The price: one commit in a while pays for all these pages.
const SQLITE_SETTINGS: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 8000";

/// What every connection to PostgreSQL rests on: an instance that stands still between a lock and its commit holds nobody up for
/// longer than SQLite's busy time-out would.
const POSTGRES_SETTINGS: &str = "SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '10s'";

const ALLOWED: &str =
    "sqlite://FILE, sqlite:///ABSOLUTE/FILE or postgres://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE[?host=SOCKET_FOLDER]";

/// How much a power failure may undo. PostgreSQL undoes nothing unless its administrator said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The last transactions. Enough where the store also holds the offsets to resume from: what is undone is redone.
    Consistent,
    /// Nothing. Needed where offsets are committed elsewhere, once the store has taken the events before them.
    EveryTransaction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Database {
    Sqlite,
    Postgres,
}

/// Where the store is.
#[derive(Debug, Clone)]
pub(crate) struct StoreSettings {
    database: Database,
    url: String,
    options: AnyConnectOptions,
}

/// The store's connections; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    database: Database,
    readers: AnyPool,
    /// One connection, always the same: SQLite forgets the pages that a connection has in memory when another one has written.
    writer: AnyPool,
    /// Whose turn it is to write, first come, first served. SQLite itself lets those who wait look again now and then, and
    /// whoever looks at the right moment is next.
    turn: Arc<Mutex<()>>,
}

/// A connection that has in memory what the next transaction will touch; see [`Store::warm`].
pub(crate) struct Warm {
    connection: PoolConnection<Any>,
    _turn: Option<OwnedMutexGuard<()>>,
}

impl StoreSettings {
    /// Reads `DATABASE_URL`; by default a file named after the service in the working directory.
    pub(crate) fn read(service: &str, environment: &Environment) -> Result<Self, ConfigError> {
        let url = environment.text("DATABASE_URL", &format!("sqlite://{service}.db"));
        let refused =
            || ConfigError { variable: "DATABASE_URL".to_owned(), value: url.clone(), allowed: ALLOWED.to_owned() };
        let (scheme, place) = url.split_once("://").ok_or_else(refused)?;
        // A database in memory would lose, with the process, what its group has already committed.
        let in_memory = url.contains(":memory:") || url.contains("mode=memory");
        let (database, address) = match scheme {
            "sqlite" if !in_memory && !place.is_empty() => {
                let separator = if place.contains('?') { '&' } else { '?' };
                (Database::Sqlite, format!("{url}{separator}mode=rwc"))
            }
            "postgres" | "postgresql" => (Database::Postgres, url.clone()),
            _ => return Err(refused()),
        };
        let options = AnyConnectOptions::from_str(&address).map_err(|_| refused())?;
        Ok(Self { database, url, options })
    }

    /// Says that the store cannot be used.
    pub(crate) fn failure(&self, source: sqlx::Error) -> RunError {
        RunError::Store { url: without_password(&self.url), source }
    }

    /// Connections to the store, the first of them open.
    async fn connect(&self, durability: Durability, connections_max: u32) -> Result<AnyPool, RunError> {
        let pool = AnyPoolOptions::new().max_connections(connections_max).acquire_timeout(ACQUIRE_TIMEOUT);
        let pool = match self.database {
            Database::Postgres => pool.after_connect(|connection, _| {
                Box::pin(async move { sqlx::raw_sql(POSTGRES_SETTINGS).execute(&mut *connection).await.map(drop) })
            }),
            Database::Sqlite => {
                let synchronous = match durability {
                    Durability::Consistent => "PRAGMA synchronous = NORMAL",
                    Durability::EveryTransaction => "PRAGMA synchronous = FULL",
                };
                // A file does not hang up, so nobody has to ask, and what a connection has in memory does not age.
                pool.test_before_acquire(false)
                    .max_lifetime(None)
                    .idle_timeout(None)
                    // When a commit fails for want of room SQLite rolls back by itself, and the driver, which does not know,
                    // takes whatever comes next for a part of that transaction. Such a connection is replaced.
                    .before_acquire(|connection, _| {
                        let is_free = !connection.is_in_transaction();
                        Box::pin(async move { Ok(is_free) })
                    })
                    .after_connect(move |connection, _| {
                        Box::pin(async move {
                            sqlx::raw_sql(SQLITE_SETTINGS).execute(&mut *connection).await?;
                            sqlx::raw_sql(synchronous).execute(&mut *connection).await.map(drop)
                        })
                    })
            }
        };
        pool.connect_with(self.options.clone()).await.map_err(|source| self.failure(source))
    }

    /// Opens the store and brings its tables up to date.
    pub(crate) async fn open(self, durability: Durability, migrations: &Migrator) -> Result<Store, RunError> {
        sqlx::any::install_default_drivers();
        let writer = self.connect(durability, 1).await?;
        // Another instance may be migrating the same file this moment; then its tables are there at the next look.
        let pauses =
            ExponentialBuilder::new().with_min_delay(Duration::from_millis(20)).with_jitter().with_max_times(6);
        let migrated = (|| migrations.run(&writer))
            .retry(pauses)
            .when(|failure| matches!(failure, MigrateError::Execute(_) | MigrateError::ExecuteMigration(..)))
            .await;
        migrated.map_err(|source| RunError::Migrate { url: without_password(&self.url), source })?;
        let readers = self.connect(durability, READERS_MAX).await?;
        Ok(Store { database: self.database, readers, writer, turn: Arc::default() })
    }
}

impl Store {
    /// For statements that only read, at any time.
    pub(crate) fn readers(&self) -> &AnyPool {
        &self.readers
    }

    /// For the readings of whoever writes next, at the places where it will write: SQLite has them in memory for the connection
    /// that writes, and for no other. Whoever holds a transaction must use that: here it would wait for itself.
    ///
    /// # Cancel safety
    /// Safe: nothing is changed.
    pub(crate) async fn warm(&self) -> Result<Warm, sqlx::Error> {
        let (turn, pool) = match self.database {
            Database::Sqlite => (Some(self.turn().await?), &self.writer),
            // The server has the pages in memory, for everybody.
            Database::Postgres => (None, &self.readers),
        };
        Ok(Warm { connection: pool.acquire().await?, _turn: turn })
    }

    async fn turn(&self) -> Result<OwnedMutexGuard<()>, sqlx::Error> {
        let turn = Arc::clone(&self.turn).lock_owned();
        tokio::time::timeout(ACQUIRE_TIMEOUT, turn).await.map_err(|_| sqlx::Error::PoolTimedOut)
    }

    /// Begins a transaction that may write. It waits for the one before it, in this process or another, and does so before
    /// it reads anything.
    ///
    /// # Cancel safety
    /// A transaction that is dropped is rolled back.
    pub(crate) async fn begin(&self) -> Result<StoreTransaction, sqlx::Error> {
        let turn = self.turn().await?;
        let transaction = match self.database {
            Database::Sqlite => self.writer.begin_with("BEGIN IMMEDIATE").await?,
            Database::Postgres => {
                let mut transaction = self.writer.begin().await?;
                // The function answers nothing, which the driver has no type for: hence the text.
                sqlx::query("SELECT CAST(pg_advisory_xact_lock($1) AS TEXT)")
                    .bind(WRITER_LOCK)
                    .execute(&mut *transaction)
                    .await?;
                transaction
            }
        };
        Ok(StoreTransaction { transaction, _turn: turn })
    }

    /// Closes every connection, as the end of the process does.
    #[cfg(test)]
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

impl StoreTransaction {
    /// Makes everything in it last.
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        self.transaction.commit().await
    }

    /// Undoes everything in it.
    #[cfg(test)]
    pub(crate) async fn rollback(self) -> Result<(), sqlx::Error> {
        self.transaction.rollback().await
    }
}

impl Deref for StoreTransaction {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.transaction
    }
}

impl DerefMut for StoreTransaction {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }
}

impl Deref for Warm {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.connection
    }
}

impl DerefMut for Warm {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.connection
    }
}

/// The migrations of a service's own tables, behind those that every service with an outbox and an inbox has.
pub(crate) fn with_shared(own: &Migrator) -> Migrator {
    let shared = sqlx::migrate!("migrations/shared");
    Migrator::with_migrations(shared.iter().chain(own.iter()).cloned().collect())
}

/// The URL as it may be shown.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    match authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':')) {
        Some((user, password)) => {
            let after = &rest[user.len() + 1 + password.len()..];
            format!("{scheme}://{user}:***{after}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::Row as _;

    #[test]
    fn only_files_and_postgres_are_allowed() {
        assert!(StoreSettings::read("tracker", &Environment::default()).is_ok());
        assert!(StoreSettings::read("tracker", &Environment::from_iter([("DATABASE_URL", "postgres://h/d")])).is_ok());
        for url in ["mysql://localhost/tracker", "sqlite::memory:", "sqlite://:memory:", "sqlite://", "tracker.db"] {
            let error = StoreSettings::read("tracker", &Environment::from_iter([("DATABASE_URL", url)])).unwrap_err();
            assert_eq!(error.value, url);
            assert_eq!(error.allowed, ALLOWED);
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        for (url, shown) in [
            ("postgres://ada:secret@host:5432/orders", "postgres://ada:***@host:5432/orders"),
            ("postgres://ada@host/orders", "postgres://ada@host/orders"),
            ("sqlite:///var/lib/a@b:c.db", "sqlite:///var/lib/a@b:c.db"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }

    #[tokio::test]
    async fn of_two_writers_one_waits_for_the_other() {
        for place in testing::places() {
            let store = place.open(&with_shared(&Migrator::with_migrations(Vec::new()))).await;
            let mut first = store.begin().await.unwrap();
            let other = store.clone();
            let second = tokio::spawn(async move {
                let mut second = other.begin().await.unwrap();
                Positions::Outbox.take(&mut second, 1).await.unwrap()
            });
            let taken = Positions::Outbox.take(&mut first, 10).await.unwrap();
            first.commit().await.unwrap();
            assert_eq!((taken, second.await.unwrap()), (1, 11), "the second saw what the first committed");
        }
    }

    async fn last_taken(connection: &mut AnyConnection) -> i64 {
        let row = sqlx::query("SELECT last_taken FROM counters WHERE name = 'inbox'").fetch_one(connection).await;
        row.unwrap().try_get(0).unwrap()
    }

    #[tokio::test]
    async fn what_is_committed_is_seen_everywhere_and_what_is_dropped_nowhere() {
        for place in testing::places() {
            let store = place.open(&with_shared(&Migrator::with_migrations(Vec::new()))).await;
            let mut kept = store.begin().await.unwrap();
            Positions::Inbox.take(&mut kept, 3).await.unwrap();
            kept.commit().await.unwrap();
            let mut dropped = store.begin().await.unwrap();
            Positions::Inbox.take(&mut dropped, 4).await.unwrap();
            drop(dropped);
            assert_eq!(last_taken(&mut store.warm().await.unwrap()).await, 3);
            assert_eq!(last_taken(&mut store.readers().acquire().await.unwrap()).await, 3);
            let mut next = store.begin().await.unwrap();
            assert_eq!(Positions::Inbox.take(&mut next, 1).await.unwrap(), 4);
        }
    }

    #[tokio::test]
    async fn a_transaction_that_the_database_gave_up_spoils_none_after_it() {
        for place in testing::places() {
            let store = place.open(&with_shared(&Migrator::with_migrations(Vec::new()))).await;
            let mut given_up = store.begin().await.unwrap();
            // What SQLite does by itself when there is no room, or the disk fails.
            sqlx::raw_sql("ROLLBACK").execute(&mut *given_up).await.unwrap();
            drop(given_up.commit().await);
            let mut next = store.begin().await.unwrap();
            assert_eq!(Positions::Inbox.take(&mut next, 1).await.unwrap(), 1);
            next.commit().await.unwrap();
        }
    }
}
