//! An intervention under way: a client of the cluster that works on a thread of its own, for the nemesis must not wait.

use shakedown_cluster::{Intervened, Intervention, InterventionError, Patience};
use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

/// What the nemesis hears of it.
pub(super) enum News {
    /// It has struck.
    Struck(Intervened),
    /// It came to nothing, and never will come to anything.
    Failed(InterventionError),
}

/// An intervention under way.
pub(super) struct Intervening {
    patience: Patience,
    news: Receiver<News>,
    thread: Option<JoinHandle<()>>,
}

impl Intervening {
    /// Begins; whatever is not possible yet is tried until it is, or until [`Intervening::end`].
    pub(super) fn start(intervention: Intervention, bootstrap: &str) -> io::Result<Self> {
        let patience = Patience::default();
        let (tell, news) = channel();
        let (mine, bootstrap) = (patience.clone(), bootstrap.to_owned());
        let work = move || {
            // The nemesis may have ended, and then nobody has to be told.
            let mut told = |intervened| drop(tell.send(News::Struck(intervened)));
            if let Err(error) = intervention.carry_out(&bootstrap, &mine, &mut told) {
                let _ = tell.send(News::Failed(error));
            }
        };
        let thread = std::thread::Builder::new().name("shakedown-intervention".to_owned()).spawn(work)?;
        Ok(Self { patience, news, thread: Some(thread) })
    }

    /// What there is to be told, one thing at a time.
    pub(super) fn hear(&self) -> Option<News> {
        self.news.try_recv().ok()
    }

    /// Whether nothing more will come of it than what has not been heard yet.
    pub(super) fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Calls it off, and waits until it is over: a stand-in has left its group then.
    pub(super) fn end(&mut self) {
        self.patience.call_off();
        if let Some(thread) = self.thread.take() {
            // A panic of its own is told of by the thread itself.
            let _ = thread.join();
        }
    }
}

impl Drop for Intervening {
    fn drop(&mut self) {
        self.end();
    }
}
