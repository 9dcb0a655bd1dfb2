-- Registry, version 4: what a node was asked before an operation began or ended says nothing of
-- its VM any more. Counted, not timed: clocks are set back.

CREATE TABLE moment (now INTEGER NOT NULL) STRICT;
INSERT INTO moment VALUES (0);
ALTER TABLE vm ADD COLUMN touched INTEGER NOT NULL DEFAULT 0;   -- moment of the last begin or end
ALTER TABLE token ADD COLUMN asked INTEGER;                     -- moment when a node was asked
