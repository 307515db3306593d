//! What a service is equipped with beside Kafka: where its instances keep and cache data, what it still has to do, where it
//! stands still, how many of it there may come to be.

pub use crate::language::reference::{ServerKind, ServerRole};

/// What a service is equipped with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Equipment {
    /// Where its instances together keep their data; `None` where it keeps none that they share.
    pub store: Option<StoreRule>,
    /// Where it caches what it reads; `None` for nowhere.
    pub cache: Option<CacheRule>,
    /// The path under which it tells what it still has to do.
    pub backlog: Option<String>,
    /// Where its first instance stands still.
    pub failpoint: Option<FailpointRule>,
    /// The most instances that a fault scales it to; 0 where none does.
    pub scaled_to: u32,
}

/// Where the instances of a service together keep their data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreRule {
    /// In one SQLite file.
    Sqlite,
    /// In a database of its own, on a PostgreSQL server that the harness runs.
    Postgres,
    /// There.
    Url(String),
}

/// Where a service caches what it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheRule {
    /// In a Redis server that the harness runs.
    Redis,
    /// There.
    Url(String),
}

/// Where a process stands still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailpointRule {
    /// The place.
    pub at: String,
    /// At which visit to it, from 1.
    pub nth: u64,
}

impl Equipment {
    /// Whether all instances have the same data, so that one of them speaks for all.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.store.is_some()
    }

    /// Whether the harness runs this server for the service.
    #[must_use]
    pub fn has_server(&self, kind: ServerKind) -> bool {
        match kind {
            ServerKind::Store => self.store == Some(StoreRule::Postgres),
            ServerKind::Cache => self.cache == Some(CacheRule::Redis),
        }
    }

    /// What is not as it is by default, in words that name it for ever: part of the name of a plan.
    pub fn words(&self) -> impl Iterator<Item = String> {
        let store = match &self.store {
            None | Some(StoreRule::Sqlite) => None,
            Some(StoreRule::Postgres) => Some("store postgres".to_owned()),
            Some(StoreRule::Url(url)) => Some(format!("store {url}")),
        };
        let cache = self.cache.as_ref().map(|cache| match cache {
            CacheRule::Redis => "cache redis".to_owned(),
            CacheRule::Url(url) => format!("cache {url}"),
        });
        let failpoint = self.failpoint.as_ref().map(|failpoint| format!("failpoint {failpoint}"));
        store.into_iter().chain(cache).chain(failpoint)
    }
}

impl std::fmt::Display for FailpointRule {
    /// As `FAILPOINT` says it: `after_effect:200`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.at, self.nth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_by_default_is_no_part_of_a_plans_name() {
        let sqlite = Equipment { store: Some(StoreRule::Sqlite), scaled_to: 3, ..Equipment::default() };
        assert_eq!(sqlite.words().count(), 0);
        let failpoint = FailpointRule { at: "after_effect".to_owned(), nth: 200 };
        let postgres = Equipment {
            store: Some(StoreRule::Postgres),
            cache: Some(CacheRule::Redis),
            failpoint: Some(failpoint),
            ..Equipment::default()
        };
        let words: Vec<String> = postgres.words().collect();
        assert_eq!(words, ["store postgres", "cache redis", "failpoint after_effect:200"]);
        assert!(postgres.has_server(ServerKind::Store) && postgres.has_server(ServerKind::Cache));
        assert!(!sqlite.has_server(ServerKind::Store) && sqlite.is_shared() && !Equipment::default().is_shared());
    }
}
