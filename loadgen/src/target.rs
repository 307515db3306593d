//! What a load is offered to, as the pacer sees it: a topic ([`crate::topic_target`]) or a service that takes requests
//! ([`crate::http_client`]).

use crate::recorder::End;
use crate::slots::InFlight;
use crate::workload::{PlannedMessage, Workload};
use std::thread;
use std::time::Duration;

/// Takes messages from the pacer, on the pacer's thread, and never makes it wait.
pub(crate) trait Target {
    /// Whether the pacer can take the answers itself; see [`crate::turn`].
    const HAS_ANSWERS: bool = false;

    /// Takes the answers that are there.
    fn take_answers(&mut self) {}

    /// Waits after a message was not taken, for about so long, or until there is room.
    fn wait_for_room(&mut self, pause: Duration) {
        thread::sleep(pause);
    }

    /// Does what was put off while there was no time for it: the pacer is about to wait.
    fn rest(&mut self) {}

    /// Writes a message down, once, before it is handed over for the first time.
    fn prepare(&mut self, workload: &Workload, message: &PlannedMessage);

    /// Hands over what was prepared, which is this message. `own_ns` is how late the generator has made it so far: whoever
    /// really sends it adds what comes on top, and records it once it is taken or refused.
    fn hand_over(&mut self, message: &InFlight, own_ns: u64) -> Handed;
}

/// What became of a message that was handed over.
#[derive(Debug)]
pub(crate) enum Handed {
    /// Its answer will come.
    Taken,
    /// There is no room for it now: it is handed over again.
    Full,
    /// It was not sent, and never will be.
    Refused(End),
}
