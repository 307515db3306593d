//! What is told of a load while it lasts: how far it is and how fast, how slow the answers are, who is behind, what is broken.

use super::session::Session;
use shakedown_loadgen::Progress;
use shakedown_reports::numbers::{duration, grouped};
use std::time::{Duration, Instant};

/// Over how long rates are measured: shorter ones flicker.
const RATE_OVER: Duration = Duration::from_secs(1);

/// Tells of one load.
#[derive(Debug, Default)]
pub(super) struct Teller {
    mark: Option<Mark>,
    /// Messages a second over the last whole span, offered and acknowledged.
    rates: Option<(f64, f64)>,
}

/// Where the load was when the span began.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Instant,
    offered: u64,
    acknowledged: u64,
}

impl Teller {
    /// Shows how far the load is, or what it waits for: for so long at most.
    pub(super) fn tell(&mut self, session: &Session, progress: &Progress, patience: Duration) {
        let live = &session.options.live;
        live.note_progress(*progress);
        if progress.offered == progress.planned && progress.in_flight > 0 {
            let (waiting, patience) = (grouped(progress.in_flight), super::parts::short(patience));
            session.journal.waiting(&format!("load: waiting for {waiting} acknowledgements, {patience} at most"));
            return;
        }
        self.measure(progress, Instant::now());
        session.journal.progress(&self.line(progress, live.lag_max(), &live.faults()));
    }

    fn measure(&mut self, progress: &Progress, now: Instant) {
        let next = Mark { at: now, offered: progress.offered, acknowledged: progress.acknowledged };
        let Some(mark) = self.mark else {
            self.mark = Some(next);
            return;
        };
        let span = now.saturating_duration_since(mark.at);
        if span >= RATE_OVER {
            let rate = |from: u64, to: u64| to.saturating_sub(from) as f64 / span.as_secs_f64();
            self.rates = Some((rate(mark.offered, next.offered), rate(mark.acknowledged, next.acknowledged)));
            self.mark = Some(next);
        }
    }

    fn line(&self, progress: &Progress, lag: Option<u64>, faults: &[String]) -> String {
        let (offered, acknowledged) = (grouped(progress.offered), grouped(progress.acknowledged));
        let mut line = match self.rates {
            None => format!("load: {offered} offered, {acknowledged} acknowledged"),
            Some((offering, answering)) => {
                format!("load: {offered} offered ({offering:.0}/s), {acknowledged} acknowledged ({answering:.0}/s)")
            }
        };
        // Percentiles are known from the first whole interval on.
        if progress.ack_p99_ns > 0 {
            line = format!("{line}, p50 {}, p99 {}", duration(progress.ack_p50_ns), duration(progress.ack_p99_ns));
        }
        if let Some(lag) = lag {
            line = format!("{line}, lag {}", grouped(lag));
        }
        if !faults.is_empty() {
            line = format!("{line}, struck: {}", faults.join("; "));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_rates_percentiles_lag_and_what_is_broken() {
        let mut teller = Teller::default();
        let began = Instant::now();
        let at = |offered, acknowledged| Progress { planned: 99_999, offered, acknowledged, ..Progress::default() };
        teller.measure(&at(1_000, 900), began);
        assert_eq!(teller.line(&at(1_000, 900), None, &[]), "load: 1,000 offered, 900 acknowledged");
        teller.measure(&at(1_400, 1_300), began + Duration::from_millis(400));
        teller.measure(&at(3_000, 1_900), began + Duration::from_secs(2));
        let slow = Progress { ack_p50_ns: 2_300_000, ack_p99_ns: 61_000_000, ..at(3_000, 1_900) };
        assert_eq!(
            teller.line(&slow, Some(1_200), &["kill broker 1".to_owned()]),
            "load: 3,000 offered (1000/s), 1,900 acknowledged (500/s), p50 2.3 ms, p99 61 ms, lag 1,200, struck: kill broker 1"
        );
    }
}
