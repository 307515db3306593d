//! What is under way between nodes: it has been said, and is heard at its time.
//!
//! A link is a stream, as a TCP connection is: whatever it delays, nothing overtakes. Time is the cluster's monotonic one.

use super::Delay;
use crate::chance::Draws;
use shakedown_broker::Input;
use std::collections::BTreeMap;
use std::time::Duration;

/// A link's own chance, and its last message.
#[derive(Debug)]
struct Lane {
    draws: Draws,
    /// When the last message that was sent is heard; nothing later may be heard earlier.
    last_due_ns: u64,
}

/// Something to hand over.
#[derive(Debug)]
struct Parcel {
    from: usize,
    to: usize,
    input: Input,
}

/// All that is under way, by the time at which it is heard.
#[derive(Debug)]
pub(super) struct Transit {
    seed: u64,
    lanes: BTreeMap<(usize, usize), Lane>,
    /// By time, then in the order in which it was said.
    parcels: BTreeMap<(u64, u64), Parcel>,
    next: u64,
}

impl Transit {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, lanes: BTreeMap::new(), parcels: BTreeMap::new(), next: 0 }
    }

    /// Puts a message on its way over a link; gives it back when it is heard at once.
    pub(super) fn send(
        &mut self,
        (from, to): (usize, usize),
        now_ns: u64,
        delay: Option<Delay>,
        input: Input,
    ) -> Option<Input> {
        let seed = self.seed;
        let lane = self.lanes.entry((from, to)).or_insert_with(|| Lane::new(seed, from, to));
        let delay_ns = delay.map_or(0, |delay| nanos(delay.draw(&mut lane.draws)));
        let due_ns = now_ns.saturating_add(delay_ns).max(lane.last_due_ns);
        lane.last_due_ns = due_ns;
        // What is overdue because the process stood still must not be overtaken either.
        if due_ns <= now_ns && !self.is_busy(from, to) {
            return Some(input);
        }
        self.parcels.insert((due_ns, self.next), Parcel { from, to, input });
        self.next += 1;
        None
    }

    /// Whether anything is under way on a link.
    pub(super) fn is_busy(&self, from: usize, to: usize) -> bool {
        self.parcels.values().any(|parcel| (parcel.from, parcel.to) == (from, to))
    }

    /// When the next message is heard.
    pub(super) fn next_due_ns(&self) -> Option<u64> {
        self.parcels.keys().next().map(|(due_ns, _)| *due_ns)
    }

    /// The next message that is due, and who hears it.
    pub(super) fn pop_due(&mut self, now_ns: u64) -> Option<(usize, Input)> {
        let first = self.parcels.first_entry().filter(|first| first.key().0 <= now_ns)?;
        let Parcel { to, input, .. } = first.remove();
        Some((to, input))
    }

    /// Hurries what is under way on links that do not delay any more: it is heard now, in its order.
    pub(super) fn hurry(&mut self, now_ns: u64, is_free: impl Fn(usize, usize) -> bool) {
        for ((due_ns, number), parcel) in std::mem::take(&mut self.parcels) {
            let is_free = is_free(parcel.from, parcel.to);
            self.parcels.insert((if is_free { due_ns.min(now_ns) } else { due_ns }, number), parcel);
        }
        let lanes = self.lanes.iter_mut().filter(|((from, to), _)| is_free(*from, *to));
        lanes.for_each(|(_, lane)| lane.last_due_ns = lane.last_due_ns.min(now_ns));
    }

    /// Loses what is under way on some links; how much that was on each, by its sender and receiver.
    pub(super) fn lose(&mut self, is_lost: impl Fn(usize, usize) -> bool) -> Vec<(usize, usize)> {
        let mut lost = Vec::new();
        self.parcels.retain(|_, parcel| {
            if is_lost(parcel.from, parcel.to) {
                lost.push((parcel.from, parcel.to));
            }
            !is_lost(parcel.from, parcel.to)
        });
        // What is said next on such a link follows nothing.
        let lanes = self.lanes.iter_mut().filter(|((from, to), _)| is_lost(*from, *to));
        lanes.for_each(|(_, lane)| lane.last_due_ns = 0);
        lost
    }
}

impl Lane {
    fn new(seed: u64, from: usize, to: usize) -> Self {
        let draws = Draws::of(seed, &[b"link", &(from as u64).to_le_bytes(), &(to as u64).to_le_bytes()]);
        Self { draws, last_due_ns: 0 }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const JITTERY: Delay = Delay { by: Duration::from_millis(10), jitter: Duration::from_millis(100) };

    fn transit() -> Transit {
        Transit::new(42)
    }

    /// A message that can be told from others.
    fn message(number: u64) -> Input {
        Input::Disconnected(shakedown_broker::ConnectionId(number))
    }

    fn number(input: &Input) -> u64 {
        match input {
            Input::Disconnected(connection) => connection.0,
            other => panic!("nobody said {other:?}"),
        }
    }

    /// Sends numbered messages, one a millisecond; when each is heard, in the order in which they are.
    fn heard(transit: &mut Transit, link: (usize, usize), count: u64) -> Vec<(u64, u64)> {
        for n in 0..count {
            assert!(transit.send(link, n * MS, Some(JITTERY), message(n)).is_none());
        }
        let mut heard = Vec::new();
        while let Some(due_ns) = transit.next_due_ns() {
            assert!(transit.pop_due(due_ns - 1).is_none(), "not before its time");
            let (to, input) = transit.pop_due(due_ns).expect("it is due");
            assert_eq!(to, link.1);
            heard.push((number(&input), due_ns));
        }
        heard
    }

    #[test]
    fn what_jitter_delays_stays_in_order_and_comes_no_earlier_than_it_may() {
        let heard = heard(&mut transit(), (0, 1), 100);
        assert!(heard.iter().map(|(n, _)| *n).eq(0..100), "{heard:?}");
        assert!(heard.iter().all(|(n, due_ns)| *due_ns >= (n + 10) * MS), "{heard:?}");
        assert!(heard.is_sorted_by_key(|(_, due_ns)| *due_ns));
        let late = heard.iter().filter(|(n, due_ns)| *due_ns > (n + 60) * MS).count();
        assert!(late > 20, "jitter is drawn from its whole range: {heard:?}");
    }

    #[test]
    fn a_link_draws_the_same_whatever_other_links_do() {
        let alone = heard(&mut transit(), (0, 1), 20);
        let mut busy = transit();
        heard(&mut busy, (1, 0), 7);
        heard(&mut busy, (0, 2), 3);
        assert_eq!(heard(&mut busy, (0, 1), 20), alone);
        assert_ne!(heard(&mut transit(), (1, 0), 20), alone);
    }

    #[test]
    fn nothing_overtakes_what_is_still_under_way() {
        let mut transit = transit();
        assert!(transit.send((0, 1), 0, None, message(0)).is_some(), "nothing is in front of it");
        assert!(transit.send((0, 1), 0, Some(JITTERY), message(1)).is_none());
        assert!(transit.send((0, 1), MS, None, message(2)).is_none(), "the delay is over, its victims are not");
        let due_ns = transit.next_due_ns().expect("two are under way");
        assert!(transit.send((0, 1), due_ns + MS, None, message(3)).is_none(), "they are late, and yet come first");
        assert!(transit.send((1, 0), due_ns + MS, None, message(4)).is_some(), "the other way is free");
        let order = std::iter::from_fn(|| transit.pop_due(due_ns + MS));
        assert_eq!(order.map(|(_, input)| number(&input)).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(!transit.is_busy(0, 1));
    }

    #[test]
    fn what_need_not_wait_any_more_is_heard_at_once_and_in_order() {
        let mut transit = transit();
        let long = Delay { by: Duration::from_secs(60), jitter: Duration::ZERO };
        for (n, to) in [(0, 1), (1, 2), (2, 1)] {
            assert!(transit.send((0, to), n * MS, Some(long), message(n)).is_none());
        }
        transit.hurry(5 * MS, |_, to| to == 1);
        assert!(transit.send((0, 1), 6 * MS, None, message(3)).is_none(), "it has to wait for those before it");
        let order = std::iter::from_fn(|| transit.pop_due(6 * MS));
        assert_eq!(order.map(|(_, input)| number(&input)).collect::<Vec<_>>(), [0, 2, 3]);
        assert!(transit.send((0, 1), 7 * MS, None, message(4)).is_some());
        assert!(transit.is_busy(0, 2), "the other link is still slow");
    }

    #[test]
    fn what_is_lost_delays_nothing() {
        let mut transit = transit();
        let long = Delay { by: Duration::from_secs(60), jitter: Duration::ZERO };
        for to in [1, 2] {
            assert!(transit.send((0, to), 0, Some(long), message(0)).is_none());
        }
        assert_eq!(transit.lose(|_, to| to == 1), [(0, 1)]);
        assert!(transit.send((0, 1), MS, None, message(1)).is_some());
        assert!(transit.send((0, 2), MS, None, message(1)).is_none());
    }
}
