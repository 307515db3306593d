//! How fast bytes may go: the arithmetic of a narrow connection.

use std::num::NonZeroU64;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// A rate is kept to over stretches of this length: bytes go in pieces that take so long, rather than one by one.
const PIECE: Duration = Duration::from_millis(10);

/// The largest piece, and that of a connection without a rate.
const PIECE_MAX: usize = 64 * 1024;

/// One direction of one connection.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When everything that went has had its time.
    free_at: Option<Instant>,
}

impl Pace {
    /// When the next piece may go, if it may not go at once.
    pub(crate) fn free_at(&self) -> Option<Instant> {
        self.free_at
    }

    /// Where there is no rate any more, nothing has to wait.
    pub(crate) fn set_rate(&mut self, rate: Option<NonZeroU64>) {
        self.free_at = self.free_at.filter(|_| rate.is_some());
    }

    /// Waits until the next piece may go.
    pub(crate) async fn free(&self) {
        if let Some(free_at) = self.free_at {
            sleep_until(free_at).await;
        }
    }

    /// So many bytes go at this rate.
    pub(crate) fn take(&mut self, now: Instant, bytes: usize, rate: NonZeroU64) {
        let start = self.free_at.map_or(now, |free_at| free_at.max(now));
        let nanos = (bytes as u128).saturating_mul(1_000_000_000) / u128::from(rate.get());
        // Whoever waits longer than for ever need not be told.
        let time = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.free_at = Some(start.checked_add(time).unwrap_or(start));
    }
}

/// How many bytes may go at once.
pub(crate) fn piece(rate: Option<NonZeroU64>) -> usize {
    let of_rate = |rate: NonZeroU64| u128::from(rate.get()).saturating_mul(PIECE.as_millis()) / 1000;
    let bytes = rate.map_or(PIECE_MAX, |rate| usize::try_from(of_rate(rate)).unwrap_or(PIECE_MAX));
    bytes.clamp(1, PIECE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(bytes_per_second: u64) -> NonZeroU64 {
        NonZeroU64::new(bytes_per_second).expect("more than none")
    }

    #[test]
    fn pieces_take_their_time_one_after_another() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pace = Pace::default();
        assert_eq!(pace.free_at(), None);
        pace.take(start, 100, rate(1000));
        pace.take(at(50), 100, rate(1000));
        assert_eq!(pace.free_at(), Some(at(200)), "the second one waits for the first");
        pace.take(at(500), 100, rate(1000));
        assert_eq!(pace.free_at(), Some(at(600)), "time in which nothing went is not made up for");
        pace.set_rate(Some(rate(1)));
        assert_eq!(pace.free_at(), Some(at(600)));
        pace.set_rate(None);
        assert_eq!(pace.free_at(), None);
    }

    #[test]
    fn pieces_are_neither_empty_nor_without_bound() {
        assert_eq!(piece(None), PIECE_MAX);
        assert_eq!(piece(Some(rate(1))), 1);
        assert_eq!(piece(Some(rate(10_000))), 100);
        assert_eq!(piece(Some(rate(u64::MAX))), PIECE_MAX);
    }
}
