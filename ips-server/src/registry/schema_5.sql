-- Registry, version 5: an operation is a plan of steps, each one task on one node with a
-- session id, a result and a token of its own. An operation may concern no VM.

CREATE TABLE operation_5 (
    operation   TEXT PRIMARY KEY,           -- UUID
    vm_id       TEXT,                       -- NULL: it concerns a node only
    verb        TEXT NOT NULL,              -- of o_vm
    options     TEXT NOT NULL DEFAULT '',   -- the verb's options as KV text
    started_at  TEXT NOT NULL,
    ended_at    TEXT,
    exit_code   INTEGER,
    reason      TEXT,
    CHECK ((ended_at IS NULL) = (exit_code IS NULL))
) STRICT;

CREATE TABLE task (
    operation   TEXT NOT NULL REFERENCES operation ON DELETE CASCADE,
    position    INTEGER NOT NULL,           -- its place in the plan, from 1
    session     TEXT NOT NULL UNIQUE,       -- UUID, the OpenSVC session id too
    verb        TEXT NOT NULL,              -- of n_vm
    node        TEXT NOT NULL,
    options     TEXT NOT NULL DEFAULT '',
    recovery    TEXT NOT NULL,              -- when its result is lost: observe or repeat
    undo        TEXT,                       -- verb that reverts it when a later one fails
    started_at  TEXT,                       -- NULL: nothing has reached the node
    ended_at    TEXT,
    exit_code   INTEGER,
    reason      TEXT,
    -- what the node reported of it, with the task's token
    reported_at      TEXT,
    report_exit_code INTEGER,
    report_state     TEXT,
    report_message   TEXT,
    PRIMARY KEY (operation, position),
    CHECK ((ended_at IS NULL) = (exit_code IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE token_5 (
    hash       BLOB PRIMARY KEY,
    vm_id      TEXT,                        -- NULL: an inventory of the node
    session    TEXT REFERENCES task (session) ON DELETE CASCADE, -- NULL: no task's
    verb       TEXT,
    node       TEXT,
    addresses  TEXT,                        -- NULL: any; else the node's, separated by spaces
    expires_at TEXT,                        -- NULL: with its task
    inventory  TEXT,                        -- the node's answer, for the process that asked
    epoch      INTEGER                      -- when the node was asked
) STRICT;

-- The order of rows is the order in which operations were journaled.
INSERT INTO operation_5 (rowid, operation, vm_id, verb, options, started_at, ended_at, exit_code, reason)
    SELECT rowid, operation, vm_id, verb, options, started_at, ended_at, exit_code, reason
    FROM operation ORDER BY rowid;
INSERT INTO task
    SELECT operation, 1, operation, verb, node, options, 'observe', NULL,
           (SELECT min(at) FROM step WHERE step.operation = o.operation AND step.step = 'started'),
           ended_at, exit_code, reason, reported_at, report_exit_code, report_state, report_message
    FROM operation o;
INSERT INTO token_5
    SELECT hash, vm_id, operation, verb, node, addresses, expires_at, inventory, asked FROM token;

DROP TABLE token;
DROP TABLE operation;
ALTER TABLE operation_5 RENAME TO operation;
ALTER TABLE token_5 RENAME TO token;
CREATE INDEX operation_by_vm ON operation (vm_id, started_at);
CREATE INDEX operation_by_start ON operation (started_at);
-- One at a time, held by the database itself.
CREATE UNIQUE INDEX operation_open ON operation (vm_id) WHERE ended_at IS NULL;
CREATE INDEX token_by_session ON token (session);

-- Counted, not timed: clocks are set back.
ALTER TABLE moment RENAME TO epoch;
ALTER TABLE vm RENAME COLUMN touched TO epoch;          -- of the last begin or end
