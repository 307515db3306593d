//! Whose a thread of this process is, by its name.
//!
//! Linux keeps fifteen bytes of a thread's name. Our own threads are called after what they do; those of librdkafka are called
//! `rdk:main` and `rdk:broker1` whoever has made the client, so those that were there before the load are somebody else's.

use std::collections::BTreeSet;

/// Threads of this process that were there before the load, by their numbers.
#[derive(Debug, Clone, Default)]
pub struct Bystanders {
    threads: BTreeSet<i32>,
    is_everybody: bool,
}

impl Bystanders {
    /// All threads of this moment. To be asked right before the load begins, when taps have connected.
    #[must_use]
    pub fn now() -> Self {
        let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let threads = tasks.filter_map(|task| task.file_name().to_str()?.parse().ok()).collect();
        Self { threads, is_everybody: false }
    }

    /// Every thread of this process, whenever it begins: somebody else offers the load.
    #[must_use]
    pub fn everybody() -> Self {
        Self { threads: BTreeSet::new(), is_everybody: true }
    }
}

/// Whose a thread is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The pacer, the client, whoever takes its answers and writes them down.
    Generator,
    /// The embedded brokers.
    Brokers,
    /// Taps, checks, the harness.
    Others,
}

/// Prefixes of what the embedded cluster's threads are called, as far as Linux keeps it.
const CLUSTER: &str = "shakedown-clust";

impl Bystanders {
    pub(super) fn whose(&self, thread: i32, name: &str) -> Whose {
        match name {
            name if name.starts_with(CLUSTER) => Whose::Brokers,
            _ if self.is_everybody => Whose::Others,
            name if name.starts_with("load-") => Whose::Generator,
            name if name.starts_with("rdk:") && !self.threads.contains(&thread) => Whose::Generator,
            _ => Whose::Others,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bystanders, Whose};

    #[test]
    fn a_client_that_was_there_before_the_load_is_not_its_own() {
        let before = Bystanders { threads: [7].into(), is_everybody: false };
        for (thread, name, whose) in [
            (1, "load-pacer", Whose::Generator),
            (7, "rdk:broker1", Whose::Others),
            (8, "rdk:broker1", Whose::Generator),
            (8, "shakedown-clust", Whose::Brokers),
            (8, "shakedown-look", Whose::Others),
            (8, "tap-orders", Whose::Others),
        ] {
            assert_eq!(before.whose(thread, name), whose, "{name} {thread}");
            let without = Bystanders::everybody().whose(thread, name);
            assert_ne!(without, Whose::Generator, "{name} {thread}: somebody else offers the load");
        }
    }
}
