-- A row that violates a constraint which only the target has is reported there.
-- expect: halt apply_error

CREATE TABLE t (id int PRIMARY KEY, v int);
--- setup west
ALTER TABLE t ADD CONSTRAINT small CHECK (v < 10);
--- on east
INSERT INTO t VALUES (1, 5), (2, 50);
--- repair
--- on west only
ALTER TABLE t DROP CONSTRAINT small;
