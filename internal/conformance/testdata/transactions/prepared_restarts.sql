-- A prepared transaction survives the restart of database and replicators, and arrives when it is committed.
-- alone: restarts a database

CREATE TABLE t (id int PRIMARY KEY, v text);
--- on east
BEGIN; INSERT INTO t VALUES (1, 'prepared'); PREPARE TRANSACTION 'restarts';
INSERT INTO t VALUES (2, 'before');
--- settle
--- kill postgres east
--- restart replicator east
--- restart replicator west
--- on east
INSERT INTO t VALUES (3, 'after');
--- settle
--- check west `SELECT id FROM t ORDER BY id` = 2;3
--- on east
COMMIT PREPARED 'restarts';
--- restart postgres west
--- on east
UPDATE t SET v = v || '!';
