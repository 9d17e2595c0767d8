-- A byte above 127 in a "char" column is reported by a peer of Postgres 14, which would take it for a backslash.
-- min_version: west=15
-- max_version: east=14
-- expect: halt apply_error

CREATE DOMAIN byte AS "char";
CREATE TABLE t (id int PRIMARY KEY, c "char", d byte);
--- on west
INSERT INTO t VALUES (1, 'a', '\');
--- settle
--- on west only
INSERT INTO t VALUES (2, '\377', NULL);
UPDATE t SET d = '\200' WHERE id = 1;
--- on oracle
INSERT INTO t VALUES (2, NULL, NULL);
--- repair
--- on east only
ALTER TABLE t ALTER c TYPE text, ALTER d TYPE text;
--- check east `SELECT * FROM t ORDER BY id` = 1|a|\200;2|\377|NULL
--- compare
SELECT id FROM t
