-- When an event on the retry topic was tried for the first time, there or before it went there: for so long it has been tried.
-- NULL: it was sent there behind another, and its turn has not come.
ALTER TABLE held_events ADD COLUMN first_try_us BIGINT;
