-- A second NULL is reported where NULLs are equal at a peer only.
-- min_version: east=15
-- expect: halt conflict

CREATE TABLE local_x (id int);
--- setup east
CREATE TABLE t (id int PRIMARY KEY, v int, CONSTRAINT one UNIQUE NULLS NOT DISTINCT (v));
--- setup west oracle
CREATE TABLE t (id int PRIMARY KEY, v int, CONSTRAINT one UNIQUE (v));
--- on west
INSERT INTO t VALUES (1, NULL), (2, 2);
UPDATE t SET v = 1 WHERE id = 1;
UPDATE t SET v = NULL WHERE id = 2;
--- settle
--- on west
INSERT INTO t VALUES (3, NULL);
--- repair
--- check east `SELECT count(*) FROM t` = 2
--- on east only
ALTER TABLE t DROP CONSTRAINT one;
