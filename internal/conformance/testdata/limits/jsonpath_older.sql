-- A jsonpath with what an older peer lacks is reported there, and arrives once the column takes it.
-- min_version: east=17
-- max_version: west=16
-- expect: halt apply_error

CREATE TABLE t (id int PRIMARY KEY, j jsonpath);
--- on east only
INSERT INTO t VALUES (1, '$.a.integer()');
--- on oracle
INSERT INTO t VALUES (1, '$');
--- repair
--- on west only
ALTER TABLE t ALTER j TYPE text;
--- check west `SELECT j FROM t` = $."a".integer()
--- compare
SELECT id FROM t
