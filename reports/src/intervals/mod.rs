//! `latency.hlog`: what was measured, an HdrHistogram for each metric and second, in the interval log format V2 (compressed)
//! that HdrHistogram's own tools read.
//!
//! [`IntervalLog`] writes it while a run goes on, [`read`] and [`visit`] read it again, and [`merge`] makes one log of
//! those of several producers. Values are nanoseconds with three significant digits; nothing is clamped, dropped or
//! sampled.
//!
//! A metric's tag says what it is:
//! - of the load: `ack` (acknowledged less intended: latency), `service` (acknowledged less sent), `delay` (sent less
//!   intended, whoever made it late), `lateness` (the generator's own part of that);
//! - of a tap: `deliver:orders` (received from the topic less intended);
//! - of a hop between two streams: `hop:topic_orders->topic_order-status` (first received at the second less first received at
//!   the first), written when the run has ended;
//! - any of them at one partition, where that was asked for: the same with `/3` behind it; see [`partition_tag`].

mod merge;
mod reader;
mod writer;

pub use merge::{merge, merge_into, total};
pub use reader::{Interval, read, visit};
pub use writer::IntervalLog;

pub(crate) use writer::FILE;

/// The tag of a metric at one partition: `ack/3`.
#[must_use]
pub fn partition_tag(metric: &str, partition: i32) -> String {
    format!("{metric}/{partition}")
}

/// The metric and the partition that a tag is of: `("ack", Some(3))`, `("ack", None)`.
#[must_use]
pub fn metric_of(tag: &str) -> (&str, Option<i32>) {
    match tag.rsplit_once('/') {
        Some((metric, partition)) => match partition.parse() {
            Ok(partition) => (metric, Some(partition)),
            Err(_) => (tag, None),
        },
        None => (tag, None),
    }
}

/// What the format cannot hold in a tag (commas, blanks) as `_`.
#[must_use]
pub fn tag_of(name: &str) -> String {
    name.chars().map(|c| if c == ',' || c.is_whitespace() || c.is_control() { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::{metric_of, partition_tag};

    #[test]
    fn a_tag_tells_its_metric_and_its_partition() {
        assert_eq!(metric_of(&partition_tag("deliver:orders", 12)), ("deliver:orders", Some(12)));
        assert_eq!(metric_of("ack"), ("ack", None));
        assert_eq!(metric_of("deliver:a/b"), ("deliver:a/b", None));
        assert_eq!(metric_of("hop:topic_a->topic_b/0"), ("hop:topic_a->topic_b", Some(0)));
    }
}
