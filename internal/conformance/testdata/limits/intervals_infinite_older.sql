-- An infinite interval is reported at a peer before Postgres 17, with the column and no value, and arrives once the column takes it.
-- min_version: east=17
-- max_version: west=16
-- expect: halt apply_error

CREATE TABLE t (id int PRIMARY KEY, i interval);
--- on east
INSERT INTO t VALUES (1, '1 day');
--- settle
--- on east only
INSERT INTO t VALUES (2, '-infinity');
UPDATE t SET i = 'infinity' WHERE id = 1;
--- on oracle
INSERT INTO t VALUES (2, NULL);
--- repair
--- on west only
ALTER TABLE t ALTER i TYPE text;
--- check west `SELECT * FROM t ORDER BY id` = 1|infinity;2|-infinity
--- compare
SELECT id FROM t
