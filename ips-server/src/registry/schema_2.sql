-- Registry, version 2: what a domain in the wrong place does there.

ALTER TABLE conflict ADD COLUMN state TEXT NOT NULL DEFAULT 'unknown';
