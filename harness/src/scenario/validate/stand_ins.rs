//! Stand-ins: that somebody calls those that something is said of; and how they fail, as faults.

use super::disturbances::some_time;
use super::scope::Scope;
use crate::language::document::{Place, Spanned};
use crate::language::names;
use crate::language::problem::Problems;
use crate::language::quantity::Span;
use crate::language::raw_faults::RawAction;
use crate::language::raw_stand_ins::{RawPaymentProvider, RawStandIn};
use crate::scenario::merge::Merged;
use crate::scenario::stand_in::{Declines, Failure, FailureMode, StandIn, StandInRule};
use std::num::NonZeroU64;

/// Every request.
const ALL: u16 = 1000;

/// The failure of a stand-in as it is written, with what stands beside it.
pub(super) struct Written<'a> {
    mode: FailureMode,
    stand_in: &'a Spanned<StandIn>,
}

/// Those that some service calls.
pub(super) fn validate(merged: &Merged, scope: &Scope<'_>, problems: &mut Problems<'_>) -> Vec<StandInRule> {
    let raw = &merged.stand_ins;
    let described = [
        (StandIn::PaymentProvider, raw.payment_provider.as_ref().map(|raw| raw.place)),
        (StandIn::Warehouse, raw.warehouse.as_ref().map(|raw| raw.place)),
        (StandIn::Mailbox, raw.mailbox.as_ref().map(|raw| raw.place)),
    ];
    for (stand_in, place) in described {
        if let Some(place) = place {
            is_called(stand_in, place, scope, problems);
        }
    }
    let latency = |span: Option<&Spanned<Span>>| span.map(|span| span.value.0).unwrap_or_default();
    let plain = |raw: &Option<Spanned<RawStandIn>>| latency(raw.as_ref().and_then(|raw| raw.value.latency.as_ref()));
    let rule = |stand_in| match stand_in {
        StandIn::PaymentProvider => {
            let raw = raw.payment_provider.as_ref().map(|raw| &raw.value);
            let latency = latency(raw.and_then(|raw| raw.latency.as_ref()));
            StandInRule { stand_in, latency, declines: raw.map(declines).unwrap_or_default() }
        }
        StandIn::Warehouse => StandInRule { latency: plain(&raw.warehouse), ..StandInRule::new(stand_in) },
        StandIn::Mailbox => StandInRule { latency: plain(&raw.mailbox), ..StandInRule::new(stand_in) },
    };
    StandIn::ALL.into_iter().filter(|stand_in| scope.calls(*stand_in)).map(rule).collect()
}

fn declines(raw: &RawPaymentProvider) -> Declines {
    let above = raw.decline_above.as_ref();
    Declines {
        above: above.map(|above| i64::try_from(above.value.0).unwrap_or(i64::MAX)),
        every: raw.decline_every.as_ref().and_then(|every| NonZeroU64::new(every.value.0)),
    }
}

/// Notes a stand-in that nobody would ask for anything.
fn is_called(stand_in: StandIn, place: Place, scope: &Scope<'_>, problems: &mut Problems<'_>) -> bool {
    let is_called = scope.calls(stand_in);
    if !is_called {
        let name = stand_in.name();
        let called: Vec<&str> =
            StandIn::ALL.iter().filter(|known| scope.calls(**known)).map(|one| one.name()).collect();
        let help = match called.as_slice() {
            [] => format!("give the service that does `calls = [\"{name}\"]`"),
            called => format!("called are {}; give the service that does `calls = [\"{name}\"]`", names::list(called)),
        };
        problems.add(place, format!("no service calls `{name}`"), "asked by nobody", help);
    }
    is_called
}

/// What a fault does to stand-ins, as it is written.
pub(super) fn written(raw: &RawAction) -> impl Iterator<Item = Written<'_>> {
    let by = raw.by.as_ref().map(|by| by.value.0).unwrap_or_default();
    let permille = raw.permille.as_ref().map_or(ALL, |permille| u16::try_from(permille.value.0).unwrap_or(ALL));
    let all = [
        (&raw.down, FailureMode::Down),
        (&raw.slow, FailureMode::Slow { by }),
        (&raw.fail, FailureMode::Fail { permille }),
        (&raw.fail_after_effect, FailureMode::FailAfterEffect { permille }),
    ];
    all.into_iter().filter_map(|(stand_in, mode)| stand_in.as_ref().map(|stand_in| Written { mode, stand_in }))
}

/// Notes what stands beside a deed that has no use for it; `written` is the deed, where it is a failure.
pub(super) fn beside(written: Option<&Written<'_>>, raw: &RawAction, problems: &mut Problems<'_>) {
    let mode = written.map(|written| written.mode);
    if let Some(by) = raw.by.as_ref().filter(|_| !matches!(mode, Some(FailureMode::Slow { .. }))) {
        problems.add(by.place, "`by` says nothing here", "never used", "it belongs to `slow = \"mailbox\"`");
    }
    let some = matches!(mode, Some(FailureMode::Fail { .. } | FailureMode::FailAfterEffect { .. }));
    if let Some(permille) = raw.permille.as_ref().filter(|_| !some) {
        let help = "it belongs to `fail` and `fail_after_effect`";
        problems.add(permille.place, "`permille` says nothing here", "never used", help);
    }
}

/// A failure of somebody who is asked for something.
pub(super) fn failure(
    written: &Written<'_>,
    raw: &Spanned<RawAction>,
    scope: &Scope<'_>,
    problems: &mut Problems<'_>,
) -> Option<Failure> {
    let (mode, stand_in) = (written.mode, written.stand_in.value);
    if let FailureMode::Slow { .. } = mode {
        let Some(by) = &raw.value.by else {
            problems.add(raw.place, "how late are its answers?", "no `by`", "add `by = \"3s\"`");
            return None;
        };
        some_time(by, problems)?;
    }
    is_called(stand_in, written.stand_in.place, scope, problems).then_some(Failure { stand_in, mode })
}

#[cfg(test)]
mod tests {
    use crate::Runner;
    use crate::scenario::stand_in::{Declines, StandIn, StandInRule};
    use std::num::NonZeroU64;
    use std::time::Duration;

    const SCENARIO: &str = r#"
name = "somebody outside"
[topics.orders]
[services.payment]
group = "payment"
consumes = ["orders"]
calls = ["payment-provider", "mailbox"]
[stand-ins.mailbox]
latency = "20ms"
[flows.end-to-end]
from = "load"
to = "topic orders"
[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "100/s", for = "1s" }
[[fault]]
at = "200ms"
do = { down = "mailbox" }
[expect]
lost = 0
"#;

    /// The scenario with one part replaced: its stand-ins and what its fault is called, or what is wrong.
    fn planned(part: &str, change: &str) -> Result<(Vec<StandInRule>, String, String), String> {
        assert!(SCENARIO.contains(part), "the scenario has no {part}");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("outside.toml");
        std::fs::write(&file, SCENARIO.replace(part, change)).expect("a file");
        let plan = Runner::new(&file).plan().map_err(|error| error.to_string())?;
        Ok((plan.scenario.stand_ins, plan.scenario.faults[0].to_string(), plan.digest))
    }

    fn rules(part: &str, change: &str) -> Vec<StandInRule> {
        planned(part, change).unwrap_or_else(|error| panic!("{error}")).0
    }

    #[test]
    fn who_is_called_is_played_as_the_scenario_says() {
        let mailbox = StandInRule { latency: Duration::from_millis(20), ..StandInRule::new(StandIn::Mailbox) };
        let provider = StandInRule::new(StandIn::PaymentProvider);
        assert_eq!(rules("", ""), [provider.clone(), mailbox.clone()]);
        let table = "[stand-ins.payment-provider]\ndecline_above = 900000\ndecline_every = 10\nlatency = \"5ms\"\n[stand-ins.mailbox]";
        let declines = Declines { above: Some(900_000), every: NonZeroU64::new(10) };
        let strict = StandInRule { latency: Duration::from_millis(5), declines, ..provider };
        assert_eq!(rules("[stand-ins.mailbox]", table), [strict, mailbox]);
    }

    #[test]
    fn a_scenario_overrides_its_system_key_by_key() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (system, file) = (folder.path().join("shop.toml"), folder.path().join("outside.toml"));
        let of_system = "[stand-ins.payment-provider]\nlatency = \"5ms\"\ndecline_every = 10\n";
        std::fs::write(&system, format!("{of_system}[stand-ins.mailbox]\nlatency = \"1ms\"\n")).expect("a file");
        let own = "system = \"shop.toml\"\n[stand-ins.payment-provider]\nlatency = \"9ms\"\n[topics.orders]";
        let text = SCENARIO.replace("[stand-ins.mailbox]\nlatency = \"20ms\"\n", "").replace("[topics.orders]", own);
        std::fs::write(&file, text).expect("a file");
        let plan = Runner::new(&file).plan().unwrap_or_else(|error| panic!("{error}"));
        let told: Vec<_> =
            plan.scenario.stand_ins.iter().map(|rule| (rule.latency.as_millis(), rule.declines)).collect();
        let every = Declines { above: None, every: NonZeroU64::new(10) };
        assert_eq!(told, [(9, every), (1, Declines::default())]);
    }

    #[test]
    fn failures_are_called_by_what_they_do() {
        for (deed, name) in [
            ("down = \"mailbox\"", "down mailbox at 200ms"),
            ("slow = \"mailbox\", by = \"3s\"", "slow mailbox by 3s at 200ms"),
            ("fail = \"payment-provider\"", "fail payment-provider at 200ms"),
            ("fail_after_effect = \"mailbox\", permille = 20", "fail_after_effect mailbox, 20 of 1000 at 200ms"),
        ] {
            let called = planned("down = \"mailbox\"", deed).map(|(_, name, _)| name);
            assert_eq!(called.as_deref(), Ok(name));
        }
    }

    #[test]
    fn what_nobody_would_notice_is_refused() {
        let down = "do = { down = \"mailbox\" }";
        for (part, change, message) in [
            ("[stand-ins.mailbox]", "[stand-ins.warehouse]", "no service calls `warehouse`"),
            ("[stand-ins.mailbox]", "[stand-ins.mailbocks]", "unknown key `mailbocks` in `stand-ins`"),
            ("latency =", "decline_above = 5\nlatency =", "unknown key `decline_above` in `stand-ins.mailbox`"),
            ("\"20ms\"", "20", "`stand-ins.mailbox.latency` must be a duration"),
            (down, "do = { down = \"warehouse\" }", "no service calls `warehouse`"),
            (down, "do = { down = \"service(payment)\" }", "`fault.do.down` cannot be \"service(payment)\""),
            (down, "do = { slow = \"mailbox\" }", "how late are its answers?"),
            (down, "do = { slow = \"mailbox\", by = \"0s\" }", "no time at all changes nothing"),
            (down, "do = { fail = \"mailbox\", by = \"1s\" }", "`by` says nothing here"),
            (down, "do = { kill = \"service(payment)\", by = \"1s\" }", "`by` says nothing here"),
            (down, "do = { down = \"mailbox\", permille = 5 }", "`permille` says nothing here"),
            (down, "do = { fail = \"mailbox\", permille = 0 }", "`fault.do.permille` cannot be 0"),
            (down, "do = { fail = \"mailbox\", down = \"mailbox\" }", "this fault does two things at once"),
        ] {
            let refused = planned(part, change).expect_err(change);
            assert!(refused.contains(message), "{change}: {refused}");
        }
    }

    #[test]
    fn the_digest_tells_how_stand_ins_answer_and_fail() {
        let of = |part: &str, change: &str| planned(part, change).unwrap_or_else(|error| panic!("{error}")).2;
        let original = of("", "");
        for (part, change) in [
            ("20ms", "21ms"),
            ("[stand-ins.mailbox]", "[stand-ins.payment-provider]\ndecline_above = 5\n[stand-ins.mailbox]"),
            ("[stand-ins.mailbox]", "[stand-ins.payment-provider]\ndecline_every = 5\n[stand-ins.mailbox]"),
            ("down = \"mailbox\"", "down = \"payment-provider\""),
            ("down = \"mailbox\"", "fail = \"mailbox\""),
        ] {
            assert_ne!(of(part, change), original, "{change} went unnoticed");
        }
        let plain = of("[stand-ins.mailbox]\nlatency = \"20ms\"\n", "");
        assert_eq!(of("latency = \"20ms\"\n", ""), plain, "what says nothing decides nothing");
        assert_eq!(of("20ms", "0ms"), plain, "the default decides nothing");
    }
}
