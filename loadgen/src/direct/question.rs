//! A question that is asked until somebody answers, with a pause after each answer: who leads what, and who the producer is.

/// Between two questions (librdkafka's `topic.metadata.refresh.fast.interval.ms`).
const ASK_AGAIN_NS: u64 = 100_000_000;
/// So old an answer is asked for again although nobody has complained (librdkafka's `topic.metadata.refresh.interval.ms`).
const REFRESH_NS: u64 = 300_000_000_000;

/// Whether it may be asked now.
#[derive(Debug, Default)]
pub(crate) struct Question {
    is_out: bool,
    not_before_ns: u64,
}

impl Question {
    pub(crate) fn ask(&mut self, now_ns: u64) -> bool {
        let asks = !self.is_out && self.not_before_ns <= now_ns;
        self.is_out |= asks;
        asks
    }

    pub(crate) fn answered(&mut self, now_ns: u64) {
        *self = Self { is_out: false, not_before_ns: now_ns + ASK_AGAIN_NS };
    }

    pub(crate) fn is_old(&self, now_ns: u64) -> bool {
        now_ns >= self.not_before_ns.saturating_add(REFRESH_NS)
    }

    pub(crate) fn next_ns(&self) -> Option<u64> {
        (!self.is_out).then_some(self.not_before_ns)
    }
}
