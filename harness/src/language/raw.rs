//! The keys of scenario and system files, exactly as they may be written. The one source of parser and schema.
//! Those of faults are in [`super::raw_faults`], those of a load's arrivals in [`super::raw_arrivals`], of its keys and
//! payloads in [`super::raw_messages`], over HTTP in [`super::raw_http`], those of books and rules of conservation in
//! [`super::raw_books`].

use super::bounds::{RawCount, RawLag, RawLatency, RawStalled};
use super::document::Spanned;
use super::quantity::{Frequency, Span};
use super::raw_arrivals::RawArrivals;
use super::raw_books::{RawBook, RawConserved, RawTopicBook};
use super::raw_equipment::{RawBacklog, RawCache, RawFailpoint, RawStore};
use super::raw_faults::RawFault;
use super::raw_http::{BodyChoice, RawRetries};
use super::raw_messages::{DriverChoice, RawKeys, RawPayload, RawTransactions};
use super::raw_stand_ins::{RawStandIns, StandIn};
use super::reference::{HttpPath, Pointer, StreamReference, TargetReference};
use super::setting::{Named, Scalar, Setting, Whole, choices, settings, wrong_type};
use super::size::Size;
use super::{document::Content, document::Node, problem::Problems};
use serde_json::{Value as Json, json};
use shakedown_loadgen::http::IN_FLIGHT_MAX;
use shakedown_loadgen::part::PRODUCERS_MAX;

settings! {
    /// One scenario: a system, the load on it, the faults, and what must hold.
    pub struct RawScenario {
        /// What the scenario is about, in a few words; reports and run directories carry it.
        "name" => name: Option<Spanned<String>>,
        /// What it shows, and to whom it matters.
        "description" => description: Option<Spanned<String>>,
        /// The system under test: a file of this name under `systems/`, or a path that ends in `.toml`.
        "system" => system: Option<Spanned<String>>,
        /// Fixes workload, keys, amounts and faults. Default 1.
        "seed" => seed: Option<Spanned<Whole<0, 9_223_372_036_854_775_807>>>,
        /// Where services keep their data, if they do not say otherwise: `sqlite` or `postgres`.
        "store" => store: Option<Spanned<RawStore>>,
        /// Where services cache what they read, if they do not say otherwise. Default: nowhere.
        "cache" => cache: Option<Spanned<RawCache>>,
        /// The Kafka cluster.
        "cluster" => cluster: Option<Spanned<RawCluster>>,
        /// Topics by name; adds to those of the system, and overrides them key by key.
        "topics" => topics: Option<Spanned<Named<RawTopic>>>,
        /// Services by name; adds to those of the system, and overrides them key by key.
        "services" => services: Option<Spanned<Named<RawService>>>,
        /// The stand-ins that services call; overrides what the system says of them, key by key.
        "stand-ins" => stand_ins: Option<Spanned<RawStandIns>>,
        /// Hops that messages must survive, by name.
        "flows" => flows: Option<Spanned<Named<RawFlow>>>,
        /// Rules of conservation, by name.
        "conserved" => conserved: Option<Spanned<Named<RawConserved>>>,
        /// The load.
        "load" => load: Option<Spanned<RawLoad>>,
        /// Faults, in the order in which they are installed.
        "fault" => fault: Option<Spanned<Vec<Spanned<RawFault>>>>,
        /// What must hold. Absent keys are not checked.
        "expect" => expect: Option<Spanned<RawExpect>>,
        /// How long the phases of a run may take.
        "limits" => limits: Option<Spanned<RawLimits>>,
    }
}

settings! {
    /// One system: topics, services, and the rules that any scenario over it may use.
    pub struct RawSystem {
        /// What the system is.
        "description" => description: Option<Spanned<String>>,
        /// The Kafka cluster.
        "cluster" => cluster: Option<Spanned<RawCluster>>,
        /// Topics by name.
        "topics" => topics: Option<Spanned<Named<RawTopic>>>,
        /// Services by name, in the order in which they are started.
        "services" => services: Option<Spanned<Named<RawService>>>,
        /// The stand-ins that services call.
        "stand-ins" => stand_ins: Option<Spanned<RawStandIns>>,
        /// Hops that messages must survive, by name.
        "flows" => flows: Option<Spanned<Named<RawFlow>>>,
        /// Rules of conservation, by name.
        "conserved" => conserved: Option<Spanned<Named<RawConserved>>>,
    }
}

settings! {
    /// The Kafka cluster.
    pub struct RawCluster {
        /// What plays the cluster; the command line's `--backend` wins. Default `embedded`.
        "backend" => backend: Option<Spanned<BackendChoice>>,
        /// How many brokers. Default 3. From three on, topics that do not say otherwise have three replicas of which
        /// two must be in sync.
        "brokers" => brokers: Option<Spanned<Whole<1, 15>>>,
        /// How many dedicated controllers. Default 0: every broker is a controller, too.
        "controllers" => controllers: Option<Spanned<Whole<0, 7>>>,
        /// How much of the log is kept in memory, over all brokers; the rest goes to a temporary file. Default 256 MiB.
        "memory" => memory: Option<Spanned<Size>>,
        /// Kafka's broker configuration, such as `"group.initial.rebalance.delay.ms" = 0`.
        "config" => config: Option<Spanned<Named<Scalar>>>,
    }
}

choices! {
    /// What plays the cluster.
    pub enum BackendChoice {
        /// Shakedown's own brokers, in the harness's process.
        Embedded = "embedded",
        /// Apache Kafka itself, as JVM processes; `shakedown doctor` says what that needs.
        Apache = "apache",
    }
}

settings! {
    /// One topic.
    pub struct RawTopic {
        /// How many partitions. Default 1.
        "partitions" => partitions: Option<Spanned<Whole<1, 10_000>>>,
        /// How many replicas of each partition; no more than there are brokers. Default: the cluster's
        /// `default.replication.factor`.
        "replication_factor" => replication_factor: Option<Spanned<Whole<1, 15>>>,
        /// Kafka's topic configuration, such as `"retention.ms" = 60000`.
        "config" => config: Option<Spanned<Named<Scalar>>>,
        /// How to read identity, amount and intended time from its messages. Default: from the load generator's header.
        "message" => message: Option<Spanned<RawMessage>>,
        /// How to read its events for rules of conservation over books; an empty table is enough for those of the storefront.
        "book" => book: Option<Spanned<RawTopicBook>>,
    }
}

settings! {
    /// Where a JSON message carries what the checks compare; its key is the key of the Kafka record.
    pub struct RawMessage {
        /// Points at the business identity.
        "identity" => identity: Spanned<Pointer>,
        /// The amount in minor units: a pointer, or the sum over an array of a product of fields.
        "value" => value: Option<Spanned<RawValue>>,
        /// Points at the intended instant, in microseconds since the Unix epoch.
        "intended_us" => intended_us: Option<Spanned<Pointer>>,
    }
}

settings! {
    /// The sum, over the elements of an array, of the product of some of their fields.
    pub struct RawSum {
        /// Points at the array.
        "array" => array: Spanned<Pointer>,
        /// Points from an element at the factors.
        "product" => product: Spanned<Vec<Spanned<Pointer>>>,
    }
}

/// Where the amount of a message is.
#[derive(Debug, Clone)]
pub enum RawValue {
    /// In one field.
    Field(Pointer),
    /// Spread over an array.
    Sum(RawSum),
}

impl Setting for RawValue {
    fn schema() -> Json {
        json!({ "oneOf": [Pointer::schema(), RawSum::schema()] })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        match node.content {
            Content::Text(_) => Pointer::read(node, path, problems).map(Self::Field),
            Content::Table(_) => RawSum::read(node, path, problems).map(Self::Sum),
            _ => {
                let expected = "a pointer such as \"/total_cost\", or a table { array = \"/items\", product = [\"/quantity\", ...] }";
                wrong_type(node, path, expected, problems);
                None
            }
        }
    }
}

settings! {
    /// One service, started as a child process.
    pub struct RawService {
        /// The program and its arguments. Default: the built-in service of this name.
        "command" => command: Option<Spanned<Vec<Spanned<String>>>>,
        /// When it counts as ready. Default for built-in services: `{ http = "/ready" }`; for others with a group: `{ group = true }`.
        "ready" => ready: Option<Spanned<RawReady>>,
        /// How many processes of it. Default 1.
        "instances" => instances: Option<Spanned<Whole<1, 64>>>,
        /// Its consumer group, given to it as `GROUP_ID`.
        "group" => group: Option<Spanned<String>>,
        /// The topics it consumes; the run is drained when its group has committed all of them.
        "consumes" => consumes: Option<Spanned<Vec<Spanned<String>>>>,
        /// The topics it produces to.
        "produces" => produces: Option<Spanned<Vec<Spanned<String>>>>,
        /// Outside stand-ins it calls. The harness runs them, and gives it their addresses as `PAYMENT_PROVIDER_URL`,
        /// `WAREHOUSE_URL` and `MAILBOX_URL`.
        "calls" => calls: Option<Spanned<Vec<Spanned<StandIn>>>>,
        /// Environment variables.
        "env" => env: Option<Spanned<Named<Scalar>>>,
        /// Where its instances together keep their data, given to it as `DATABASE_URL`. Default: `sqlite` for built-in services
        /// that keep any; each instance of a service of yours has a file of its own.
        "store" => store: Option<Spanned<RawStore>>,
        /// Where it caches what it reads, given to it as `REDIS_URL`. Default: nowhere.
        "cache" => cache: Option<Spanned<RawCache>>,
        /// What it still has to do, beyond what its group has not read; the run is drained only when that is nothing.
        "backlog" => backlog: Option<Spanned<RawBacklog>>,
        /// Where its first instance stands still, given to that instance's first process as `FAILPOINT`.
        "failpoint" => failpoint: Option<Spanned<RawFailpoint>>,
        /// Its HTTP port under `--fixed-ports`; further instances take the ports behind it.
        "port" => port: Option<Spanned<Whole<1, 65_535>>>,
        /// Numbers that it states about itself.
        "figures" => figures: Option<Spanned<RawFigures>>,
        /// The list of what it did.
        "ledger" => ledger: Option<Spanned<RawLedger>>,
        /// Lists of what it did for each order, by name, for rules of conservation.
        "books" => books: Option<Spanned<Named<RawBook>>>,
    }
}

settings! {
    /// When a service counts as ready: one of these.
    pub struct RawReady {
        /// This path answers with a 2xx status.
        "http" => http: Option<Spanned<HttpPath>>,
        /// A line of its output contains this text.
        "log" => log: Option<Spanned<String>>,
        /// Its consumer group is stable and has a member for every instance.
        "group" => group: Option<Spanned<bool>>,
    }
}

settings! {
    /// Numbers that a service states about itself, read after the drain.
    pub struct RawFigures {
        /// Answers with a JSON object; every whole number in it becomes the figure `service.field`.
        "get" => get: Spanned<HttpPath>,
    }
}

settings! {
    /// The list of what a service did, asked for with `?after=POSITION&limit=N` and answered as lines of JSON.
    pub struct RawLedger {
        /// Answers with the entries behind a position, in order.
        "get" => get: Spanned<HttpPath>,
        /// Points at the business identity.
        "identity" => identity: Spanned<Pointer>,
        /// Points at the business key.
        "key" => key: Option<Spanned<Pointer>>,
        /// Points at the amount, in minor units.
        "value" => value: Option<Spanned<Pointer>>,
        /// Points at the position. Default `/position`.
        "position" => position: Option<Spanned<Pointer>>,
        /// Points at the instant of the entry, in microseconds since the Unix epoch. Default `/at_us`.
        "at_us" => at_us: Option<Spanned<Pointer>>,
        /// Points at the intended instant, in microseconds since the Unix epoch. Default: as at the flow's source.
        "intended_us" => intended_us: Option<Spanned<Pointer>>,
    }
}

settings! {
    /// A hop: every message at `from` has to arrive at `to`.
    pub struct RawFlow {
        /// `load` or `topic NAME`.
        "from" => from: Spanned<StreamReference>,
        /// `topic NAME` or `ledger NAME`.
        "to" => to: Spanned<StreamReference>,
    }
}

settings! {
    /// The load.
    pub struct RawLoad {
        /// `topic NAME`: the load generator produces; `POST SERVICE /PATH`: it asks that service for orders over HTTP, each
        /// with the planned id as its `Idempotency-Key`; `service NAME`: that service produces at the rate given here. Of
        /// several topics, `["topic a", "topic b"]`, each in turn gets the next message.
        "target" => target: Spanned<TargetReference>,
        /// When messages are due.
        "arrivals" => arrivals: Spanned<RawArrivals>,
        /// Whose messages they are.
        "keys" => keys: Option<Spanned<RawKeys>>,
        /// Raw bytes in place of orders, on a topic. Default: orders as JSON.
        "payload" => payload: Option<Spanned<RawPayload>>,
        /// Properties of the load generator's Kafka client, such as `"linger.ms" = 5`.
        "client" => client: Option<Spanned<Named<Scalar>>>,
        /// Which Kafka client offers the load on a topic. Default: librdkafka.
        "driver" => driver: Option<Spanned<DriverChoice>>,
        /// Messages go in transactions, and are acknowledged when those are committed. Default: each by itself.
        "transactions" => transactions: Option<Spanned<RawTransactions>>,
        /// How many Kafka clients offer the load, each the messages of users of its own. Default 1.
        "producers" => producers: Option<Spanned<Whole<1, { PRODUCERS_MAX as u64 }>>>,
        /// A cap on what is offered, whatever `arrivals` says; what it holds back is late, never left out. Default: none.
        "max_rate" => max_rate: Option<Spanned<Frequency>>,
        /// Over HTTP: in which words orders are asked for. Default: `fanout` at `/api/orders`, else `storefront`.
        "body" => body: Option<Spanned<BodyChoice>>,
        /// Over HTTP: how many requests may be without an answer; what is due beyond that waits, and is late. Default 256.
        "in_flight" => in_flight: Option<Spanned<Whole<1, { IN_FLIGHT_MAX as u64 }>>>,
        /// Over HTTP: how long an answer may take before it is taken for none. Default 2 s.
        "timeout" => timeout: Option<Spanned<Span>>,
        /// Over HTTP: what becomes of requests without a clear answer. Default: asked again for 10 s.
        "retries" => retries: Option<Spanned<RawRetries>>,
    }
}

settings! {
    /// What must hold. Absent keys are not checked.
    pub struct RawExpect {
        /// Exactly how many acknowledged messages may be missing, over all flows.
        "lost" => lost: Option<Spanned<Whole<0, 9_223_372_036_854_775_807>>>,
        /// How many surplus copies there may be, over all flows.
        "duplicated" => duplicated: Option<Spanned<RawCount>>,
        /// Which order must hold on every flow.
        "order" => order: Option<Spanned<OrderChoice>>,
        /// How many messages may arrive out of their key's order, over all flows. Instead of `order`, which means none.
        "reordered" => reordered: Option<Spanned<RawCount>>,
        /// Names of the conservation rules that must hold.
        "conserved" => conserved: Option<Spanned<Vec<Spanned<String>>>>,
        /// Latency budgets by the name of a flow: percentiles with their upper bounds, from the intended instant.
        "latency" => latency: Option<Spanned<Named<RawLatency>>>,
        /// For how long the load's target may be unavailable: acknowledgements are due, and at one partition none comes.
        "unavailable" => unavailable: Option<Spanned<RawUnavailable>>,
        /// How many messages groups may have passed by their commits without processing them, over all groups and all places
        /// where their work shows.
        "skipped" => skipped: Option<Spanned<RawCount>>,
        /// How many commits may lie beyond what the group had processed, or beyond the end of the log.
        "committed-too-far" => committed_too_far: Option<Spanned<RawCount>>,
        /// How often what groups have committed may go back. A reset by an administrator is none.
        "offset-regressed" => offset_regressed: Option<Spanned<RawCount>>,
        /// How many offsets may have two values: every topic is read once more at the end, from its beginning.
        "inconsistent-offset" => inconsistent_offset: Option<Spanned<RawCount>>,
        /// For how long a partition may stand still though nothing is broken: a group that has something to read commits
        /// nothing, or the last stable offset below the end of the log does not move.
        "stalled" => stalled: Option<Spanned<RawStalled>>,
        /// How far groups may be behind while the load lasts, and how long after it.
        "lag" => lag: Option<Spanned<RawLag>>,
        /// How many messages of the load may come back without an acknowledgement. They may be gone, and count as lost nowhere:
        /// nobody promised anything about them.
        "unacknowledged" => unacknowledged: Option<Spanned<RawCount>>,
    }
}

settings! {
    /// For how long the load's target may be unavailable.
    pub struct RawUnavailable {
        /// The longest gap: from when an acknowledgement was due, or the last one came, until the next.
        "at_most" => at_most: Spanned<Span>,
    }
}

choices! {
    /// Which order must hold.
    pub enum OrderChoice {
        /// The messages of each key arrive in the order of their source.
        PerKey = "per-key",
    }
}

settings! {
    /// How long the phases of a run may take.
    pub struct RawLimits {
        /// Until every service is ready. Default 30 s.
        "start" => start: Option<Spanned<Span>>,
        /// From the end of the load until everything has arrived. Default 60 s.
        "drain" => drain: Option<Spanned<Span>>,
        /// For a service to stop after SIGTERM. Default 10 s.
        "stop" => stop: Option<Spanned<Span>>,
    }
}
