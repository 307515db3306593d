//! Snapshots of the metadata log (KIP-630): when one is made, who gets one, and the jump of a node that does.
//!
//! - A node makes a snapshot of what it has replayed, and that is committed: what is in it nobody takes back. It is synced
//!   before the log's beginning goes, so that a loss of power leaves the one or the other.
//! - A fetch that the leader's log cannot answer gets the leader's snapshot (`SnapshotId::is_needed`).
//! - A node that gets one puts it in the place of its log and of its image. It has not seen what lies in between: what
//!   records would have had it do one by one it does by the difference between the images.

use crate::group;
use crate::log::store::Slot;
use crate::metadata::image::Image;
use crate::metadata::record::{ConfigResource, PartitionState};
use crate::metadata::snapshot::Snapshot;
use crate::node::Node;
use crate::peer::MetadataFetch;
use crate::types::{Now, Offset, PartitionId};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

impl Node {
    /// Makes a snapshot once enough was replayed since the last one. Where the disk refuses, the log stays and the next
    /// record tries again.
    pub(crate) fn take_snapshot_if_due(&mut self, now: Now) {
        if self.quorum.bytes_replayed < self.config.snapshot_record_bytes_max {
            return;
        }
        let end = self.image.end;
        let Some(epoch) = self.quorum.log.epochs().at(Offset(end.0 - 1)) else { return };
        let snapshot = Snapshot::of(&self.image, epoch, now.wall_ms);
        if self.store.save(Slot::MetadataSnapshot, snapshot.to_bytes()).is_err() {
            return;
        }
        self.quorum.log.begin_behind(&mut *self.store, snapshot.id);
        self.quorum.snapshot = Some(snapshot);
        self.quorum.bytes_replayed = 0;
    }

    /// On the leader: its snapshot, where the fetching node needs it.
    pub(crate) fn snapshot_for(&self, fetch: MetadataFetch) -> Option<Snapshot> {
        let snapshot = self.quorum.snapshot.as_ref();
        snapshot.filter(|snapshot| snapshot.id.is_needed(fetch.offset, fetch.last_epoch)).cloned()
    }

    /// Takes the leader's snapshot for this node's log and image. `false` where it is none, or the disk refuses: the fetch
    /// time-out asks again. What was voted stays, since the snapshot tells nothing of that.
    pub(crate) fn load_snapshot(&mut self, now: Now, snapshot: &Snapshot) -> bool {
        // What this node has replayed is committed, so a leader's snapshot cannot be older; if one is it is not taken.
        let Some(image) = snapshot.image().ok().filter(|image| image.end > self.image.end) else { return false };
        if self.store.save(Slot::MetadataSnapshot, snapshot.to_bytes()).is_err()
            || self.quorum.log.restart_behind(&mut *self.store, snapshot.id).is_err()
        {
            return false;
        }
        self.quorum.snapshot = Some(snapshot.clone());
        self.quorum.bytes_replayed = 0;
        self.jump(now, image);
        true
    }

    /// The cluster is another at once. A broker that is not published yet does not act on metadata at all.
    fn jump(&mut self, now: Now, image: Image) {
        let before = std::mem::replace(&mut self.image, image);
        if !self.lifecycle.published {
            return;
        }
        let gone: Vec<(Uuid, StrBytes)> =
            before.names.into_iter().filter(|(id, _)| !self.image.names.contains_key(id)).collect();
        gone.iter().for_each(|(id, _)| self.remove_partitions(now, *id));
        // Before this node begins to coordinate other groups, whose topics may have the same names.
        gone.iter().for_each(|(_, name)| group::offsets::topic_deleted(self, now, name));
        // A replica knows the partition epoch that it is at: a state that has not changed changes nothing.
        let concerns = |id: &PartitionId, state: &PartitionState| {
            state.replicas.contains(&self.config.id) || self.partitions.contains_key(id)
        };
        let states = self.image.partitions().filter(|(id, state)| concerns(id, state));
        let states: Vec<(PartitionId, PartitionState)> = states.map(|(id, state)| (id, state.clone())).collect();
        states.iter().for_each(|(id, state)| self.assume(now, *id, state));
        let names: Vec<StrBytes> = self.image.topics.keys().cloned().collect();
        for name in names {
            let resource = ConfigResource::Topic(name);
            if before.configs.get(&resource) != self.image.configs.get(&resource) {
                let ConfigResource::Topic(name) = &resource;
                self.take_topic_settings(name);
            }
        }
        // Somebody may be unfenced.
        self.reconsider_isrs();
    }
}
