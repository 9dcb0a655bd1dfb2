-- Registry, version 3: what a node told of its domains, for whoever asked with the token.

ALTER TABLE token ADD COLUMN inventory TEXT;
