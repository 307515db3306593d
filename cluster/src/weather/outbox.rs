//! Answers that are under way to a client: each is due at its time, in order, and goes no faster than the connection
//! carries.

use super::pace::{Pace, piece};
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::time::Duration;
use tokio::time::Instant;

/// What has been answered and has not left the machine.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Never an empty piece.
    pieces: VecDeque<(Instant, Bytes)>,
    bytes: usize,
    last_due: Option<Instant>,
    pace: Pace,
}

impl Outbox {
    /// How many bytes are under way.
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    /// Puts an answer on its way, of which no more than `at_most` bytes will arrive.
    pub(crate) fn push(&mut self, now: Instant, delay: Duration, pieces: VecDeque<Bytes>, mut at_most: usize) {
        let due = now.checked_add(delay).unwrap_or(now);
        let due = self.last_due.map_or(due, |last_due| last_due.max(due));
        self.last_due = Some(due);
        for mut bytes in pieces {
            bytes.truncate(at_most);
            at_most -= bytes.len();
            self.bytes += bytes.len();
            if !bytes.is_empty() {
                self.pieces.push_back((due, bytes));
            }
        }
    }

    /// Nothing delays what is under way any more.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.pieces.iter_mut().for_each(|(due, _)| *due = now.min(*due));
        self.last_due = self.last_due.map(|last_due| last_due.min(now));
    }

    /// Where there is no rate any more, nothing has to wait for its turn.
    pub(crate) fn set_rate(&mut self, rate: Option<NonZeroU64>) {
        self.pace.set_rate(rate);
    }

    /// When the next piece may go; `None` when there is none.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        let (due, _) = self.pieces.front()?;
        Some(self.pace.free_at().map_or(*due, |free_at| free_at.max(*due)))
    }

    /// The next piece, as much of it as may go at once.
    pub(crate) fn next_piece(&self, rate: Option<NonZeroU64>) -> &[u8] {
        let first = self.pieces.front().map_or(&[][..], |(_, bytes)| bytes);
        &first[..first.len().min(piece(rate))]
    }

    /// So many bytes of it have gone.
    pub(crate) fn sent(&mut self, now: Instant, count: usize, rate: Option<NonZeroU64>) {
        if let Some((_, first)) = self.pieces.front_mut() {
            first.advance(count);
            self.bytes -= count;
            if first.is_empty() {
                self.pieces.pop_front();
            }
        }
        if let Some(rate) = rate {
            self.pace.take(now, count, rate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &'static str) -> VecDeque<Bytes> {
        VecDeque::from([Bytes::from_static(text.as_bytes())])
    }

    /// What goes, and how many milliseconds after the start, if everything goes as soon as it may.
    fn gone(outbox: &mut Outbox, start: Instant, rate: Option<NonZeroU64>) -> Vec<(u128, String)> {
        let mut gone = Vec::new();
        while let Some(at) = outbox.next_at() {
            let piece = String::from_utf8(outbox.next_piece(rate).to_vec()).expect("text");
            outbox.sent(at, piece.len(), rate);
            gone.push(((at - start).as_millis(), piece));
        }
        assert_eq!(outbox.len(), 0);
        gone
    }

    #[test]
    fn answers_stay_in_order_whatever_delays_them() {
        let start = Instant::now();
        let mut outbox = Outbox::default();
        outbox.push(start, Duration::from_millis(50), answer("first"), usize::MAX);
        outbox.push(start, Duration::from_millis(10), answer("second"), usize::MAX);
        outbox.push(start + Duration::from_millis(60), Duration::ZERO, answer("third"), 2);
        assert_eq!(outbox.len(), 13);
        let expected = [(50, "first"), (50, "second"), (60, "th")];
        assert_eq!(gone(&mut outbox, start, None), expected.map(|(at, text)| (at, String::from(text))));
    }

    #[test]
    fn a_narrow_connection_takes_its_time() {
        let start = Instant::now();
        let mut outbox = Outbox::default();
        outbox.push(start, Duration::from_millis(5), answer("abc"), usize::MAX);
        let expected = [(5, "a"), (15, "b"), (25, "c")];
        let gone = gone(&mut outbox, start, NonZeroU64::new(100));
        assert_eq!(gone, expected.map(|(at, text)| (at, String::from(text))));
        outbox.push(start, Duration::ZERO, answer("d"), usize::MAX);
        assert_eq!(outbox.next_at(), Some(start + Duration::from_millis(35)), "the last byte still has its time to go");
    }

    #[test]
    fn what_is_not_delayed_any_more_goes_at_once() {
        let start = Instant::now();
        let mut outbox = Outbox::default();
        outbox.push(start, Duration::from_secs(3600), answer("first"), usize::MAX);
        outbox.hurry(start + Duration::from_millis(7));
        outbox.push(start + Duration::from_millis(8), Duration::ZERO, answer("second"), usize::MAX);
        let expected = [(7, "first"), (8, "second")];
        assert_eq!(gone(&mut outbox, start, None), expected.map(|(at, text)| (at, String::from(text))));
    }

    #[test]
    fn an_answer_of_which_nothing_arrives_is_not_there() {
        let mut outbox = Outbox::default();
        outbox.push(Instant::now(), Duration::ZERO, answer("abc"), 0);
        assert_eq!(outbox.len(), 0);
        assert_eq!(outbox.next_at(), None);
    }
}
