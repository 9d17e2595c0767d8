-- A transaction that stays open over other commits, a checkpoint and both replicators' restarts arrives when it commits.

CREATE TABLE t (id int PRIMARY KEY, v text);
--- on east session long
BEGIN;
INSERT INTO t SELECT g, repeat('long', 50) FROM generate_series(1000, 3000) g;
--- on east session short
INSERT INTO t VALUES (1, 'a');
CHECKPOINT;
--- settle
--- restart replicator east
--- restart replicator west
--- on east session short
INSERT INTO t VALUES (2, 'b');
--- settle
--- check west `SELECT count(*) FROM t` = 2
--- on east session long
UPDATE t SET v = 'seen' WHERE id < 10;
COMMIT;
