//! Disks that fail: the calls, and what becomes of a node whose disk does.
//!
//! The measure is Kafka with one log directory. An error of the store reaches the client as `KAFKA_STORAGE_ERROR`; behind
//! the step in which it happened the node stops as if it were killed, for the last log directory has failed
//! (`LogManager.handleLogDirFailure`, `Exit.halt`), and with a combined node its controller stops, too. Other nodes take
//! over once its session has ended. It starts again when the disk is mended; started before that, it fails again.
//!
//! A slow sync is a sync in which the node stands still: nobody hears what it had to say, and whatever reaches it waits,
//! until the time is over. Kafka would keep only the thread that syncs. All nodes share a thread here, and no other node
//! waits. Partitions are synced as rarely as Kafka flushes; votes and the metadata log are synced always, which is where
//! a slow disk is felt.

use crate::faults::FaultError;
use crate::handle::Cluster;
use crate::roles::find;
use crate::shell::Shell;
use crate::slot::Slot;
use shakedown_broker::Event;
use shakedown_broker::log::store::LogName;
use shakedown_broker::types::PartitionId;
use std::time::Duration;

pub use crate::store::damage::Damage;
pub use crate::store::disk::DiskFault;

impl Cluster {
    /// Something goes wrong with a node's disk from now on, until [`Self::mend_disk`].
    ///
    /// # Errors
    /// When there is no such node.
    pub fn fail_disk(&self, id: i32, fault: DiskFault) -> Result<(), FaultError> {
        self.thread.ask(move |shell| shell.fail_disk(id, fault)).unwrap_or(Err(FaultError::Stopped))
    }

    /// The disk works again, and a node that it has stopped starts on it.
    ///
    /// # Errors
    /// When there is no such node, or it cannot start.
    pub fn mend_disk(&self, id: i32) -> Result<(), FaultError> {
        self.thread.ask(move |shell| shell.mend_disk(id)).unwrap_or(Err(FaultError::Stopped))
    }

    /// Damages what a node's disk has of a partition, for good. All but a flipped bit needs a node that is down, and some
    /// other that is up: only nodes know topics by their names.
    ///
    /// # Errors
    /// When there is no such node, when it is up and must not be, when there is no such thing on its disk, and when the
    /// disk itself fails.
    pub fn damage_disk(&self, id: i32, topic: &str, partition: i32, damage: Damage) -> Result<(), FaultError> {
        let topic = topic.to_owned();
        let done = self.thread.ask(move |shell| shell.damage_disk(id, &topic, partition, damage));
        done.unwrap_or(Err(FaultError::Stopped))
    }
}

impl Shell {
    pub(crate) fn fail_disk(&self, id: i32, fault: DiskFault) -> Result<(), FaultError> {
        let at = self.place(id)?;
        self.slots.borrow()[at].disk.fail(fault);
        Ok(())
    }

    pub(crate) fn mend_disk(&self, id: i32) -> Result<(), FaultError> {
        let at = self.place(id)?;
        self.slots.borrow()[at].disk.mend();
        let is_stopped = self.slots.borrow()[at].is_stopped_by_disk();
        if is_stopped { self.start(id) } else { Ok(()) }
    }

    fn damage_disk(&self, id: i32, topic: &str, partition: i32, damage: Damage) -> Result<(), FaultError> {
        self.place(id)?;
        if damage.needs_rest() && self.is_up(id) {
            return Err(FaultError::Up { id });
        }
        self.damage_log(id, (topic, partition), self.log_name(topic, partition), damage)
    }

    /// As [`Cluster::damage_disk`], on a node that may run: if it must not, it is killed before, and stays down. Where there
    /// is nothing to damage, it goes on as before.
    pub(crate) fn damage_under(&self, id: i32, place: (&str, i32), damage: Damage) -> Result<(), FaultError> {
        // Once the last node is down, nobody knows the topic by its name.
        let name = self.log_name(place.0, place.1);
        let killed = damage.needs_rest() && self.is_up(id);
        if killed {
            // Nobody dies for nothing, again and again where it is tried until there is something.
            if !self.would_find(id, name, damage) {
                return Err(FaultError::NothingThere { id, topic: place.0.to_owned(), partition: place.1 });
            }
            self.kill(id)?;
        }
        let damaged = self.damage_log(id, place, name, damage);
        if killed && damaged.is_err() {
            self.start(id)?;
        }
        damaged
    }

    /// Whether a node that runs has something there that could be damaged so, as far as can be told while it does: one that has
    /// just started may not have looked at its logs.
    fn would_find(&self, id: i32, name: Option<LogName>, damage: Damage) -> bool {
        let Some(name @ LogName::Partition(partition)) = name else { return false };
        let slots = self.slots.borrow();
        let Some(slot) = find(&slots, id).map(|at| &slots[at]) else { return false };
        match slot.node().and_then(|node| node.replica(partition)) {
            Some(replica) => damage.would_find(&(replica.log_start..replica.log_end)),
            None => slot.disk.has(name),
        }
    }

    /// What disks call a partition's log.
    fn log_name(&self, topic: &str, partition: i32) -> Option<LogName> {
        let topic = self.newest(|image| image.topics.get(topic.as_bytes()).map(|topic| topic.id))?;
        Some(LogName::Partition(PartitionId { topic, index: partition }))
    }

    fn damage_log(
        &self,
        id: i32,
        (topic, partition): (&str, i32),
        name: Option<LogName>,
        damage: Damage,
    ) -> Result<(), FaultError> {
        let at = self.place(id)?;
        let disk = self.slots.borrow()[at].disk.clone();
        match name.map_or(Ok(false), |name| disk.damage(name, damage)) {
            Ok(true) => Ok(()),
            Ok(false) => Err(FaultError::NothingThere { id, topic: topic.to_owned(), partition }),
            Err(error) => Err(FaultError::Disk { id, reason: error.to_string() }),
        }
    }

    /// A node that is down because its disk has failed, and how that was.
    pub(crate) fn stopped_by_disk(&self) -> Option<(i32, String)> {
        let slots = self.slots.borrow();
        let mut stopped = slots.iter().filter(|slot| slot.is_stopped_by_disk());
        stopped.find_map(|slot| Some((slot.id(), slot.disk.failure()?)))
    }

    /// Behind a step of a node: its disk may have failed, or kept it.
    pub(crate) fn look_at_disk(&self, slot: &mut Slot, at: usize) {
        if !slot.disk.wants_attention() {
            return;
        }
        let owed = slot.disk.take_owed();
        if slot.disk.failure().is_some() {
            self.disk_failed.set(true);
        } else if !owed.is_zero() {
            self.keep_in_sync(slot.begin_sync(), at, owed);
        }
    }

    /// Lets a node go on when its sync is over.
    fn keep_in_sync(&self, sync: u64, at: usize, owed: Duration) {
        let Some(shell) = self.shared() else { return };
        tokio::task::spawn_local(async move {
            tokio::time::sleep(owed).await;
            let inbox = shell.slots.borrow_mut()[at].end_sync(sync);
            if let Some(inbox) = inbox {
                shell.catch_up(at, inbox);
            }
        });
    }

    /// Stops the nodes whose disks have failed.
    pub(crate) fn look_at_disks(&self) {
        if !self.disk_failed.replace(false) {
            return;
        }
        let failed = |slot: &Slot| slot.node().and(slot.disk.failure()).map(|reason| (slot.id(), reason));
        let failed: Vec<(i32, String)> = self.slots.borrow().iter().filter_map(failed).collect();
        for (id, reason) in failed {
            if self.kill(id).is_ok() {
                if let Ok(at) = self.place(id) {
                    self.slots.borrow_mut()[at].blame_disk();
                }
                self.tell(id, Event::StorageFailed { reason });
            }
        }
    }
}
