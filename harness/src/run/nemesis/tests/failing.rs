//! A stand-in that fails: told of, counted, and well again.

use super::{SOUND, Stage, advance_until};
use crate::plan::Plan;
use crate::scenario::deed::Deed;
use crate::scenario::model::{FaultRule, Heal};
use crate::scenario::stand_in::{Failure, FailureMode, StandIn, StandInRule};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// A fault at the beginning that lasts to the end of the load. What it does is replaced.
const FAULT: &str = "[[fault]]\nat = \"0s\"\ndo = { pause = \"broker(1)\" }\n\n";

/// As if the service called the mailbox, which fails in these ways.
fn failing(plan: &mut Plan, modes: &[FailureMode]) {
    let stand_in = StandIn::Mailbox;
    plan.scenario.stand_ins = vec![StandInRule::new(stand_in)];
    for (fault, mode) in plan.scenario.faults.iter_mut().zip(modes) {
        fault.deed = Deed::Fail(Failure { stand_in, mode: *mode });
    }
    FaultRule::tell_apart(&mut plan.scenario.faults);
}

/// Sends an e-mail to this address: the status of the answer; nothing where nobody listens.
fn email(address: &str) -> Option<u16> {
    let body = r#"{"to":"a","subject":"b","order_id":"c","total_cost":1,"event_id":"d"}"#;
    let mut stream = TcpStream::connect(address).ok()?;
    let length = body.len();
    write!(stream, "POST /emails HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{body}").expect("it is heard");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split(' ').nth(1)?.parse().ok()
}

#[test]
fn a_stand_in_that_is_down_is_there_for_nobody_until_the_last_of_its_faults_heals() {
    let stage = Stage::new(SOUND, &FAULT.repeat(2), |plan| {
        failing(plan, &[FailureMode::Down, FailureMode::Down]);
        plan.scenario.faults[0].heal = Some(Heal { then: None, after: Duration::ZERO });
    });
    let fired = stage.play(|mut nemesis| {
        let variables: Vec<_> = nemesis.stand_ins.variables(&[StandIn::Mailbox, StandIn::Warehouse]).collect();
        let [(variable, url)] = variables.as_slice() else { panic!("not one: {variables:?}") };
        let address = url.strip_prefix("http://").expect("a URL");
        // Before the load begins: its first message would slip through.
        assert_eq!((variable.as_str(), email(address)), ("MAILBOX_URL", None));
        advance_until(&mut nemesis, "nothing heals", |nemesis| nemesis.pending.is_empty() && nemesis.open.len() == 1);
        assert_eq!(email(address), None, "the other fault holds it down");
        nemesis.heal_all().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(email(address), Some(201));
        nemesis.fired()
    });
    let names = ["down mailbox at 0ns", "down mailbox at 0ns #2"].map(|name| (name.to_owned(), 1));
    assert_eq!(fired, BTreeMap::from(names));
    let healed = "healed: down mailbox; it may listen again";
    assert_eq!(stage.told(), ["down mailbox", "down mailbox", healed, healed]);
}

#[test]
fn a_failure_fires_when_it_hits_a_request() {
    let modes = [FailureMode::Fail { permille: 1000 }, FailureMode::FailAfterEffect { permille: 1000 }];
    let stage = Stage::new(SOUND, &FAULT.repeat(2), |plan| failing(plan, &modes));
    let fired = stage.play(|mut nemesis| {
        let (_, url) = nemesis.stand_ins.variables(&[StandIn::Mailbox]).next().expect("a mailbox");
        let address = url.strip_prefix("http://").expect("a URL").to_owned();
        advance_until(&mut nemesis, "nothing strikes", |nemesis| nemesis.pending.is_empty());
        assert_eq!([email(&address), email(&address)], [Some(503), Some(503)], "the first is what it meets");
        nemesis.heal_all().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(email(&address), Some(201));
        nemesis.fired()
    });
    assert_eq!(fired.into_values().collect::<Vec<_>>(), [1, 0], "how often differs from run to run");
    let told = stage.told();
    assert_eq!(
        told,
        [
            "fail mailbox",
            "fail_after_effect mailbox",
            "healed: fail mailbox; 2 hit",
            "healed: fail_after_effect mailbox; 0 hit"
        ]
    );
}
