//! The thread on which a cluster lives: how it starts, what it does until it is told to stop.

use crate::builder::StartError;
use crate::data_folder::{DataFolder, DataFolderError};
use crate::listener::Door;
use crate::shell::Shell;
use crate::slot::Slot;
use crate::store::disk::Disk;
use crate::store::{Budget, SpillingStore};
use shakedown_broker::{Input, LogStore, NodeConfig};
use std::cell::RefCell;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long nodes may take to find each other: some milliseconds, unless the machine has no time for them.
const READY_MAX: Duration = Duration::from_secs(30);

/// Something to be done on the cluster's thread.
pub(crate) type Call = Box<dyn FnOnce(&Shell) + Send>;

/// What a cluster is made of.
pub(crate) struct Setup {
    /// The nodes by id, which counts from 1; brokers with the sockets that clients come in by.
    pub(crate) nodes: Vec<(NodeConfig, Option<TcpListener>)>,
    pub(crate) seed: u64,
    pub(crate) memory_budget: u64,
    /// Where everything is kept, if it is.
    pub(crate) folder: Option<DataFolder>,
}

/// How many lives of a node there may be between two starts of its cluster, so that no two have the same seed.
const LIVES_MAX: u64 = 1 << 32;

/// A cluster's thread, from outside.
#[derive(Debug)]
pub(crate) struct ClusterThread {
    pub(crate) calls: UnboundedSender<Call>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ClusterThread {
    /// Starts it, and waits until every node knows all brokers to be alive.
    pub(crate) fn start(setup: Setup) -> Result<Self, StartError> {
        let (calls, called) = unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let (ready, readiness): (_, Receiver<Result<(), StartError>>) = sync_channel(1);
        let run = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(source) => return drop(ready.send(Err(StartError::Thread { source }))),
            };
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, serve(setup, &ready, called, stopped));
        };
        let failed = |source| StartError::Thread { source };
        let thread = std::thread::Builder::new().name(String::from("shakedown-cluster")).spawn(run).map_err(failed)?;
        let started = Self { calls, stop: Some(stop), thread: Some(thread) };
        match readiness.recv() {
            Ok(ready) => ready.map(|()| started),
            Err(_) => Err(failed(std::io::Error::other("it ended before it was ready"))),
        }
    }

    /// Does something there, and waits for the answer; `None` if the thread has ended.
    pub(crate) fn ask<T: Send + 'static>(&self, call: impl FnOnce(&Shell) -> T + Send + 'static) -> Option<T> {
        ask(&self.calls, call)
    }
}

/// As [`ClusterThread::ask`], for whoever has only the way in.
pub(crate) fn ask<T: Send + 'static>(
    calls: &UnboundedSender<Call>,
    call: impl FnOnce(&Shell) -> T + Send + 'static,
) -> Option<T> {
    let (reply, answer) = sync_channel(1);
    // Only a panic can keep the one who asks from taking the answer.
    let call: Call = Box::new(move |shell| drop(reply.send(call(shell))));
    calls.send(call).ok()?;
    answer.recv().ok()
}

impl Drop for ClusterThread {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may be gone already, after a panic of its own.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What all nodes have together.
struct Shared {
    seed: u64,
    budget: Rc<RefCell<Budget>>,
    /// Locked for as long as the thread runs.
    folder: Option<DataFolder>,
}

impl Shared {
    fn new(seed: u64, memory_budget: u64, folder: Option<DataFolder>) -> Self {
        // A node that starts again must not draw what it drew before: it would be taken for the same incarnation.
        let starts = folder.as_ref().map_or(0, |folder| folder.starts() - 1);
        let seed = seed.wrapping_add(starts.wrapping_mul(LIVES_MAX));
        Self { seed, budget: Rc::new(RefCell::new(Budget::new(memory_budget))), folder }
    }

    /// Where a node keeps everything.
    fn store(&self, id: i32) -> Result<Box<dyn LogStore>, DataFolderError> {
        Ok(match &self.folder {
            Some(folder) => Box::new(folder.node(id)?),
            None => Box::new(SpillingStore::new(Rc::clone(&self.budget))),
        })
    }
}

async fn serve(
    setup: Setup,
    ready: &SyncSender<Result<(), StartError>>,
    called: UnboundedReceiver<Call>,
    stopped: oneshot::Receiver<()>,
) {
    let Setup { nodes, seed, memory_budget, folder } = setup;
    let shared = Shared::new(seed, memory_budget, folder);
    let begun = async {
        let shell = begin(nodes, &shared)?;
        settle(&shell).await.map(|()| shell)
    };
    let shell = match begun.await {
        Ok(shell) => shell,
        Err(error) => return drop(ready.send(Err(error))),
    };
    let _ = ready.send(Ok(()));
    tokio::select! {
        () = keep_time(&shell) => {}
        () = answer(&shell, called) => {}
        _ = stopped => {}
    }
}

/// Starts every node and opens every door.
fn begin(nodes: Vec<(NodeConfig, Option<TcpListener>)>, shared: &Shared) -> Result<Rc<Shell>, StartError> {
    let mut slots = Vec::new();
    for (config, listener) in nodes {
        let door = listener.map(Door::new).transpose().map_err(|source| StartError::Thread { source })?;
        let disk = Disk::new(shared.store(config.id.0)?);
        slots.push(Slot::new(config, door, disk, shared.seed));
    }
    let count = slots.len();
    let shell = Shell::new(slots, shared.seed);
    for slot in shell.slots.borrow_mut().iter_mut() {
        slot.start().map_err(|error| StartError::Disk { id: slot.id(), reason: error.to_string() })?;
    }
    for node in 0..count {
        shell.deliver(node, Input::Tick);
    }
    for (node, slot) in shell.slots.borrow_mut().iter_mut().enumerate() {
        if let Some(door) = &mut slot.door {
            door.accept(Rc::clone(&shell), node);
        }
    }
    Ok(shell)
}

/// Waits until every node knows all brokers to be alive: a client may ask any of them first. Those whose disks have failed
/// already nobody waits for.
async fn settle(shell: &Shell) -> Result<(), StartError> {
    let deadline = Instant::now() + READY_MAX;
    while let Some((node, missing)) = shell.unsettled() {
        let step = tokio::time::timeout_at(deadline, shell.step()).await;
        if step.is_err() || Instant::now() >= deadline {
            return Err(StartError::NotReady { node, missing, waited: READY_MAX });
        }
    }
    shell.stopped_by_disk().map_or(Ok(()), |(id, reason)| Err(StartError::Disk { id, reason }))
}

async fn keep_time(shell: &Shell) {
    loop {
        shell.step().await;
    }
}

async fn answer(shell: &Shell, mut called: UnboundedReceiver<Call>) {
    while let Some(call) = called.recv().await {
        call(shell);
    }
}
