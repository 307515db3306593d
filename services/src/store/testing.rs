//! Stores for unit tests: the same test runs on SQLite and, where it is installed, on PostgreSQL.

#[path = "../../tests/support/postgres.rs"]
mod postgres;

use super::{Durability, Store, StoreSettings};
use crate::config::Environment;
use sqlx::migrate::Migrator;

/// Where a store can be.
pub(crate) struct Place {
    url: String,
    /// Holds the file.
    _folder: Option<tempfile::TempDir>,
}

/// A new, empty place for each database that this machine has.
pub(crate) fn places() -> Vec<Place> {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("store.db").display());
    let mut places = vec![Place { url, _folder: Some(folder) }];
    places.extend(postgres::database().map(|url| Place { url, _folder: None }));
    places
}

impl Place {
    /// Opens it; each call is another instance.
    pub(crate) async fn open(&self, migrations: &Migrator) -> Store {
        let environment = Environment::from_iter([("DATABASE_URL", self.url.as_str())]);
        let settings = StoreSettings::read("test", &environment).unwrap();
        settings.open(Durability::EveryTransaction, migrations).await.unwrap()
    }
}
