//! A thread that does a service's work and tells the process when, and how, it ended.
//!
//! Work runs on threads of its own, not on the async runtime: a Kafka client blocks while it polls, closes and
//! flushes, and `/health` must answer meanwhile.

use crate::error::{RunError, WorkerError};
use std::thread;
use tokio::sync::oneshot;

/// A running worker.
#[derive(Debug)]
pub(crate) struct Worker {
    name: &'static str,
    ended: oneshot::Receiver<Result<(), WorkerError>>,
}

impl Worker {
    /// Starts a thread of this name.
    pub(crate) fn spawn(
        name: &'static str,
        work: impl FnOnce() -> Result<(), WorkerError> + Send + 'static,
    ) -> Result<Self, RunError> {
        let (sender, ended) = oneshot::channel();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // The receiver is gone only when the process is about to be.
                let _ = sender.send(work());
            })
            .map_err(RunError::Runtime)?;
        Ok(Self { name, ended })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Waits for the worker's end.
    ///
    /// # Cancel safety
    /// Safe: dropping the future forgets nothing; call it again.
    pub(crate) async fn ended(&mut self) -> Result<(), RunError> {
        match (&mut self.ended).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(RunError::Worker { worker: self.name, source: Box::new(source) }),
            Err(_) => Err(RunError::WorkerPanicked { worker: self.name }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_reported_as_the_workers_end() {
        let mut worker = Worker::spawn("fragile", || panic!("on purpose")).unwrap();
        let error = worker.ended().await.unwrap_err();
        assert_eq!(error.to_string(), "worker fragile panicked");
    }
}
