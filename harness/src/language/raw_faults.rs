//! The keys of `[[fault]]`, exactly as they may be written.

use super::document::Spanned;
use super::protocol::{ApiName, ErrorName};
use super::quantity::{Factor, Span};
use super::raw_equipment::RawAtFailpoint;
use super::raw_interventions::{
    RawClash, RawConsumed, RawDamage, RawExpel, RawMoveCoordinator, RawMoveLeader, RawPartition, RawReassign, RawState,
    RawStorm,
};
use super::raw_operations::{RawAddPartitions, RawDeleteRecords, RawPoison};
use super::raw_stand_ins::StandIn;
use super::reference::RoleReference;
use super::setting::{Whole, choices, settings};
use super::size::Size;

settings! {
    /// One fault: when it strikes, what it does, and when it ends.
    pub struct RawFault {
        /// What other faults call it in their `then`.
        "name" => name: Option<Spanned<String>>,
        /// When it strikes, counted from the first message of the load. Beside `when`: the latest instant, should that
        /// not have happened by then.
        "at" => at: Option<Spanned<Span>>,
        /// What it waits for.
        "when" => when: Option<Spanned<RawWhen>>,
        /// What it does, and to whom.
        "do" => action: Spanned<RawAction>,
        /// When it ends: what was killed starts again, what was paused goes on, what was cut off is heard again.
        /// Default, and at the latest: at the end of the load.
        "heal" => heal: Option<Spanned<RawHeal>>,
    }
}

settings! {
    /// What a fault waits for: one of `produced`, `consumed`, `request`, `state`, `failpoint` and `then`.
    pub struct RawWhen {
        /// So many messages have been produced. A fault on brokers strikes in that very step: before the next message.
        "produced" => produced: Option<Spanned<RawProduced>>,
        /// A client asks for something. A fault on brokers strikes before the request is served.
        "request" => request: Option<Spanned<RawRequest>>,
        /// The fault of this name, further up in the file, has struck.
        "then" => then: Option<Spanned<String>>,
        /// How long after that. Default: at once.
        "after" => after: Option<Spanned<Span>>,
        /// A group has committed so many messages. A fault on brokers strikes in that very step: before the next commit.
        "consumed" => consumed: Option<Spanned<RawConsumed>>,
        /// The cluster has come to this: replicas fell out of sync, a group rebalances. A fault on brokers strikes in that very
        /// step.
        "state" => state: Option<Spanned<RawState>>,
        /// An instance of a service stands still at its failpoint.
        "failpoint" => failpoint: Option<Spanned<RawAtFailpoint>>,
    }
}

settings! {
    /// So many messages of a topic, over all its partitions, as its leaders count them.
    pub struct RawProduced {
        /// The topic.
        "topic" => topic: Spanned<String>,
        /// How many.
        "nth" => nth: Spanned<Whole<1, 9_223_372_036_854_775_807>>,
        /// Only messages with this key, such as `user-17`. Default: all.
        "key" => key: Option<Spanned<String>>,
    }
}

settings! {
    /// The n-th request that fits all of this, counted over all brokers from the beginning of the load.
    pub struct RawRequest {
        /// Kafka's name of the API: `Produce`, `Fetch`, `OffsetCommit`. Default: all.
        "api" => api: Option<Spanned<ApiName>>,
        /// The `client.id`; a `*` at its end stands for any end. Default: all.
        "client" => client: Option<Spanned<String>>,
        /// A topic that it is about. Default: any or none.
        "topic" => topic: Option<Spanned<String>>,
        /// A partition of the topic.
        "partition" => partition: Option<Spanned<Whole<0, 2_147_483_647>>>,
        /// A consumer group that it is about. Default: any or none.
        "group" => group: Option<Spanned<String>>,
        /// The broker that is asked. Default: all.
        "broker" => broker: Option<Spanned<Whole<1, 2_147_483_647>>>,
        /// Which of them.
        "nth" => nth: Spanned<Whole<1, 9_223_372_036_854_775_807>>,
    }
}

settings! {
    /// What a fault does: one of these. Roles of brokers are looked up when it strikes.
    pub struct RawAction {
        /// `kill -9`.
        "kill" => kill: Option<Spanned<RoleReference>>,
        /// Kills a broker, and takes from its disk what it had not synced.
        "power-loss" => power_loss: Option<Spanned<RoleReference>>,
        /// Stops it in its tracks (SIGSTOP) until it heals.
        "pause" => pause: Option<Spanned<RoleReference>>,
        /// Cuts a broker off from all other nodes, while clients still reach it.
        "isolate" => isolate: Option<Spanned<RoleReference>>,
        /// A broker's disk takes nothing more. It stops, as Kafka does without a log directory, until it heals.
        "disk-full" => disk_full: Option<Spanned<RoleReference>>,
        /// A broker's disk fails to write. It stops.
        "write-errors" => write_errors: Option<Spanned<RoleReference>>,
        /// A broker's disk fails to read. It stops.
        "read-errors" => read_errors: Option<Spanned<RoleReference>>,
        /// A broker's disk is slow to sync.
        "slow-sync" => slow_sync: Option<Spanned<RawSlowSync>>,
        /// Stops it and starts it again: a service by SIGTERM, a broker by `kill -9`.
        "restart" => restart: Option<Spanned<RoleReference>>,
        /// Asks a service to end by SIGTERM. It finishes what it has begun, and starts again when the fault heals.
        "stop" => stop: Option<Spanned<RoleReference>>,
        /// Gives a service `to` instances: starts more, or asks those with the highest numbers to end by SIGTERM. It stays so
        /// unless the fault heals.
        "scale" => scale: Option<Spanned<RoleReference>>,
        /// With `scale`: how many instances there are then.
        "to" => to: Option<Spanned<Whole<1, 64>>>,
        /// Links between nodes are cut. Clients still reach both ends.
        "cut" => cut: Option<Spanned<RawLinks>>,
        /// Links between nodes are slow, and stay in order.
        "delay" => delay: Option<Spanned<RawLinks>>,
        /// Something happens to connections of clients.
        "clients" => clients: Option<Spanned<RawClients>>,
        /// A node's wall clock is wrong.
        "clock" => clock: Option<Spanned<RawClock>>,
        /// Every node's wall clock moves on by so much, and stays there: what has become too old is deleted or forgotten.
        "advance-clock" => advance_clock: Option<Spanned<Span>>,
        /// An operator deletes records, for good.
        "delete-records" => delete_records: Option<Spanned<RawDeleteRecords>>,
        /// An operator gives a topic more partitions, for good.
        "add-partitions" => add_partitions: Option<Spanned<RawAddPartitions>>,
        /// Somebody produces a message that nobody can read.
        "poison" => poison: Option<Spanned<RawPoison>>,
        /// Something happens to requests of clients: from when it strikes until it heals. Without `at` and `when` it is there
        /// before the first message of the load.
        "requests" => requests: Option<Spanned<RawRequests>>,
        /// What a broker's disk has of a partition is damaged, for good.
        "damage" => damage: Option<Spanned<RawDamage>>,
        /// Brokers die and start again one after another, each when the one before has caught up: `all`, or as many as are
        /// drawn.
        "rolling-restart" => rolling_restart: Option<Spanned<RoleReference>>,
        /// Another replica in sync leads a partition, and is its preferred leader from then on.
        "move-leader" => move_leader: Option<Spanned<RawMoveLeader>>,
        /// A partition moves to other brokers. It has struck when that begins.
        "reassign" => reassign: Option<Spanned<RawReassign>>,
        /// A replica that is not in sync leads a partition, as soon as that has no leader.
        "elect-unclean" => elect_unclean: Option<Spanned<RawPartition>>,
        /// Another broker coordinates a group.
        "move-coordinator" => move_coordinator: Option<Spanned<RawMoveCoordinator>>,
        /// Members are taken out of a group and not told, as if they had exceeded `max.poll.interval.ms`: they go on with what
        /// they have in hand while others get their partitions.
        "expel" => expel: Option<Spanned<RawExpel>>,
        /// A second member joins under the `group.instance.id` of a static one, which is fenced.
        "clash" => clash: Option<Spanned<RawClash>>,
        /// A stand-in joins a group and leaves it again and again, until the fault heals.
        "rebalance-storm" => rebalance_storm: Option<Spanned<RawStorm>>,
        /// Nobody listens where a stand-in was, and its connections are closed.
        "down" => down: Option<Spanned<StandIn>>,
        /// A stand-in's answers are late, `by` so much. The effect is there at once.
        "slow" => slow: Option<Spanned<StandIn>>,
        /// A stand-in answers 503 and does nothing.
        "fail" => fail: Option<Spanned<StandIn>>,
        /// A stand-in does what it is asked for and answers 500. Asked again with the same key it says what it did.
        "fail_after_effect" => fail_after_effect: Option<Spanned<StandIn>>,
        /// With `slow`: how late.
        "by" => by: Option<Spanned<Span>>,
        /// With `fail` and `fail_after_effect`: how many requests in a thousand, drawn from the seed by whose they are:
        /// whoever is hit is hit however often he asks. Default: all.
        "permille" => permille: Option<Spanned<Whole<1, 1000>>>,
    }
}

settings! {
    /// Whose syncs take longer, and by how much. The broker stands still meanwhile, and no other does.
    pub struct RawSlowSync {
        /// Whose.
        "of" => of: Spanned<RoleReference>,
        /// By how much.
        "by" => by: Spanned<Span>,
    }
}

settings! {
    /// Links between nodes, named in exactly one way.
    pub struct RawLinks {
        /// What this one says, with `to`.
        "from" => from: Option<Spanned<RoleReference>>,
        /// And this one hears.
        "to" => to: Option<Spanned<RoleReference>>,
        /// Both ways between two.
        "between" => between: Option<Spanned<Vec<Spanned<RoleReference>>>>,
        /// All links of one.
        "around" => around: Option<Spanned<RoleReference>>,
        /// All links but those within a group. Nodes that are named in no group are one more group.
        "groups" => groups: Option<Spanned<Vec<Spanned<Vec<Spanned<RoleReference>>>>>>,
        /// The links between two halves of the cluster, which both hear this one.
        "bridge" => bridge: Option<Spanned<RoleReference>>,
        /// All links but those of neighbours, where the nodes stand in a ring.
        "ring" => ring: Option<Spanned<bool>>,
        /// With `delay`: how late everything is.
        "by" => by: Option<Spanned<Span>>,
        /// With `delay`: how much later still, at most, drawn from the seed. Default: nothing.
        "jitter" => jitter: Option<Spanned<Span>>,
    }
}

settings! {
    /// What happens to connections between clients and brokers: exactly one of `cut`, `half-open`, `delay`, `bandwidth`,
    /// `reset-after` and `slow-close`.
    pub struct RawClients {
        /// At this broker. Default: at all.
        "of" => of: Option<Spanned<RoleReference>>,
        /// Of the client with this `client.id`. Default: of all.
        "client" => client: Option<Spanned<String>>,
        /// Nothing arrives any more, either way, until it heals.
        "cut" => cut: Option<Spanned<bool>>,
        /// The broker forgets the connections that are open, and nobody tells the clients.
        "half-open" => half_open: Option<Spanned<bool>>,
        /// Answers are so late.
        "delay" => delay: Option<Spanned<Span>>,
        /// With `delay`: how much later still, at most, drawn from the seed. Default: nothing.
        "jitter" => jitter: Option<Spanned<Span>>,
        /// Each connection carries so much a second, each way: `64KiB`.
        "bandwidth" => bandwidth: Option<Spanned<Size>>,
        /// The connection is reset after so many bytes of its next answer.
        "reset-after" => reset_after: Option<Spanned<Whole<0, 104_857_600>>>,
        /// A connection that ends is closed so much later.
        "slow-close" => slow_close: Option<Spanned<Span>>,
        /// How often at most. Default: until it heals.
        "times" => times: Option<Spanned<Whole<1, 9_223_372_036_854_775_807>>>,
    }
}

settings! {
    /// What is wrong with a node's wall clock: exactly one of `ahead`, `behind`, `jump-ahead`, `jump-behind` and `rate`.
    pub struct RawClock {
        /// Whose.
        "of" => of: Spanned<RoleReference>,
        /// It is so much fast.
        "ahead" => ahead: Option<Spanned<Span>>,
        /// It is so much slow.
        "behind" => behind: Option<Spanned<Span>>,
        /// It jumps into the future, from wherever it is.
        "jump-ahead" => jump_ahead: Option<Spanned<Span>>,
        /// It jumps into the past, from wherever it is.
        "jump-behind" => jump_behind: Option<Spanned<Span>>,
        /// It runs at this factor: 2 is twice as fast.
        "rate" => rate: Option<Spanned<Factor>>,
    }
}

choices! {
    /// What a client is left with instead of a reply.
    pub enum DropChoice {
        /// Its connection closes.
        Connection = "connection",
        /// Nothing, on a connection that stays open and silent.
        Reply = "reply",
    }
}

choices! {
    /// What is held back.
    pub enum HoldChoice {
        /// The request: nobody sees it until then.
        Request = "request",
        /// The reply: the request is carried out.
        Reply = "reply",
    }
}

settings! {
    /// What happens to which requests: those that fit all of the first keys, and exactly one of `error`, `drop`, `hold`,
    /// `duplicate`, `throttle` and `work`. Of several faults that fit a request, the first in the file hits it.
    pub struct RawRequests {
        /// Kafka's name of the API: `Produce`, `Fetch`, `OffsetCommit`. Default: all.
        "api" => api: Option<Spanned<ApiName>>,
        /// The `client.id`; a `*` at its end stands for any end. Default: all.
        "client" => client: Option<Spanned<String>>,
        /// A topic that they are about. Default: any or none.
        "topic" => topic: Option<Spanned<String>>,
        /// A partition of the topic.
        "partition" => partition: Option<Spanned<Whole<0, 2_147_483_647>>>,
        /// A consumer group that they are about. Default: any or none.
        "group" => group: Option<Spanned<String>>,
        /// The broker that is asked. Default: all.
        "broker" => broker: Option<Spanned<Whole<1, 2_147_483_647>>>,
        /// Only this one of them, from 1, counted over all brokers; with `times`, the first that is hit. Default: each.
        "nth" => nth: Option<Spanned<Whole<1, 9_223_372_036_854_775_807>>>,
        /// How many are hit, one after another. Default: one with `nth`, else all.
        "times" => times: Option<Spanned<Whole<1, 9_223_372_036_854_775_807>>>,
        /// Kafka's name of the error that the client gets: `NOT_ENOUGH_REPLICAS`.
        "error" => error: Option<Spanned<ErrorName>>,
        /// There is no reply.
        "drop" => drop: Option<Spanned<DropChoice>>,
        /// Something waits until the fault heals, or `for` so long.
        "hold" => hold: Option<Spanned<HoldChoice>>,
        /// It is carried out twice.
        "duplicate" => duplicate: Option<Spanned<bool>>,
        /// The client is told to wait so long, and made to (KIP-219).
        "throttle" => throttle: Option<Spanned<Span>>,
        /// It costs the broker so much work, such as "50us"; the embedded brokers share a thread, and none of them does
        /// anything else meanwhile. A second at most.
        "work" => work: Option<Spanned<Span>>,
        /// Whether the request is carried out all the same. Default: not with `error`, but with `drop`.
        "applied" => applied: Option<Spanned<bool>>,
        /// How long `hold` lasts.
        "for" => lasts: Option<Spanned<Span>>,
    }
}

settings! {
    /// When a fault ends.
    pub struct RawHeal {
        /// So long after it began; with `then`, after that.
        "after" => after: Option<Spanned<Span>>,
        /// Once the fault of this name has struck.
        "then" => then: Option<Spanned<String>>,
    }
}
