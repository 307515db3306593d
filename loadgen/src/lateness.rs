//! How late the generator itself is, apart from what the system under test makes it wait.
//!
//! A message may be sent late for two reasons. The generator was slow: it overslept, was not scheduled, or cannot keep
//! up. Or the client's queue was full because the cluster takes less than is offered; then the wait is the system's
//! doing, for the message that waited and for all that became due meanwhile. Only the first is an excuse for the system,
//! so the two must not be mixed: a system that pushes back would excuse its own latency.
//!
//! The split is what a generator would have done whose queue is never full: it works as fast as this one, on a clock
//! that stands still while this one is blocked, and it too waits where nothing is due.

/// How much of the pacer's present arrears the system's back-pressure explains.
#[derive(Debug, Default)]
pub(crate) struct OwnLateness {
    explained_ns: u64,
}

impl OwnLateness {
    /// Nothing was due: there are no arrears, whatever caused them.
    pub(crate) fn caught_up(&mut self) {
        self.explained_ns = 0;
    }

    /// The client took nothing for so long.
    pub(crate) fn blocked(&mut self, span_ns: u64) {
        self.explained_ns = self.explained_ns.saturating_add(span_ns);
    }

    /// The generator's own part of the lateness of a message that is first attempted at this instant.
    pub(crate) fn of(&mut self, intended_ns: u64, attempted_ns: u64) -> u64 {
        let late_ns = attempted_ns.saturating_sub(intended_ns);
        // Where more is explained than there is, the unblocked generator would have waited here for something to do.
        self.explained_ns = self.explained_ns.min(late_ns);
        late_ns - self.explained_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_back_pressure_all_lateness_is_the_generators_own() {
        let mut own = OwnLateness::default();
        assert_eq!([own.of(100, 100), own.of(200, 1_250), own.of(300, 1_260)], [0, 1_050, 960]);
    }

    #[test]
    fn messages_that_became_due_while_the_queue_was_full_are_not_late_by_the_generator() {
        let mut own = OwnLateness::default();
        assert_eq!(own.of(100, 105), 5, "late before its first attempt");
        own.blocked(1_000);
        // Due every 100, sent every 10 from 1,105 on: the arrears are the system's until they are worked off.
        for n in 0..9 {
            assert_eq!(own.of(200 + n * 100, 1_105 + n * 10), 0, "message {n} of the arrears");
        }
    }

    #[test]
    fn a_stall_within_the_arrears_is_the_generators_own() {
        let mut own = OwnLateness::default();
        assert_eq!(own.of(100, 100), 0);
        own.blocked(1_000);
        assert_eq!(own.of(200, 1_110), 0);
        assert_eq!(own.of(210, 1_620), 500, "it slept for 500 where the arrears shrank by 10");
        assert_eq!(own.of(220, 1_630), 500);
    }

    #[test]
    fn an_old_wait_excuses_nothing_new() {
        let mut own = OwnLateness::default();
        own.blocked(1_000);
        own.caught_up();
        assert_eq!(own.of(5_000, 5_700), 700, "overslept after the arrears were gone");
        own.blocked(1_000);
        assert_eq!(own.of(6_900, 6_910), 0, "hardly late, so hardly anything is left to explain");
        assert_eq!(own.of(7_000, 7_510), 500);
    }
}
