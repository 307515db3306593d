//! The nemesis over a service of somebody and one broker, without any load.

mod failing;

use super::super::conductor;
use super::super::error::RunError;
use super::super::fleet::{Fleet, LaunchSite, Strike as Met, make_stores};
use super::super::options::RunOptions;
use super::super::recovery;
use super::super::session::Session;
use super::super::stand_ins::StandIns;
use super::{Nemesis, brokers};
use crate::backend::{Backend as _, ClusterPlan, Embedded, External, RunningCluster};
use crate::plan::Plan;
use crate::runner::Runner;
use crate::scenario::model::Condition;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rustix::process::Signal;
use shakedown_reports::{Event, EventKind, RunRecord};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine before a test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

const SCENARIO: &str = r#"
name = "a service of somebody"
seed = 1

[cluster]
brokers = 1

[topics.orders]

[services.mine]
command = ["sh", "-c", "SCRIPT"]
ready = { log = "up and running" }

[flows.end-to-end]
from = "load"
to = "topic orders"

[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "200/s", for = "30s" }

FAULTS

[limits]
start = "300ms"

[expect]
lost = 0
"#;

/// It is ready as soon as it runs.
const SOUND: &str = "echo up and running; exec sleep 600";

/// The file that is `$0` to scripts.
const MARK: &str = "was-here";

fn one_broker() -> ClusterPlan {
    ClusterPlan { brokers: 1, controllers: 0, memory: None, config: BTreeMap::new(), base_port: None, seed: 1 }
}

/// A run up to where its load would begin.
struct Stage {
    session: Session,
    fleet: Fleet,
    cluster: Box<dyn RunningCluster>,
    folder: tempfile::TempDir,
}

impl Stage {
    /// With this script as the service, whose `$0` is a file that is not there yet, and with these faults.
    fn new(script: &str, faults: &str, change: impl FnOnce(&mut Plan)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("mine.toml");
        std::fs::write(&file, SCENARIO.replace("FAULTS", faults)).expect("a scenario file");
        let mark = folder.path().join(MARK).display().to_string();
        let runner = Runner::new(&file).command("mine", ["sh", "-c", script, &mark]);
        let mut plan = runner.plan().unwrap_or_else(|error| panic!("{error}"));
        change(&mut plan);
        let options = RunOptions { output: folder.path().to_owned(), ..RunOptions::default() };
        let session = conductor::session(plan, &Embedded, options).expect("a session");
        let cluster = Embedded.boot(&one_broker()).expect("a cluster");
        let stores = make_stores(&session.stores()).expect("a folder");
        let site = LaunchSite {
            directory: session.directory.path(),
            stores: &stores,
            bootstrap: "",
            executable: None,
            fixed_ports: false,
            extra: BTreeMap::new(),
        };
        let fleet = Fleet::new(&session.plan.scenario.services, &site, session.journal.clone()).expect("a fleet");
        let stage = Self { session, fleet, cluster, folder };
        stage.fleet.instances()[0].start(&stage.fleet.reaper).expect("it starts");
        wait_for("the service does not begin", || stage.fleet.instances()[0].log.awaited_seen());
        stage
    }

    /// Faults strike while this plays.
    fn play<T>(&self, act: impl FnOnce(Nemesis<'_>) -> T) -> T {
        self.play_on(&*self.cluster, act)
    }

    /// As [`Stage::play`], with this as the back end.
    fn play_on<T>(&self, cluster: &dyn RunningCluster, act: impl FnOnce(Nemesis<'_>) -> T) -> T {
        let (recoveries, starter) = recovery::pair();
        let stand_ins = StandIns::open(&self.session).expect("stand-ins");
        let bootstrap = self.cluster.bootstrap_servers();
        std::thread::scope(|scope| {
            scope.spawn(|| starter.work(&self.session, &self.fleet, &bootstrap));
            let nemesis = Nemesis::new(&self.session, &self.fleet, cluster, &stand_ins, recoveries);
            let mut nemesis = nemesis.expect("faults are laid");
            nemesis.begin();
            act(nemesis)
        })
    }

    /// What is `$0` to its script.
    fn mark(&self) -> PathBuf {
        self.folder.path().join(MARK)
    }

    fn is_running(&self) -> bool {
        self.fleet.instances()[0].signal(Signal::CONT) == Met::Hit
    }

    /// What the timeline has of faults and services, in its order.
    fn told(&self) -> Vec<String> {
        let record = RunRecord::open(self.session.directory.path()).expect("a record");
        let tells = |event: &Event| matches!(event.kind, EventKind::Fault { .. } | EventKind::Service { .. });
        record.events().expect("a timeline").into_iter().filter(tells).map(|event| event.text).collect()
    }
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

/// Goes on until this holds.
fn advance_until(nemesis: &mut Nemesis<'_>, what: &str, mut holds: impl FnMut(&Nemesis<'_>) -> bool) {
    wait_for(what, || {
        nemesis.advance().unwrap_or_else(|error| panic!("{error}"));
        holds(nemesis)
    });
}

#[test]
fn a_service_that_is_restarted_comes_back_at_once() {
    let stage = Stage::new(SOUND, "[[fault]]\nat = \"0s\"\ndo = { restart = \"service(mine)\" }", |_| {});
    let fired = stage.play(|mut nemesis| {
        advance_until(&mut nemesis, "it does not come back", |nemesis| {
            nemesis.pending.is_empty() && nemesis.open.is_empty() && nemesis.recoveries.is_empty()
        });
        nemesis.fired()
    });
    assert!(stage.is_running());
    assert_eq!(fired, BTreeMap::from([("restart service(mine) at 0ns".to_owned(), 1)]));
    assert_eq!(stage.told(), ["restart: mine", "mine is ready", "healed: mine"]);
}

#[test]
fn a_broker_that_is_restarted_is_no_trouble_any_more() {
    let stage = Stage::new(SOUND, "[[fault]]\nat = \"0s\"\ndo = { restart = \"broker(1)\" }", |_| {});
    stage.play(|mut nemesis| {
        advance_until(&mut nemesis, "it stays a trouble", |nemesis| {
            nemesis.pending.is_empty() && nemesis.open.is_empty()
        });
    });
    assert_eq!(stage.told(), ["restart broker(1): broker 1", "healed: broker 1"]);
}

/// Its first life is ready at once, and no other ever is.
const NEVER_BACK: &str = "[ -e \"$0\" ] && exec sleep 600; touch \"$0\"; echo up and running; exec sleep 600";

#[test]
fn what_else_is_broken_heals_while_a_service_starts_and_only_then_its_time_runs() {
    let faults = "[[fault]]\nat = \"0s\"\ndo = { kill = \"service(mine)\" }\nheal = { after = \"0s\" }\n\n\
                  [[fault]]\nat = \"0s\"\ndo = { pause = \"broker(1)\" }\nheal = { after = \"1s\" }";
    let stage = Stage::new(NEVER_BACK, faults, |_| {});
    stage.play(|mut nemesis| {
        advance_until(&mut nemesis, "nothing strikes", |nemesis| nemesis.pending.is_empty());
        let struck = Instant::now();
        // It has 300 ms to become ready, and does not: but with a broker that stands still that is nobody's fault.
        // Its time begins within the step that heals the broker, so before that step is the instant to compare with.
        let mut healed = Instant::now();
        advance_until(&mut nemesis, "the broker stands still", |nemesis| {
            let over = nemesis.open.is_empty();
            healed = if over { healed } else { Instant::now() };
            over
        });
        assert!(struck.elapsed() < PATIENCE / 2, "the service was waited for");
        let error = loop {
            match nemesis.advance() {
                Err(error) => break error,
                Ok(()) => assert!(healed.elapsed() < PATIENCE, "it may take as long as it likes"),
            }
            std::thread::yield_now();
        };
        assert!(healed.elapsed() >= Duration::from_millis(290), "it had no time: {:?}", healed.elapsed());
        assert!(matches!(&error, RunError::NotRecovered { who, .. } if who == "service mine"), "{error}");
    });
    assert_eq!(stage.told(), ["kill: mine", "pause broker(1): broker 1", "healed: broker 1"]);
}

#[test]
fn a_service_may_be_hit_again_before_it_is_ready() {
    // Only its third life is ready.
    let script = "[ -e \"$0\" ] || { touch \"$0\"; echo up and running; exec sleep 600; }\n\
                  [ -e \"$0.2\" ] || { touch \"$0.2\"; exec sleep 600; }\n\
                  echo up and running; exec sleep 600";
    let faults = "[[fault]]\nname = \"first\"\nat = \"0s\"\ndo = { kill = \"service(mine)\" }\nheal = { after = \"0s\" }\n\n\
                  [[fault]]\nwhen = { then = \"first\", after = \"100ms\" }\ndo = { kill = \"service(mine)\" }\nheal = { after = \"0s\" }";
    let patient = |plan: &mut Plan| plan.scenario.limits.start = PATIENCE;
    let stage = Stage::new(script, faults, patient);
    stage.play(|mut nemesis| {
        advance_until(&mut nemesis, "it does not come back", |nemesis| {
            nemesis.pending.is_empty() && nemesis.open.is_empty() && nemesis.recoveries.is_empty()
        });
    });
    let told = stage.told();
    let again = "healed: mine, until it was hit again";
    assert_eq!(told, ["kill: mine", again, "kill: mine", "mine is ready", "healed: mine"]);
}

#[test]
fn what_a_service_needs_heals_before_it_at_the_end_of_the_load() {
    let faults = "[[fault]]\nat = \"0s\"\ndo = { kill = \"service(mine)\" }\n\n\
                  [[fault]]\nat = \"0s\"\ndo = { pause = \"broker(1)\" }\n\n\
                  [[fault]]\nat = \"0s\"\ndo = { clients = { cut = true } }";
    let stage = Stage::new(SOUND, faults, |_| {});
    stage.play(|mut nemesis| {
        advance_until(&mut nemesis, "nothing strikes", |nemesis| nemesis.pending.is_empty());
        nemesis.heal_all().unwrap_or_else(|error| panic!("{error}"));
    });
    assert!(stage.is_running());
    let healed = ["healed: clients: cut; 0 hit", "healed: broker 1", "mine is ready", "healed: mine"];
    assert_eq!(stage.told()[3..], healed);
}

#[test]
fn what_heals_before_its_time_because_the_load_ended_is_told() {
    let faults = "[[fault]]\nname = \"pause\"\nat = \"0s\"\ndo = { pause = \"broker(1)\" }\nheal = { after = \"1h\" }\n\n\
                  [[fault]]\nat = \"0s\"\ndo = { clients = { cut = true } }\nheal = { then = \"never\" }\n\n\
                  [[fault]]\nname = \"never\"\nat = \"20s\"\ndo = { kill = \"service(mine)\" }\n\n\
                  [[fault]]\nat = \"0s\"\ndo = { clock = { of = \"broker(1)\", ahead = \"1h\" } }";
    let stage = Stage::new(SOUND, faults, |_| {});
    stage.play(|mut nemesis| {
        advance_until(&mut nemesis, "nothing strikes", |nemesis| nemesis.pending.len() == 1);
        nemesis.heal_all().unwrap_or_else(|error| panic!("{error}"));
    });
    let told = stage.told();
    let [waits, _, _, early, healed] = &told[3..] else { panic!("another story: {told:?}") };
    assert!(
        waits.starts_with("the load ended, so this heals before what it waits for: clients")
            && healed == "healed: broker 1",
        "{told:?}"
    );
    let expected = "s early: pause broker(1) at 0ns";
    assert!(early.starts_with("the load ended, so this heals 3,") && early.ends_with(expected), "{told:?}");
}

/// No message at all is there at once: the back end strikes as soon as it is asked to, and somebody plays the role.
fn at_once(plan: &mut Plan) {
    let topic = "orders".to_owned();
    plan.scenario.faults[0].trigger.when = Some(Condition::Produced { topic, nth: 0 });
}

#[test]
fn a_strike_that_nobody_had_noticed_when_the_load_ended_counts_and_heals() {
    let faults = "[[fault]]\nwhen = { produced = { topic = \"orders\", nth = 1 } }\ndo = { kill = \"broker(1)\" }";
    for is_healed in [true, false] {
        let stage = Stage::new(SOUND, faults, at_once);
        let fired = stage.play(|mut nemesis| {
            assert_eq!((nemesis.open.len(), nemesis.pending.len()), (0, 1), "somebody has noticed");
            if is_healed {
                nemesis.call_off().unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(nemesis.open.len(), 1, "what was struck has to heal");
                nemesis.heal_all().unwrap_or_else(|error| panic!("{error}"));
            }
            nemesis.fired()
        });
        assert_eq!(fired.values().copied().collect::<Vec<_>>(), [1]);
        assert_eq!(stage.told().len(), if is_healed { 2 } else { 1 }, "{:?}", stage.told());
    }
}

#[test]
fn damage_waits_for_something_that_can_be_damaged() {
    let faults = "[[fault]]\nwhen = { produced = { topic = \"orders\", nth = 1 } }\n\
                  do = { damage = { of = \"leader(orders/0)\", torn-tail = 5 } }";
    let stage = Stage::new(SOUND, faults, |plan| {
        at_once(plan);
        plan.scenario.limits.start = PATIENCE;
    });
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", stage.cluster.bootstrap_servers()).create().expect("a producer");
    let fired = stage.play(|mut nemesis| {
        producer.client().fetch_metadata(Some("orders"), PATIENCE).expect("a topic that nobody had");
        advance_until(&mut nemesis, "its leader is not hit", |nemesis| nemesis.pending[0].happened.is_some());
        nemesis.advance().unwrap_or_else(|error| panic!("{error}"));
        assert!(nemesis.open.is_empty() && stage.told().is_empty(), "its log is empty");
        producer.send(BaseRecord::<str, str>::to("orders").payload("1")).map_err(|(error, _)| error).expect("room");
        producer.flush(PATIENCE).expect("it is acknowledged");
        advance_until(&mut nemesis, "its log is not damaged", |nemesis| nemesis.pending.is_empty());
        nemesis.heal_all().unwrap_or_else(|error| panic!("{error}"));
        nemesis.fired()
    });
    assert_eq!(fired.values().copied().collect::<Vec<_>>(), [1]);
    assert_eq!(stage.told(), ["torn-tail leader(orders/0): broker 1", "healed: broker 1"]);
}

#[test]
fn what_a_run_that_breaks_off_leaves_open_has_fired_all_the_same() {
    let faults = "[[fault]]\ndo = { requests = { api = \"Metadata\", throttle = \"1ms\" } }\n\n\
                  [[fault]]\nat = \"0s\"\ndo = { clients = { delay = \"1ms\" } }\n\n\
                  [[fault]]\ndo = { requests = { api = \"Produce\", drop = \"connection\" } }";
    let stage = Stage::new(SOUND, faults, |_| {});
    let fired = stage.play(|mut nemesis| {
        advance_until(&mut nemesis, "nothing strikes", |nemesis| nemesis.pending.is_empty());
        let bootstrap = stage.cluster.bootstrap_servers();
        let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("a client");
        client.fetch_metadata(None, PATIENCE).expect("an answer");
        nemesis.fired()
    });
    let times = |begin: &str| fired.iter().find(|(name, _)| name.starts_with(begin)).map(|(_, times)| *times);
    assert_eq!((times("throttle"), times("clients"), times("hang up")), (Some(1), Some(1), Some(0)), "{fired:?}");
}

#[test]
fn the_load_waits_for_the_next_fault_that_its_messages_bring_where_the_back_end_has_to_look() {
    let kill = |nth: u32| {
        format!(
            "[[fault]]\nwhen = {{ produced = {{ topic = \"orders\", nth = {nth} }} }}\ndo = {{ kill = \"service(mine)\" }}"
        )
    };
    let faults =
        format!("{}\n\n{}\n\n[[fault]]\nat = \"20s\"\ndo = {{ kill = \"service(mine)\" }}", kill(300), kill(200));
    let stage = Stage::new(SOUND, &faults, |_| {});
    let looking = External::new(stage.cluster.bootstrap_servers()).boot(&one_broker()).expect("it answers");
    assert_eq!(stage.play(|nemesis| nemesis.holds_load_at()), None, "this one strikes in the very step");
    stage.play_on(&*looking, |mut nemesis| {
        assert_eq!(nemesis.holds_load_at(), Some(200));
        nemesis.call_off().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(nemesis.holds_load_at(), None, "nothing is waited for");
    });
    let measuring = Stage::new(SOUND, &faults, |plan| plan.scenario.expect.unavailable = Some(PATIENCE));
    let looking = External::new(measuring.cluster.bootstrap_servers()).boot(&one_broker()).expect("it answers");
    assert_eq!(measuring.play_on(&*looking, |nemesis| nemesis.holds_load_at()), None, "waiting would be measured");
}

fn is_at_rest(nemesis: &Nemesis<'_>) -> bool {
    nemesis.pending.is_empty() && nemesis.open.is_empty() && nemesis.recoveries.is_empty()
}

#[test]
fn a_service_has_more_instances_until_the_fault_heals() {
    let faults = "[[fault]]\nat = \"0s\"\ndo = { scale = \"service(mine)\", to = 2 }\nheal = { after = \"2s\" }\n\n\
                  [[fault]]\nat = \"0s\"\ndo = { scale = \"service(mine)\", to = 2 }";
    let stage = Stage::new(SOUND, faults, |plan| plan.scenario.limits.start = PATIENCE);
    let fired = stage.play(|mut nemesis| {
        advance_until(&mut nemesis, "it stays so", is_at_rest);
        nemesis.fired()
    });
    assert!(stage.is_running(), "the first one stays");
    assert_eq!(fired.values().copied().collect::<Vec<_>>(), [1, 0], "there were as many already: {fired:?}");
    let told = ["scale: mine 2 starts", "mine 2 is ready", "healed: mine 2", "scale: mine 2 leaves"];
    assert_eq!(stage.told(), [&told[..], &["healed: mine 2 has left"]].concat());
}

#[test]
fn an_instance_that_crashed_before_it_was_scaled_in_is_told_of_in_its_next_life() {
    // The first life of the second instance ends on its own.
    let script = "echo up and running\n\
                  [ -e \"$0\" ] || { touch \"$0\"; exec sleep 600; }\n\
                  [ -e \"$0.2\" ] || { touch \"$0.2\"; sleep 1; echo oops; exit 7; }\n\
                  exec sleep 600";
    let faults = "[[fault]]\nat = \"0s\"\ndo = { scale = \"service(mine)\", to = 2 }\nheal = { after = \"2s\" }\n\n\
                  [[fault]]\nat = \"2500ms\"\ndo = { scale = \"service(mine)\", to = 2 }";
    let stage = Stage::new(script, faults, |plan| plan.scenario.limits.start = PATIENCE);
    stage.play(|mut nemesis| advance_until(&mut nemesis, "it does not come back", is_at_rest));
    let ended = "healed: mine 2 had ended before: it exited with code 7";
    assert!(stage.told().iter().any(|told| told == ended), "{:?}", stage.told());
    assert!(stage.fleet.deaths().is_empty(), "its second life goes on");
    let obituaries = stage.fleet.obituaries();
    assert!(obituaries.len() == 1 && obituaries[0].starts_with("mine 2 exited with code 7"), "{obituaries:?}");
    let complaints = stage.fleet.stop(PATIENCE);
    assert_eq!(complaints, obituaries, "a reason when the run ends");
}

#[test]
fn a_fault_waits_for_a_failpoint_at_which_only_the_first_life_stops() {
    let script =
        "echo up and running; [ -n \"$FAILPOINT\" ] && echo $FAILPOINT: waiting at a failpoint; exec sleep 600";
    let faults = "[services.mine.failpoint]\nat = \"somewhere\"\nnth = 3\n\n\
                  [[fault]]\nwhen = { failpoint = { service = \"mine\" } }\ndo = { kill = \"service(mine)\" }\n\
                  heal = { after = \"0s\" }";
    let stage = Stage::new(script, faults, |plan| plan.scenario.limits.start = PATIENCE);
    stage.play(|mut nemesis| advance_until(&mut nemesis, "it does not strike", is_at_rest));
    assert_eq!(stage.told(), ["kill: mine", "mine is ready", "healed: mine"]);
    let said = stage.fleet.instances()[0].log.last_lines();
    assert_eq!(said.matches("somewhere:3: waiting at a failpoint").count(), 1, "{said}");
    assert_eq!(said.matches("up and running").count(), 2, "{said}");
}

#[test]
fn a_service_may_come_to_its_failpoint_behind_the_load() {
    // It gets there a while after the load is over, which is when the file appears.
    let script = "echo up and running; [ -n \"$FAILPOINT\" ] && { until [ -e $0 ]; do sleep 0.01; done; sleep 0.3; \
                  echo waiting at a failpoint; }; exec sleep 600";
    let faults = "[services.mine.failpoint]\nat = \"somewhere\"\n\n\
                  [[fault]]\nwhen = { failpoint = { service = \"mine\" } }\ndo = { kill = \"service(mine)\" }\n\
                  heal = { after = \"0s\" }";
    let stage = Stage::new(script, faults, |plan| plan.scenario.limits.start = PATIENCE);
    let fired = stage.play(|mut nemesis| {
        std::fs::write(stage.mark(), "").expect("a file");
        nemesis.heal_all().unwrap_or_else(|error| panic!("{error}"));
        nemesis.fired()
    });
    assert_eq!(fired.values().copied().collect::<Vec<_>>(), [1], "{fired:?}");
    assert!(stage.is_running(), "its next life does not stop there");
    assert_eq!(stage.told()[0], "kill: mine");
}

#[test]
fn brokers_are_named_as_people_do() {
    assert_eq!(brokers(&[2]), "broker 2");
    assert_eq!(brokers(&[1, 3]), "brokers 1 and 3");
    assert_eq!(brokers(&[1, 3, 2]), "brokers 1, 3 and 2");
}
