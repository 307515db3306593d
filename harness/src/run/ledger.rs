//! Reading the ledgers of services while they run: `GET path?after=POSITION&limit=N`, one JSON object a line.
//!
//! One instance, or several that share a store: entries are recorded as they come, told by whichever instance answers. Several
//! instances with stores of their own: each has a ledger of its own, and two ledgers have an order only by the time of their
//! entries, so they are merged by it when the run has drained.

use super::error::RunError;
use super::fleet::Instance;
use super::http;
use crate::scenario::model::LedgerRule;
use serde_json::Value as Json;
use shakedown_loadgen::{Names, StopFlag};
use shakedown_reports::DeliveryWriter;
use shakedown_reports::identity::Key;
use shakedown_reports::record::Delivery;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// Entries asked for at once.
const PAGE: u64 = 20_000;

/// Between two questions when there was nothing new.
const PAUSE: Duration = Duration::from_millis(50);

/// Reads the ledgers of all instances of one service.
pub struct LedgerPoller {
    service: String,
    sink: Arc<Mutex<Sink>>,
    instances: Vec<Arc<Progress>>,
    tasks: Vec<JoinHandle<()>>,
    stop: StopFlag,
}

/// Where entries go.
struct Sink {
    writer: DeliveryWriter,
    /// Entries that wait for those of the other instances; unused with a single one.
    waiting: Option<Vec<Delivery>>,
    count: u64,
}

/// How far one instance's ledger has been read.
#[derive(Debug, Default)]
struct Progress {
    /// Questions asked.
    asked: AtomicU64,
    /// The number of the last question that was answered with nothing new.
    exhausted: AtomicU64,
    /// Why the ledger cannot be used, if so.
    unusable: Mutex<Option<String>>,
}

/// The questions that were asked before some instant; see [`LedgerPoller::complete`].
#[derive(Debug, Clone)]
pub struct Mark(Vec<u64>);

impl LedgerPoller {
    /// Starts reading. The instances may not have started yet, and may come and go.
    #[must_use]
    pub fn start(
        runtime: &Runtime,
        client: &reqwest::Client,
        (instances, is_shared): (&[&Instance], bool),
        rule: &LedgerRule,
        names: &Arc<Names>,
        writer: DeliveryWriter,
    ) -> Self {
        let ledgers: Vec<&[&Instance]> =
            if is_shared { vec![instances] } else { instances.iter().map(std::slice::from_ref).collect() };
        let waiting = (ledgers.len() > 1).then(Vec::new);
        let sink = Arc::new(Mutex::new(Sink { writer, waiting, count: 0 }));
        let stop = StopFlag::new();
        let mut tasks = Vec::new();
        let mut all_progress = Vec::new();
        for instances in ledgers {
            let progress = Arc::new(Progress::default());
            let reader = Reader {
                client: client.clone(),
                logs: instances.iter().map(|instance| Arc::clone(&instance.log)).collect(),
                rule: rule.clone(),
                names: Arc::clone(names),
                sink: Arc::clone(&sink),
                progress: Arc::clone(&progress),
                stop: stop.clone(),
            };
            tasks.push(runtime.spawn(reader.run()));
            all_progress.push(progress);
        }
        let service = instances.first().map(|instance| instance.service.clone()).unwrap_or_default();
        Self { service, sink, instances: all_progress, tasks, stop }
    }

    /// Entries read so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        lock(&self.sink).count
    }

    /// Remembers this instant.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.instances.iter().map(|progress| progress.asked.load(Ordering::Acquire)).collect())
    }

    /// Whether every instance was asked after the mark and had nothing new to tell.
    #[must_use]
    pub fn complete(&self, mark: &Mark) -> bool {
        self.instances.iter().zip(&mark.0).all(|(progress, asked)| progress.exhausted.load(Ordering::Acquire) > *asked)
    }

    /// Why the ledger cannot be used, if so.
    ///
    /// # Errors
    /// When an entry does not have what the rule says.
    pub fn check(&self, rule: &LedgerRule) -> Result<(), RunError> {
        for progress in &self.instances {
            if let Some(reason) = &*lock(&progress.unusable) {
                let (service, path) = (self.service.clone(), rule.get.clone());
                return Err(RunError::Unusable { service, path, reason: reason.clone() });
            }
        }
        Ok(())
    }

    /// Ends it, with everything read in the record.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn close(mut self, runtime: &Runtime) -> Result<u64, RunError> {
        self.stop.stop();
        for task in self.tasks.drain(..) {
            task.abort();
            // Aborted, it is done when the await returns; nothing holds the sink any longer.
            let _ = runtime.block_on(task);
        }
        let sink = Arc::into_inner(self.sink).map(|sink| sink.into_inner().unwrap_or_else(PoisonError::into_inner));
        let Some(Sink { mut writer, waiting, .. }) = sink else { return Ok(0) };
        if let Some(mut waiting) = waiting {
            waiting.sort_by_key(|delivery| delivery.received_ns);
            for delivery in &waiting {
                writer.push(delivery);
            }
        }
        Ok(writer.finish()?)
    }
}

struct Reader {
    client: reqwest::Client,
    /// Of everybody who has this ledger: any of them can tell.
    logs: Vec<Arc<super::service_log::ServiceLog>>,
    rule: LedgerRule,
    names: Arc<Names>,
    sink: Arc<Mutex<Sink>>,
    progress: Arc<Progress>,
    stop: StopFlag,
}

impl Reader {
    /// The page behind a position, from the first that answers.
    async fn ask(&self, position: u64) -> Result<String, String> {
        let path = format!("{}?after={position}&limit={PAGE}", self.rule.get);
        let mut page = Err("nobody has said where it listens".to_owned());
        for log in &self.logs {
            let Some(address) = log.address() else { continue };
            page = http::get(&self.client, &address, &path).await;
            if page.is_ok() {
                break;
            }
        }
        page
    }

    async fn run(self) {
        let mut position = 0_u64;
        while !self.stop.is_stopped() {
            let number = self.progress.asked.fetch_add(1, Ordering::AcqRel) + 1;
            let page = self.ask(position).await;
            // A service that is down or starting has no answer; it is asked again, and the drain waits for it.
            let entries = match page.as_deref().map(|page| read_page(page, position, &self.rule, &self.names)) {
                Ok(Ok(entries)) => entries,
                Ok(Err(reason)) => {
                    *lock(&self.progress.unusable) = Some(reason);
                    return;
                }
                Err(_) => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let Some((last, _)) = entries.last() else {
                lock(&self.sink).writer.flush();
                self.progress.exhausted.store(number, Ordering::Release);
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            position = *last;
            let mut sink = lock(&self.sink);
            for (_, delivery) in &entries {
                sink.count += 1;
                match &mut sink.waiting {
                    Some(waiting) => waiting.push(*delivery),
                    None => sink.writer.push(delivery),
                }
            }
        }
    }
}

/// The entries of the page behind a position, with their own. Positions must grow, or one entry would be read again and
/// again by a service that ignores `after` or takes it as inclusive.
fn read_page(page: &str, after: u64, rule: &LedgerRule, names: &Names) -> Result<Vec<(u64, Delivery)>, String> {
    let mut last = after;
    page.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let json: Json =
                serde_json::from_str(line).map_err(|error| format!("not a line of JSON ({error}): {line}"))?;
            let (position, delivery) = read_entry(&json, rule, names).map_err(|what| format!("{what}: {line}"))?;
            if position <= last {
                return Err(format!(
                    "asked for what is behind position {after}, it has position {position} behind {last}, but positions \
                     must grow, from 1: {line}"
                ));
            }
            last = position;
            Ok((position, delivery))
        })
        .collect()
}

fn read_entry(json: &Json, rule: &LedgerRule, names: &Names) -> Result<(u64, Delivery), String> {
    let text = |pointer: &str| {
        let value = json.pointer(pointer).and_then(Json::as_str);
        value.ok_or_else(|| format!("`{pointer}` is not a string"))
    };
    let number = |pointer: &str| {
        let value = json.pointer(pointer).and_then(Json::as_i64);
        value.ok_or_else(|| format!("`{pointer}` is not a whole number"))
    };
    let instant = |pointer: &str| {
        let microseconds = json.pointer(pointer).and_then(Json::as_u64);
        microseconds
            .map(|us| us.saturating_mul(1_000))
            .ok_or_else(|| format!("`{pointer}` is not a time in microseconds"))
    };
    let position = json.pointer(&rule.position).and_then(Json::as_u64);
    let position = position.ok_or_else(|| format!("`{}` is not a position", rule.position))?;
    let delivery = Delivery {
        identity: names.identity(text(&rule.identity)?),
        key: rule.key.as_deref().map_or(Ok(Key::ABSENT), |pointer| text(pointer).map(|key| names.key(key)))?,
        partition: number("/partition").ok().and_then(|n| i32::try_from(n).ok()).unwrap_or(-1),
        offset: number("/offset").unwrap_or(-1),
        timestamp_ms: -1,
        value: rule.value.as_deref().map_or(Ok(0), number)?,
        intended_ns: rule.intended_us.as_deref().map_or(Ok(0), instant)?,
        received_ns: instant(&rule.at_us)?,
    };
    Ok((position, delivery))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::read_page;
    use crate::scenario::model::LedgerRule;
    use shakedown_loadgen::{Names, order_id};
    use shakedown_reports::Interner;
    use shakedown_reports::identity::{Identity, Key};
    use std::sync::Arc;

    fn rule() -> LedgerRule {
        LedgerRule {
            get: "/tracked".to_owned(),
            identity: "/order_id".to_owned(),
            key: Some("/user".to_owned()),
            value: None,
            position: "/position".to_owned(),
            at_us: "/at_us".to_owned(),
            intended_us: None,
        }
    }

    #[test]
    fn entries_become_deliveries() {
        let names = Names::new(Arc::new(Interner::in_memory("user-")), 7, 100);
        let id = order_id::encode(7, 42);
        let id = std::str::from_utf8(&id).expect("an id is text");
        let page = format!(
            "{{\"position\":9,\"order_id\":\"{id}\",\"user\":\"user-3\",\"partition\":1,\"offset\":5,\"at_us\":1000}}\n\n"
        );
        let entries = read_page(&page, 8, &rule(), &names).expect("a good page");
        let [(9, delivery)] = entries.as_slice() else { panic!("one entry at position 9, not {entries:?}") };
        assert_eq!((delivery.identity, delivery.key), (Identity::planned(42), Key::planned(3)));
        assert_eq!((delivery.partition, delivery.offset, delivery.received_ns), (1, 5, 1_000_000));
    }

    #[test]
    fn an_entry_without_its_fields_is_explained() {
        let names = Names::new(Arc::new(Interner::in_memory("user-")), 7, 100);
        let error = read_page(r#"{"position":1,"user":"user-3"}"#, 0, &rule(), &names).expect_err("no identity");
        assert!(error.starts_with("`/order_id` is not a string: {"), "{error}");
        assert!(read_page("<html>", 0, &rule(), &names).expect_err("not JSON").starts_with("not a line of JSON"));
    }

    #[test]
    fn positions_that_do_not_grow_are_refused_with_both() {
        let names = Names::new(Arc::new(Interner::in_memory("user-")), 7, 100);
        let entry = |position: &u64| {
            format!("{{\"position\":{position},\"order_id\":\"a\",\"user\":\"user-1\",\"at_us\":1}}\n")
        };
        let refused = |after, positions: &[u64]| {
            let page: String = positions.iter().map(entry).collect();
            read_page(&page, after, &rule(), &names).expect_err("positions that do not grow")
        };
        assert!(refused(9, &[1, 2]).starts_with("asked for what is behind position 9, it has position 1 behind 9,"));
        assert!(refused(9, &[9, 10]).contains("position 9 behind 9,"), "inclusive");
        assert!(refused(9, &[10, 12, 11]).contains("position 11 behind 12,"), "not in order");
        assert!(refused(0, &[0]).contains("position 0 behind 0,"), "the first position is 1");
        let page: String = [10, 12].iter().map(entry).collect();
        assert_eq!(read_page(&page, 9, &rule(), &names).expect("gaps are fine").len(), 2);
    }
}
