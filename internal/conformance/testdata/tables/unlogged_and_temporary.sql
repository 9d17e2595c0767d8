-- Unlogged and temporary tables stay at their node, in transactions with others too.

CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY, v text);
--- on east
CREATE TEMPORARY TABLE temporary (id int PRIMARY KEY, v text);
CREATE TEMPORARY TABLE t (id int PRIMARY KEY, v text);
BEGIN;
INSERT INTO temporary VALUES (1, 'a');
INSERT INTO unlogged VALUES (1, 'a');
INSERT INTO tables_unlogged_and_temporary.t VALUES (1, 'a');
INSERT INTO t VALUES (2, 'temporary');
COMMIT;
TRUNCATE unlogged;
DROP TABLE pg_temp.t;
INSERT INTO t VALUES (3, 'c');
INSERT INTO unlogged VALUES (2, 'b');
--- check west `SELECT count(*) FROM unlogged` = 0
