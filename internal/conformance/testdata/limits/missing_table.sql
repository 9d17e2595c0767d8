-- A table that a peer lacks halts its origin there with its name, and everything arrives once it is made.
-- expect: halt missing_table
-- limit: tables and columns are made at every node by people; a change of a table that a node lacks waits there

CREATE TABLE t (id int PRIMARY KEY, v text);
--- setup east oracle
CREATE TABLE here (id int PRIMARY KEY, v text);
--- on east
BEGIN; INSERT INTO t VALUES (1, 'a'); INSERT INTO here VALUES (1, 'a'); COMMIT;
--- repair
--- check west `SELECT count(*) FROM t` = 0
--- on west only
CREATE TABLE here (id int PRIMARY KEY, v text);
GRANT ALL ON here TO pgfed_replicator;
