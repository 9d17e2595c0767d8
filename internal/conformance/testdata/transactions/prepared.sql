-- Prepared transactions arrive when they are committed, in that order, and not at all when rolled back.

CREATE TABLE t (id int PRIMARY KEY, v text);
--- on east
BEGIN; INSERT INTO t VALUES (1, 'prepared'); PREPARE TRANSACTION 'one';
BEGIN; INSERT INTO t VALUES (2, 'prepared'); SAVEPOINT s; INSERT INTO t VALUES (9, 'undone'); ROLLBACK TO s; PREPARE TRANSACTION 'two';
BEGIN; INSERT INTO t VALUES (3, 'rolled back'); PREPARE TRANSACTION 'three';
INSERT INTO t VALUES (4, 'ordinary');
COMMIT PREPARED 'two';
--- settle
--- check west `SELECT id FROM t ORDER BY id` = 2;4
--- on east
UPDATE t SET v = 'between';
COMMIT PREPARED 'one';
ROLLBACK PREPARED 'three';
--- on west
BEGIN; UPDATE t SET v = 'west'; PREPARE TRANSACTION 'four';
COMMIT PREPARED 'four';
