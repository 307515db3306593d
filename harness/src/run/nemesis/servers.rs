//! The servers behind services as targets of faults, and failpoints at which services stand still.

use super::{Hit, Nemesis, OpenFault};
use crate::run::error::RunError;
use crate::run::servers::server::Server;
use crate::scenario::equipment::ServerRole;
use crate::scenario::model::{Condition, FaultAction, FaultRule};
use shakedown_loadgen::StopFlag;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

/// A server on its way back, on a thread of its own: it recovers from its log first.
pub(super) struct Returning {
    fault: String,
    server: Arc<Server>,
    news: Receiver<Result<(), RunError>>,
    /// Raised when nobody wants to know any more.
    give_up: StopFlag,
}

impl Returning {
    fn begin(fault: &str, server: Arc<Server>, limit: Duration) -> Result<Self, RunError> {
        let (tell, news) = channel();
        let give_up = StopFlag::new();
        let (returning, flag) = (Arc::clone(&server), give_up.clone());
        let work = move || {
            let back = returning.start().and_then(|()| returning.await_answer(limit, &flag));
            // Whoever does not listen any more does not want to know.
            let _ = tell.send(back);
        };
        let thread = std::thread::Builder::new().name("shakedown-server".to_owned()).spawn(work);
        thread.map_err(RunError::io("start the thread that brings a server back"))?;
        Ok(Self { fault: fault.to_owned(), server, news, give_up })
    }
}

impl Drop for Returning {
    fn drop(&mut self) {
        self.give_up.stop();
    }
}

impl Nemesis<'_> {
    /// Strikes a server; not while it is on its way back.
    pub(super) fn fire_on_server(
        &mut self,
        place: usize,
        fault: FaultRule,
        action: FaultAction,
        role: &ServerRole,
    ) -> bool {
        // Validation leaves no fault on a server that is not there.
        let Some(server) = self.fleet.servers.of(role).cloned() else { return true };
        if self.returning.iter().any(|returning| Arc::ptr_eq(&returning.server, &server)) {
            return false;
        }
        let name = fault.to_string();
        let began = Instant::now();
        let hit = match action {
            FaultAction::Pause => server.pause(),
            FaultAction::Restart => server.stop(),
            _ => server.kill(),
        };
        let word = action.word();
        if hit {
            self.session.journal.fault(&name, format!("{word}: {}", server.label()));
            self.opened(OpenFault { place, fault, began, begin_at: None, hit: Hit::Server(action, server) });
        } else {
            self.session.journal.fault(&name, format!("{word}: {} was down already", server.label()));
        }
        true
    }

    pub(super) fn heal_server(&mut self, name: &str, action: FaultAction, server: Arc<Server>) -> Result<(), RunError> {
        if action == FaultAction::Pause {
            server.resume();
            self.session.journal.healed(name, format!("healed: {}", server.label()));
        } else {
            // It is told when it answers.
            self.returning.push(Returning::begin(name, server, self.session.plan.scenario.limits.start)?);
        }
        Ok(())
    }

    /// Notes which servers are back.
    ///
    /// # Errors
    /// When one does not come back.
    pub(super) fn follow_servers(&mut self) -> Result<(), RunError> {
        let mut index = 0;
        while index < self.returning.len() {
            match self.returning[index].news.try_recv() {
                Err(TryRecvError::Empty) => index += 1,
                Err(TryRecvError::Disconnected) => {
                    let panicked = std::io::Error::other("its thread panicked");
                    return Err(RunError::io(format!("bring {} back", self.returning[index].server.label()))(panicked));
                }
                Ok(back) => {
                    let returning = self.returning.remove(index);
                    back?;
                    self.session.journal.healed(&returning.fault, format!("healed: {}", returning.server.label()));
                }
            }
        }
        Ok(())
    }

    /// Notes which instances stand at their failpoints.
    pub(super) fn notice_failpoints(&mut self) {
        for pending in self.pending.iter_mut().filter(|pending| pending.happened.is_none()) {
            if let Some(Condition::Failpoint { service }) = &pending.fault.trigger.when
                && self.fleet.of(service).any(|instance| instance.log.at_failpoint())
            {
                pending.happened = Some(Instant::now());
            }
        }
    }
}
