-- A transaction that swaps values of nobody's rows halts where their unique key is not deferrable as at its origin, and arrives once it is.
-- expect: halt conflict

CREATE TABLE local_x (id int);
--- setup east oracle
CREATE TABLE t (id int PRIMARY KEY, pos int CONSTRAINT once UNIQUE DEFERRABLE);
--- setup west
CREATE TABLE t (id int PRIMARY KEY, pos int CONSTRAINT once UNIQUE);
--- on east
INSERT INTO t VALUES (1, 1), (2, 2), (3, 3);
UPDATE t SET pos = pos + 1;
--- repair
--- check west `SELECT count(*) FROM t` = 3
--- on west only
ALTER TABLE t DROP CONSTRAINT once, ADD CONSTRAINT once UNIQUE (pos) DEFERRABLE;
