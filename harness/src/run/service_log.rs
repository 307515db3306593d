//! What a service prints: kept whole in `service-<name>-<n>.log`, with its end and its address at hand.

use serde_json::Value as Json;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What an instance logs when it stands still at its failpoint.
const AT_FAILPOINT: &str = "waiting at a failpoint";

/// How many lines an error shows.
const LAST_LINES: usize = 15;

/// Longer lines are cut for the look-out for addresses and for errors; the file has all of them.
const LINE_LENGTH_MAX: u64 = 64 * 1024;

/// The log of one instance, over all its lives.
#[derive(Debug)]
pub struct ServiceLog {
    state: Mutex<State>,
    /// The text that says that the service is ready, where its rule asks for one.
    awaited: Option<String>,
}

#[derive(Debug)]
struct State {
    file: File,
    last: VecDeque<String>,
    address: Option<String>,
    awaited_seen: bool,
    at_failpoint: bool,
}

impl ServiceLog {
    /// Creates the file.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn create(path: &Path, awaited: Option<String>) -> std::io::Result<Self> {
        let state = State {
            file: File::create(path)?,
            last: VecDeque::new(),
            address: None,
            awaited_seen: false,
            at_failpoint: false,
        };
        Ok(Self { state: Mutex::new(state), awaited })
    }

    /// A new life of the service begins: what the last one said about itself is void.
    pub fn begin(&self, address: Option<String>) {
        let mut state = self.lock();
        state.address = address;
        state.awaited_seen = false;
        state.at_failpoint = false;
    }

    /// Copies a stream of the service to its end.
    pub fn copy(&self, stream: impl Read) {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        loop {
            line.clear();
            match reader.by_ref().take(LINE_LENGTH_MAX).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => self.line(&line),
            }
        }
    }

    fn line(&self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_end();
        let mut state = self.lock();
        // A full disk must not stop the service by a full pipe; the run directory's own writes will report it.
        let _ = state.file.write_all(bytes);
        if state.last.len() == LAST_LINES {
            state.last.pop_front();
        }
        state.last.push_back(text.to_owned());
        if let Some(address) = listening(text) {
            state.address = Some(address);
        }
        if self.awaited.as_ref().is_some_and(|awaited| text.contains(awaited.as_str())) {
            state.awaited_seen = true;
        }
        state.at_failpoint |= text.contains(AT_FAILPOINT);
    }

    /// Where the service says it listens.
    #[must_use]
    pub fn address(&self) -> Option<String> {
        self.lock().address.clone()
    }

    /// Whether the awaited text has come.
    #[must_use]
    pub fn awaited_seen(&self) -> bool {
        self.lock().awaited_seen
    }

    /// Whether the service stands still at its failpoint.
    #[must_use]
    pub fn at_failpoint(&self) -> bool {
        self.lock().at_failpoint
    }

    /// The end of the log, indented for an error message.
    #[must_use]
    pub fn last_lines(&self) -> String {
        let state = self.lock();
        if state.last.is_empty() {
            return "    (it printed nothing)".to_owned();
        }
        state.last.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address in a line such as `{"message":"listening","http_addr":"127.0.0.1:8081"}`.
fn listening(line: &str) -> Option<String> {
    if !line.contains("listening") {
        return None;
    }
    let json: Json = serde_json::from_str(line).ok()?;
    // Some loggers put the fields of an event into an object of their own.
    let fields = if json["message"].is_string() { &json } else { &json["fields"] };
    (fields["message"] == "listening").then(|| fields["http_addr"].as_str().map(str::to_owned))?
}

#[cfg(test)]
mod tests {
    use super::{LAST_LINES, ServiceLog, listening};

    #[test]
    fn an_address_is_found_in_a_line_of_json_only() {
        let line = r#"{"level":"INFO","message":"listening","http_addr":"127.0.0.1:4711"}"#;
        assert_eq!(listening(line).as_deref(), Some("127.0.0.1:4711"));
        assert_eq!(
            listening(r#"{"fields":{"message":"listening","http_addr":"[::1]:1"}}"#).as_deref(),
            Some("[::1]:1")
        );
        assert_eq!(listening("listening on 127.0.0.1:4711"), None);
        assert_eq!(listening(r#"{"message":"not listening","http_addr":"127.0.0.1:4711"}"#), None);
    }

    #[test]
    fn the_file_has_everything_and_errors_show_the_end() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("service-a-1.log");
        let log = ServiceLog::create(&path, Some("up and".to_owned())).expect("a log");
        assert!(log.last_lines().contains("printed nothing"));
        let text: String = (0..40).map(|n| format!("line {n}\n")).collect::<String>() + "up and running";
        log.copy(text.as_bytes());
        assert_eq!(std::fs::read_to_string(&path).expect("the file"), text);
        assert_eq!(log.last_lines().lines().count(), LAST_LINES);
        assert!(log.last_lines().ends_with("up and running"));
        assert!(log.awaited_seen() && !log.at_failpoint());
        log.copy(&br#"{"level":"WARN","message":"waiting at a failpoint","place":"BeforeWork"}"#[..]);
        assert!(log.at_failpoint());
        log.begin(None);
        assert!(!log.awaited_seen() && !log.at_failpoint(), "the next life has to say it again");
    }
}
