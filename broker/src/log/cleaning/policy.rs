//! What a topic's settings ask of its log.

use crate::log::segments::SegmentLimits;

/// Kafka's settings about old records, of one topic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// Whether `cleanup.policy` has `delete`.
    pub deletes: bool,
    /// Whether `cleanup.policy` has `compact`.
    pub compacts: bool,
    /// `retention.ms`: how old the youngest record of a segment becomes; negative for any age.
    pub retention_ms: i64,
    /// `retention.bytes`: how large a log becomes; negative for any size.
    pub retention_bytes: i64,
    /// `delete.retention.ms`: how long a tombstone stays once everything that it deletes is gone.
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`: how old records are before they may be cleaned.
    pub compaction_lag_min_ms: i64,
    /// `max.compaction.lag.ms`: how old records become before they must be cleaned.
    pub compaction_lag_max_ms: i64,
    /// `min.cleanable.dirty.ratio`: how much of a log is uncleaned before it is worth it.
    pub dirty_ratio_min: f64,
    /// `segment.bytes`.
    pub segment_bytes: u64,
    /// `segment.ms`.
    pub segment_ms: i64,
    /// `index.interval.bytes`.
    pub index_interval_bytes: u64,
}

impl Policy {
    /// When segments are full. What has to be cleaned soon has to leave the active segment sooner
    /// (`LogConfig.maxSegmentMs`).
    #[must_use]
    pub fn segment_limits(&self) -> SegmentLimits {
        let ms = if self.compacts { self.segment_ms.min(self.compaction_lag_max_ms) } else { self.segment_ms };
        SegmentLimits { bytes: self.segment_bytes, ms, index_interval_bytes: self.index_interval_bytes }
    }
}
