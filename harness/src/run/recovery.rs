//! Services on their way back after a fault: started and waited for beside the nemesis, so that whatever else is to strike
//! or to heal keeps its time. Often a service needs just that to become ready: the broker that it talks to.
//!
//! Owns the threads that start instances and look at them ([`Starter`]), and what the nemesis knows of them
//! ([`Recoveries`]). When an instance is ready is in [`super::readiness`].

use super::error::RunError;
use super::fleet::{Fleet, Instance};
use super::readiness::{self, Probe};
use super::session::Session;
use shakedown_loadgen::StopFlag;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

/// Between two looks at an instance that is not ready.
const POLL: Duration = Duration::from_millis(10);

/// Starts instances, each on a thread of its own, and tells how that goes.
pub(super) struct Starter<'a> {
    orders: Receiver<Order<'a>>,
    news: Sender<(u64, News)>,
}

/// The instances that are on their way back. Dropping it leaves them as they are.
pub(super) struct Recoveries<'a> {
    orders: Sender<Order<'a>>,
    news: Receiver<(u64, News)>,
    under_way: Vec<Recovery<'a>>,
    /// The number of the latest.
    last: u64,
}

/// One instance on its way back.
struct Recovery<'a> {
    number: u64,
    /// The fault that it recovers from.
    fault: String,
    instance: &'a Instance,
    /// Whether it has a process already.
    has_begun: bool,
    /// Why it is not ready.
    reason: String,
    deadline: Instant,
    give_up: StopFlag,
}

/// An instance to be started.
struct Order<'a> {
    number: u64,
    instance: &'a Instance,
    /// Raised when nobody wants to know any more.
    give_up: StopFlag,
}

/// What is told of an order.
enum News {
    /// It has a process now.
    Begun,
    /// It is not ready, because of this.
    NotYet(String),
    Ready,
    /// It will not become ready.
    Failed(RunError),
}

/// Both ends: who starts instances, and who wants them started.
pub(super) fn pair<'a>() -> (Recoveries<'a>, Starter<'a>) {
    let (orders, ordered) = mpsc::channel();
    let (told, news) = mpsc::channel();
    (Recoveries { orders, news, under_way: Vec::new(), last: 0 }, Starter { orders: ordered, news: told })
}

impl Starter<'_> {
    /// Carries orders out until there can be no more, which is when the [`Recoveries`] are gone.
    pub(super) fn work(self, session: &Session, fleet: &Fleet, bootstrap: &str) {
        let Self { orders, news } = self;
        std::thread::scope(|scope| {
            for order in orders {
                let number = order.number;
                let told = news.clone();
                // Whoever does not listen any more does not want to know.
                let tell = move |news| _ = told.send((number, news));
                let failed = tell.clone();
                let start = move || bring_back(session, fleet, bootstrap, &order, tell);
                let thread = std::thread::Builder::new().name("shakedown-start".to_owned());
                if let Err(source) = thread.spawn_scoped(scope, start) {
                    failed(News::Failed(RunError::io("start the thread that starts a service")(source)));
                }
            }
        });
    }
}

/// Starts an instance and looks at it until it is ready, or has ended, or nobody wants to know.
fn bring_back(session: &Session, fleet: &Fleet, bootstrap: &str, order: &Order<'_>, tell: impl Fn(News)) {
    let Order { instance, give_up, .. } = order;
    // A cluster that does not answer is no reason to leave the service down. Then a member that died with it may stand for it
    // until its session expires, and only the drain tells whether it works.
    let before = readiness::members(bootstrap, instance).unwrap_or_default();
    if give_up.is_stopped() {
        return;
    }
    if let Err(error) = instance.start(&fleet.reaper) {
        return tell(News::Failed(error));
    }
    tell(News::Begun);
    let mut probe = Probe::new(session, bootstrap, instance, &before);
    let mut told = String::new();
    while !give_up.is_stopped() {
        match probe.look() {
            Ok(()) => return tell(News::Ready),
            Err(reason) if reason != told => {
                tell(News::NotYet(reason.clone()));
                told = reason;
            }
            Err(_) => {}
        }
        if let Some(error) = readiness::death(instance) {
            return tell(News::Failed(error));
        }
        std::thread::sleep(POLL);
    }
}

impl<'a> Recoveries<'a> {
    /// Has an instance started after a fault. It is to be ready within `limit`.
    pub(super) fn begin(&mut self, fault: &str, instance: &'a Instance, limit: Duration) {
        self.last += 1;
        let (number, give_up) = (self.last, StopFlag::new());
        // There is somebody at the other end for as long as this lives.
        let _ = self.orders.send(Order { number, instance, give_up: give_up.clone() });
        self.under_way.push(Recovery {
            number,
            fault: fault.to_owned(),
            instance,
            has_begun: false,
            reason: "nobody has looked yet".to_owned(),
            deadline: Instant::now() + limit,
            give_up,
        });
    }

    /// Whether an instance is about to be started, and has no process yet that could be hit.
    pub(super) fn is_beginning(&self, instance: &Instance) -> bool {
        self.of(instance).is_some_and(|at| !self.under_way[at].has_begun)
    }

    /// An instance was hit again on its way; the fault that it does not recover from any more.
    pub(super) fn give_up(&mut self, instance: &Instance) -> Option<String> {
        let recovery = self.under_way.remove(self.of(instance)?);
        recovery.give_up.stop();
        Some(recovery.fault)
    }

    fn of(&self, instance: &Instance) -> Option<usize> {
        self.under_way.iter().position(|recovery| recovery.instance.label == instance.label)
    }

    /// Whether everybody is back.
    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Writes down who is back. Time in which something is broken still, so that nothing is `sound`, is on nobody's account:
    /// the limit of each begins anew behind it.
    ///
    /// # Errors
    /// When somebody did not come back.
    pub(super) fn follow(&mut self, session: &Session, sound: bool) -> Result<(), RunError> {
        while let Ok((number, news)) = self.news.try_recv() {
            // What comes of an order that was given up is nobody's concern.
            let Some(at) = self.under_way.iter().position(|recovery| recovery.number == number) else { continue };
            match news {
                News::Begun => self.under_way[at].has_begun = true,
                News::NotYet(reason) => self.under_way[at].reason = reason,
                News::Ready => {
                    let Recovery { fault, instance, .. } = self.under_way.remove(at);
                    session.journal.service(&instance.service, format!("{} is ready", instance.label));
                    session.journal.healed(&fault, format!("healed: {}", instance.label));
                }
                News::Failed(error) => return Err(not_recovered(self.under_way[at].instance, error)),
            }
        }
        let (now, limit) = (Instant::now(), session.plan.scenario.limits.start);
        for recovery in &mut self.under_way {
            if !sound {
                recovery.deadline = now + limit;
            } else if now >= recovery.deadline {
                let Recovery { instance, reason, .. } = recovery;
                return Err(not_recovered(instance, readiness::not_ready(instance, limit, reason.clone())));
            }
        }
        Ok(())
    }
}

impl Drop for Recoveries<'_> {
    fn drop(&mut self) {
        self.under_way.iter().for_each(|recovery| recovery.give_up.stop());
    }
}

fn not_recovered(instance: &Instance, error: RunError) -> RunError {
    match error {
        RunError::DiedAtStart { .. } | RunError::NotReady { .. } => {
            RunError::NotRecovered { who: format!("service {}", instance.label), source: Box::new(error) }
        }
        other => other,
    }
}
