//! Waiting for something that only shows when one looks: a thread that asks again and again, and strikes then.
//!
//! What is waited for has happened a look ago when it is seen, and its clients have gone on since: a fault that strikes then
//! comes a little late, where the embedded cluster strikes in the very step.

use super::contract::{Awaited, StrikeError};
use shakedown_cluster::Strike;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A look that is repeated until it sees what is waited for.
#[derive(Debug)]
pub(super) struct Looking {
    outcome: Receiver<Result<Strike, StrikeError>>,
    /// Dropped to end it; told before, to have one last look first.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Looking {
    /// Begins to look; as soon as it has happened, strikes until somebody is hit.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(
        mut has_happened: impl FnMut() -> bool + Send + 'static,
        mut strike: impl FnMut() -> Result<Strike, StrikeError> + Send + 'static,
    ) -> Result<Self, StrikeError> {
        let (told, outcome) = channel();
        let (stop, stopped) = channel::<()>();
        let look = move || {
            let mut happened = false;
            loop {
                let last = match stopped.recv_timeout(LOOK_EVERY) {
                    Err(RecvTimeoutError::Timeout) => false,
                    Ok(()) => true,
                    Err(RecvTimeoutError::Disconnected) => return,
                };
                happened = happened || has_happened();
                if last && !happened {
                    return;
                }
                match if happened { strike() } else { continue } {
                    Err(error) if error.is_passing() => {}
                    struck => {
                        // Whoever does not wait any more has dropped the other end.
                        let _ = told.send(struck);
                        return;
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("shakedown-wait".to_owned()).spawn(look);
        let thread = thread.map_err(|error| StrikeError::Failed(Box::new(error)))?;
        Ok(Self { outcome, stop: Some(stop), thread: Some(thread) })
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there was told on standard error, and nothing comes of the watch.
            let _ = thread.join();
        }
    }
}

impl Awaited for Looking {
    fn outcome(&self) -> Option<Result<Strike, StrikeError>> {
        self.outcome.try_recv().ok()
    }

    /// What happened since the last look is seen yet: a load may be shorter than a look takes on a busy machine.
    fn cancel(mut self: Box<Self>) -> Option<Result<Strike, StrikeError>> {
        if let Some(stop) = &self.stop {
            // One that has struck already does not look any more.
            let _ = stop.send(());
        }
        self.end();
        Awaited::outcome(&*self)
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        self.end();
    }
}

/// How many records a topic has got, by the ends of its partitions' logs: a partition that does not answer has what it had,
/// and what an election has cut off was produced all the same.
#[derive(Debug, Default)]
pub(super) struct LogEnds(BTreeMap<i32, i64>);

impl LogEnds {
    /// Takes what a look has seen; how many there are by now.
    pub(super) fn see(&mut self, ends: impl IntoIterator<Item = (i32, i64)>) -> u64 {
        for (partition, end) in ends {
            let known = self.0.entry(partition).or_default();
            *known = end.max(*known);
        }
        self.0.values().filter_map(|end| u64::try_from(*end).ok()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Instant;

    fn strike() -> Strike {
        Strike { at: Instant::now(), nodes: vec![2] }
    }

    #[test]
    fn it_strikes_once_it_has_happened_and_somebody_plays_the_role() {
        let (looks, strikes) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (look, struck) = (Arc::clone(&looks), Arc::clone(&strikes));
        let nobody = || StrikeError::Nobody { role: shakedown_cluster::Role::Controller };
        let looking = Looking::start(
            move || look.fetch_add(1, Ordering::SeqCst) == 2,
            move || if struck.fetch_add(1, Ordering::SeqCst) < 2 { Err(nobody()) } else { Ok(strike()) },
        );
        let looking = looking.expect("a thread");
        let outcome = looking.outcome.recv_timeout(Duration::from_secs(10)).expect("it happens").expect("it strikes");
        assert_eq!(outcome.nodes, [2]);
        assert_eq!(looks.load(Ordering::SeqCst), 3, "what has happened is not looked for again");
        assert_eq!(strikes.load(Ordering::SeqCst), 3, "twice nobody played the role");
        assert!(Awaited::outcome(&looking).is_none(), "it is told once");
    }

    #[test]
    fn what_happened_before_it_is_called_off_is_seen_in_a_last_look() {
        let (entered, has_entered) = channel();
        let (go_on, may_go_on) = channel();
        let mut looks = 0;
        let look = move || {
            looks += 1;
            if looks == 1 {
                entered.send(()).expect("somebody waits");
                may_go_on.recv().expect("somebody lets it go on");
            }
            looks > 1
        };
        let looking = Looking::start(look, || Ok(strike())).expect("a thread");
        // It happens during the first look, which does not see it, and meanwhile the load ends.
        has_entered.recv().expect("it looks");
        let cancelled = std::thread::spawn(move || Box::new(looking).cancel());
        go_on.send(()).expect("it waits");
        let outcome = cancelled.join().expect("no panic").expect("a last look").expect("it strikes");
        assert_eq!(outcome.nodes, [2]);
    }

    #[test]
    fn what_is_called_off_does_not_strike() {
        let looking = Looking::start(|| false, || panic!("nothing has happened")).expect("a thread");
        assert!(Box::new(looking).cancel().is_none());
    }

    #[test]
    fn a_partition_that_falls_silent_or_back_keeps_its_count() {
        let mut ends = LogEnds::default();
        assert_eq!(ends.see([(0, 10), (1, 5)]), 15);
        assert_eq!(ends.see([(0, 12)]), 17, "one is silent");
        assert_eq!(ends.see([(0, 12), (1, 3)]), 17, "one was cut");
    }
}
