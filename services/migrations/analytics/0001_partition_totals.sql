-- One row per partition: what was folded, and where the fold goes on. One statement changes both, so that they cannot
-- disagree, whatever dies in between.
CREATE TABLE partition_totals (
    topic       TEXT   NOT NULL,
    "partition" BIGINT NOT NULL,
    next_offset BIGINT NOT NULL,
    orders      BIGINT NOT NULL,
    revenue     BIGINT NOT NULL,
    PRIMARY KEY (topic, "partition")
);
