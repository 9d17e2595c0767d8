-- A NULL for a column that is NOT NULL at the target only is reported there, also where the column has a default.
-- expect: halt apply_error

CREATE TABLE t (id int PRIMARY KEY, v text);
--- setup west
ALTER TABLE t ALTER v SET NOT NULL, ALTER v SET DEFAULT 'never';
--- on east
INSERT INTO t VALUES (1, NULL);
--- repair
--- on west only
ALTER TABLE t ALTER v DROP NOT NULL;
