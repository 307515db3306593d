-- One row per partition: what was folded, and where the fold goes on. One statement changes both, so that they cannot
-- disagree, whatever dies in between.
CREATE TABLE partition_totals (
    topic       TEXT    NOT NULL,
    "partition" INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    orders      INTEGER NOT NULL,
    revenue     INTEGER NOT NULL,
    PRIMARY KEY (topic, "partition")
) WITHOUT ROWID;
