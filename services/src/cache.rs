//! A read cache in Redis that may die: a read that it does not answer in time is answered by the store, and after a few of
//! those nobody asks it for a while.
//!
//! It is never the truth. What is cached either cannot change any more, or may be as old as its time to live says.

use crate::breaker::{Breaker, breaker};
use crate::config::{ConfigError, Environment};
use crate::metrics::Metrics;
use prometheus_client::metrics::counter::Counter;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, RedisError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::time::Duration;
use tracing::{debug, warn};

/// What a cache may cost a read that it cannot answer.
const TIMEOUT: Duration = Duration::from_millis(50);

/// After so many failures in a row it is left alone, at first for so long, and at most.
const FAILURES_IN_A_ROW: u32 = 3;
const ALONE_MIN: Duration = Duration::from_millis(500);
const ALONE_MAX: Duration = Duration::from_secs(5);

/// A cache, or none; cheap to clone.
#[derive(Clone)]
pub(crate) struct Cache {
    redis: Option<Redis>,
    /// So that services can share a server, and systems that know nothing of each other, too.
    prefix: String,
}

#[derive(Clone)]
struct Redis {
    connection: ConnectionManager,
    breaker: Breaker<()>,
    hits: Counter,
    misses: Counter,
    failures: Counter,
}

impl Cache {
    /// Reads `REDIS_URL`; without it nothing is cached. The server need not be there. Reads `CACHE_NAMESPACE`, which
    /// whoever has other data under the same ids must have another of. Called within a runtime.
    pub(crate) fn open(
        service: &'static str,
        environment: &Environment,
        metrics: &Metrics,
    ) -> Result<Self, ConfigError> {
        let prefix = match environment.optional("CACHE_NAMESPACE") {
            Some(namespace) => format!("{namespace}/{service}"),
            None => service.to_owned(),
        };
        let Some(url) = environment.optional("REDIS_URL") else { return Ok(Self { redis: None, prefix }) };
        let refused = |_: RedisError| ConfigError {
            variable: "REDIS_URL".to_owned(),
            value: url.to_owned(),
            allowed: "redis://[USER[:PASSWORD]@]HOST[:PORT][/NUMBER], or unset to cache nothing".to_owned(),
        };
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT));
        let client = redis::Client::open(url).map_err(refused)?;
        let connection = client.get_connection_manager_lazy(config).map_err(refused)?;
        let redis = Redis {
            connection,
            breaker: breaker(FAILURES_IN_A_ROW, ALONE_MIN, ALONE_MAX, ()),
            hits: metrics.counter("cache_hits", "Reads that the cache answered"),
            misses: metrics.counter("cache_misses", "Reads that the cache had no answer for"),
            failures: metrics.counter("cache_failures", "Times that the cache did not answer"),
        };
        Ok(Self { redis: Some(redis), prefix })
    }

    /// The value under this name: from the cache, else from `read`, which is then cached for as long as it says.
    pub(crate) async fn through<T, E, F>(&self, name: &str, read: F) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<(T, Option<Duration>), E>>,
    {
        let Some(redis) = &self.redis else { return read.await.map(|(value, _)| value) };
        let name = format!("{}/{name}", self.prefix);
        let mut connection = redis.connection.clone();
        let cached: Option<String> = redis.ask(connection.get(&name)).await.flatten();
        // What another version of this service cached is no answer.
        if let Some(value) = cached.and_then(|text| serde_json::from_str(&text).ok()) {
            redis.hits.inc();
            return Ok(value);
        }
        redis.misses.inc();
        let (value, keep) = read.await?;
        if let (Some(keep), Ok(text)) = (keep, serde_json::to_string(&value)) {
            let keep_ms = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
            let _: Option<()> = redis.ask(connection.pset_ex(&name, text, keep_ms)).await;
        }
        Ok(value)
    }
}

impl Redis {
    /// Asks, unless it has just been silent; `None` if there is no answer.
    async fn ask<T>(&self, question: impl Future<Output = Result<T, RedisError>>) -> Option<T> {
        if !self.breaker.is_call_permitted() {
            return None;
        }
        let failure = match tokio::time::timeout(2 * TIMEOUT, question).await {
            Ok(Ok(answer)) => {
                self.breaker.on_success();
                return Some(answer);
            }
            Ok(Err(failure)) => failure.to_string(),
            Err(late) => late.to_string(),
        };
        self.failures.inc();
        self.breaker.on_error();
        if self.breaker.is_call_permitted() {
            debug!(failure, "the cache did not answer");
        } else {
            warn!(failure, "the cache does not answer, it is left alone for a while");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    async fn read(cache: &Cache, keep: Option<Duration>) -> u32 {
        let value: Result<u32, ()> = cache.through("answer", async { Ok((42, keep)) }).await;
        value.unwrap()
    }

    #[tokio::test]
    async fn without_a_server_reads_are_answered_and_soon_at_full_speed() {
        // A port that nobody listens on.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let environment = Environment::from_iter([("REDIS_URL", format!("redis://127.0.0.1:{port}"))]);
        let metrics = Metrics::new();
        let cache = Cache::open("order", &environment, &metrics).unwrap();
        for _ in 0..4 {
            assert_eq!(read(&cache, Some(Duration::from_secs(1))).await, 42);
        }
        let before = cache.redis.as_ref().unwrap().failures.get();
        assert!(before >= u64::from(FAILURES_IN_A_ROW));
        let began = Instant::now();
        for _ in 0..100 {
            assert_eq!(read(&cache, Some(Duration::from_secs(1))).await, 42);
        }
        assert!(began.elapsed() < ALONE_MIN, "nobody asked it");
        assert_eq!(cache.redis.as_ref().unwrap().failures.get(), before);
    }

    #[tokio::test]
    async fn a_wrong_url_is_refused() {
        let environment = Environment::from_iter([("REDIS_URL", "http://x")]);
        let error = Cache::open("order", &environment, &Metrics::new()).err().unwrap();
        assert_eq!(error.variable, "REDIS_URL");
        let none = Cache::open("order", &Environment::default(), &Metrics::new()).unwrap();
        assert_eq!(read(&none, None).await, 42);
    }
}
