-- A column of a node's own that is NOT NULL without a default lets no row of a peer's in: that is reported, and they arrive once it has one.
-- expect: halt apply_error

CREATE TABLE t (id int PRIMARY KEY, v text);
--- setup west
ALTER TABLE t ADD local_w int NOT NULL;
--- on east
INSERT INTO t VALUES (1, 'a');
--- repair
--- on west only
ALTER TABLE t ALTER local_w SET DEFAULT 5;
