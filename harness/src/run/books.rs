//! Reading the books that services keep, while they run: `GET path?after=POSITION&limit=N`, one JSON object a line.
//!
//! All instances of a service tell of one store, so one reader asks whichever answers, and goes on at the same position with
//! another. What the books of topics have is read at the end: [`super::topic_books`].

use super::error::RunError;
use super::fleet::Fleet;
use super::http;
use super::session::Session;
use crate::scenario::books::{Fields, ServiceBook};
use serde_json::Value as Json;
use shakedown_reports::books::{BookWriter, Fact};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// Entries asked for at once.
const PAGE: usize = 10_000;

/// Between two questions when there was less than a page: books are compared at the end, and nobody waits for their entries
/// before. What services do meanwhile is what is measured.
const PAUSE: Duration = Duration::from_millis(250);

/// The readers of all books of services.
#[derive(Default)]
pub struct Books {
    readers: Vec<Running>,
}

/// The questions that were asked before some instant; see [`Books::are_complete`].
#[derive(Debug, Clone)]
pub struct Mark(Vec<u64>);

struct Running {
    service: String,
    get: String,
    progress: Arc<Progress>,
    task: JoinHandle<()>,
}

/// How far a book has been read.
#[derive(Debug, Default)]
struct Progress {
    /// Questions asked.
    asked: AtomicU64,
    /// The number of the last question that was answered with nothing new.
    exhausted: AtomicU64,
    /// Why the book cannot be used, if so.
    unusable: Mutex<Option<String>>,
}

impl Books {
    /// Starts reading the books of this plan, if some rule compares books. Instances may come and go.
    ///
    /// # Errors
    /// When a book cannot be written in the run directory.
    pub fn start(session: &Session, fleet: &Arc<Fleet>) -> Result<Self, RunError> {
        let plan = &session.plan.scenario.books;
        let mut readers = Vec::new();
        for book in plan.services.iter().filter(|_| plan.is_needed()) {
            let progress = Arc::new(Progress::default());
            let reader = Reader {
                client: session.http.clone(),
                fleet: Arc::clone(fleet),
                book: book.clone(),
                writer: BookWriter::create(session.directory.path(), &book.name)?,
                progress: Arc::clone(&progress),
            };
            let task = session.runtime.spawn(reader.run());
            readers.push(Running { service: book.service.clone(), get: book.get.clone(), progress, task });
        }
        Ok(Self { readers })
    }

    /// Remembers this instant.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.readers.iter().map(|reader| reader.progress.asked.load(Ordering::Acquire)).collect())
    }

    /// Whether every book was asked for after the mark, and had nothing new to tell.
    #[must_use]
    pub fn are_complete(&self, mark: &Mark) -> bool {
        let mut asked = self.readers.iter().zip(&mark.0);
        asked.all(|(reader, asked)| reader.progress.exhausted.load(Ordering::Acquire) > *asked)
    }

    /// Whether all of them can be used.
    ///
    /// # Errors
    /// When an entry does not have what the scenario says.
    pub fn check(&self) -> Result<(), RunError> {
        for Running { service, get, progress, .. } in &self.readers {
            if let Some(reason) = &*lock(&progress.unusable) {
                let (service, path, reason) = (service.clone(), get.clone(), reason.clone());
                return Err(RunError::Unusable { service, path, reason });
            }
        }
        Ok(())
    }

    /// Ends it, with everything that was read in the run directory.
    pub fn close(&mut self, runtime: &Runtime) {
        for reader in self.readers.drain(..) {
            reader.task.abort();
            // Aborted, it is done when the await returns, and its book is written as it is dropped.
            let _ = runtime.block_on(reader.task);
        }
    }
}

struct Reader {
    client: reqwest::Client,
    fleet: Arc<Fleet>,
    book: ServiceBook,
    writer: BookWriter,
    progress: Arc<Progress>,
}

impl Reader {
    async fn run(mut self) {
        if let Err(reason) = self.read().await {
            *lock(&self.progress.unusable) = Some(reason);
        }
    }

    /// Reads until it is aborted, or the book cannot be used.
    async fn read(&mut self) -> Result<(), String> {
        let mut position = 0_u64;
        for turn in 0_usize.. {
            let number = self.progress.asked.fetch_add(1, Ordering::AcqRel) + 1;
            // Whoever is down or starting has no answer; the next one is asked, and the drain waits.
            let Some(page) = self.ask(turn, position).await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let facts = read_page(&page, position, &self.book.fields)?;
            for fact in &facts {
                self.writer.write(fact).map_err(|error| error.to_string())?;
            }
            position = facts.last().map_or(position, |last| last.position);
            if facts.is_empty() {
                self.writer.flush().map_err(|error| error.to_string())?;
                self.progress.exhausted.store(number, Ordering::Release);
            }
            if facts.len() < PAGE {
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    /// Asks one instance after the other, a different one first each time.
    async fn ask(&self, turn: usize, position: u64) -> Option<String> {
        let path = format!("{}?after={position}&limit={PAGE}", self.book.get);
        let addresses: Vec<String> =
            self.fleet.of(&self.book.service).filter_map(|instance| instance.address()).collect();
        for step in 0..addresses.len() {
            let address = &addresses[(turn + step) % addresses.len()];
            if let Ok(page) = http::get(&self.client, address, &path).await {
                return Some(page);
            }
        }
        None
    }
}

/// The facts behind a position. Positions must grow, or a service that ignores `after` would be read for ever.
fn read_page(page: &str, after: u64, fields: &Fields) -> Result<Vec<Fact>, String> {
    let mut last = after;
    page.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let json: Json =
                serde_json::from_str(line).map_err(|error| format!("not a line of JSON ({error}): {line}"))?;
            let fact = fields.read(&json).map_err(|what| format!("{what}: {line}"))?;
            if fact.position <= last {
                let position = fact.position;
                return Err(format!(
                    "asked for what is behind position {after}, it has position {position} behind {last}, but positions \
                     must grow, from 1: {line}"
                ));
            }
            last = fact.position;
            Ok(fact)
        })
        .collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::read_page;
    use crate::scenario::books::Fields;

    fn line(position: u64) -> String {
        format!("{{\"position\":{position},\"event_id\":\"e-{position}\",\"topic\":\"orders\",\"at_us\":5}}\n")
    }

    fn read(page: &str, after: u64) -> Result<Vec<u64>, String> {
        let facts = read_page(page, after, &Fields::of_book("inbox"))?;
        Ok(facts.into_iter().map(|fact| fact.position).collect())
    }

    #[test]
    fn entries_become_facts_in_their_order() {
        let page = [line(10), "\n".to_owned(), line(12)].concat();
        assert_eq!(read(&page, 9), Ok(vec![10, 12]), "gaps are fine");
        assert_eq!(read("", 9), Ok(Vec::new()));
    }

    #[test]
    fn entries_that_cannot_be_used_are_shown() {
        assert!(read("<html>", 0).expect_err("not JSON").starts_with("not a line of JSON"));
        let nameless = read("{\"position\":1,\"at_us\":5,\"topic\":\"orders\"}", 0).expect_err("no event");
        assert!(nameless.starts_with("`/event_id` is neither a string nor a number: {"), "{nameless}");
    }

    #[test]
    fn positions_that_do_not_grow_are_refused() {
        for (page, after) in [(line(9), 9), (line(8), 9), ([line(10), line(12), line(11)].concat(), 9), (line(0), 0)] {
            let refused = read(&page, after).expect_err("positions must grow");
            assert!(refused.contains("but positions must grow, from 1"), "{refused}");
        }
    }
}
