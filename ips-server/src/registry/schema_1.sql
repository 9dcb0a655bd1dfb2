-- Registry, version 1. Times are RFC 3339 UTC text with milliseconds.

-- WITHOUT ROWID here and below: the rows lie in the order of vm_id, so that a listing of
-- everything reads three tables front to back.
CREATE TABLE vm (
    vm_id       TEXT PRIMARY KEY,           -- lower case
    name        TEXT NOT NULL UNIQUE,
    uuid        TEXT NOT NULL UNIQUE,       -- what the domain has, given or derived
    uuid_given  INTEGER NOT NULL,           -- 1: the config says so itself
    vcpus       INTEGER NOT NULL,
    memory_mb   INTEGER NOT NULL,
    title       TEXT,
    description TEXT,
    os_variant  TEXT,
    firmware    TEXT,
    boot        TEXT,
    cpu_model   TEXT,
    owner       TEXT,                       -- the claim: node that has, or may have, the domain
    owner_since TEXT,
    desired     TEXT NOT NULL DEFAULT 'off' CHECK (desired IN ('running', 'off')),
    state       TEXT NOT NULL DEFAULT 'absent', -- never made: absent by definition
    seen_at     TEXT,                       -- when a node said so; NULL: never
    vnc         TEXT,                       -- address:port on the owner
    defined_at  TEXT NOT NULL,
    changed_at  TEXT NOT NULL,
    CHECK ((owner IS NULL) = (owner_since IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX vm_by_owner ON vm (owner) WHERE owner IS NOT NULL;
-- A name must not be another VM's id, whatever its case: else it would name two.
CREATE INDEX vm_by_lower_name ON vm (lower(name));

-- One row a path, so that no path can belong to two VMs, whichever side it is on.
CREATE TABLE disk (
    vm_id  TEXT NOT NULL REFERENCES vm ON DELETE CASCADE,
    number INTEGER NOT NULL,
    side   TEXT NOT NULL CHECK (side IN ('a', 'b')),
    path   TEXT NOT NULL UNIQUE,
    PRIMARY KEY (vm_id, number, side)
) STRICT, WITHOUT ROWID;

CREATE TABLE network (
    vm_id    TEXT NOT NULL REFERENCES vm ON DELETE CASCADE,
    position INTEGER NOT NULL,
    vni      INTEGER NOT NULL,
    bridge   TEXT NOT NULL,
    PRIMARY KEY (vm_id, position),
    UNIQUE (vm_id, vni)
) STRICT, WITHOUT ROWID;

-- The journal. No reference to vm: history outlives the VM.
CREATE TABLE operation (
    operation   TEXT PRIMARY KEY,           -- UUID, the OpenSVC session id too
    vm_id       TEXT NOT NULL,
    verb        TEXT NOT NULL,
    node        TEXT NOT NULL,
    options     TEXT NOT NULL DEFAULT '',   -- what the verb was told besides, as KV text
    started_at  TEXT NOT NULL,
    ended_at    TEXT,
    exit_code   INTEGER,
    reason      TEXT,
    -- what the node said of it, with the operation's token
    reported_at      TEXT,
    report_exit_code INTEGER,
    report_state     TEXT,
    report_message   TEXT,
    CHECK ((ended_at IS NULL) = (exit_code IS NULL))
) STRICT;
CREATE INDEX operation_by_vm ON operation (vm_id, started_at);
CREATE INDEX operation_by_start ON operation (started_at);
-- One at a time, held by the database itself.
CREATE UNIQUE INDEX operation_open ON operation (vm_id) WHERE ended_at IS NULL;

CREATE TABLE step (
    operation TEXT NOT NULL REFERENCES operation ON DELETE CASCADE,
    position  INTEGER NOT NULL,
    step      TEXT NOT NULL,
    at        TEXT NOT NULL,
    result    TEXT NOT NULL,
    PRIMARY KEY (operation, position)
) STRICT, WITHOUT ROWID;

-- What may ask for a config or report: SHA-256 of a token of 256 random bits.
CREATE TABLE token (
    hash       BLOB PRIMARY KEY,
    vm_id      TEXT,                        -- NULL: an inventory of the node
    operation  TEXT REFERENCES operation ON DELETE CASCADE, -- NULL: get_config by hand
    verb       TEXT,
    node       TEXT,
    addresses  TEXT,                        -- NULL: any; else the node's, parted by spaces
    expires_at TEXT                         -- NULL: with its operation
) STRICT;
CREATE INDEX token_by_operation ON token (operation);

CREATE TABLE node (
    name      TEXT PRIMARY KEY,
    boot_id   TEXT,
    version   TEXT,
    cpus      INTEGER,
    memory_mb INTEGER,
    seen_at   TEXT
) STRICT;

-- A node that has a domain of a VM that another node owns, or none.
CREATE TABLE conflict (
    vm_id   TEXT NOT NULL REFERENCES vm ON DELETE CASCADE,
    node    TEXT NOT NULL,
    seen_at TEXT NOT NULL,
    PRIMARY KEY (vm_id, node)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    id      INTEGER PRIMARY KEY,
    at      TEXT NOT NULL,
    who     TEXT NOT NULL,                  -- login name and uid
    source  TEXT NOT NULL,                  -- terminal or client address
    what    TEXT NOT NULL,                  -- define, set, undefine, claim, release, ...
    vm_id   TEXT,
    detail  TEXT NOT NULL DEFAULT '',
    reason  TEXT
) STRICT;
CREATE INDEX audit_by_vm ON audit (vm_id, at);
