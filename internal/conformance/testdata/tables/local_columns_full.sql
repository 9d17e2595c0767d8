-- Under REPLICA IDENTITY FULL a node's own columns find no row and make no conflict, duplicates are one row at a time, and an update of nothing but them is nobody else's affair.

CREATE TABLE t (v text, big text);
ALTER TABLE t REPLICA IDENTITY FULL;
CREATE TABLE k (id int PRIMARY KEY, v text);
ALTER TABLE k REPLICA IDENTITY FULL;
--- setup east
ALTER TABLE t ADD local_e int DEFAULT 1;
ALTER TABLE k ADD local_e int DEFAULT 1;
--- setup west
ALTER TABLE t ADD local_w text DEFAULT 'west';
ALTER TABLE k ADD local_w text DEFAULT 'west';
--- setup oracle
ALTER TABLE t ADD local_e int, ADD local_w text;
ALTER TABLE k ADD local_e int, ADD local_w text;
--- on east
INSERT INTO t VALUES ('same', NULL, 1), ('same', NULL, 2), ('same', NULL, 3), (NULL, repeat('x', 10000), 4), (NULL, NULL, NULL);
INSERT INTO k VALUES (1, 'a', 1), (2, 'b', 2);
--- on west
UPDATE t SET local_w = 'other' WHERE v IS NULL;
UPDATE k SET local_w = 'other' WHERE id = 1;
--- on east
UPDATE t SET v = 'changed', local_e = 20 WHERE local_e = 2;
UPDATE t SET v = 'big' WHERE big IS NOT NULL;
DELETE FROM t WHERE local_e = 1;
UPDATE k SET local_e = 5;
UPDATE k SET v = 'c', id = 3, local_e = 6 WHERE id = 1;
--- on west
UPDATE k SET v = 'd', local_w = NULL;
DELETE FROM t WHERE v = 'big' AND local_w = 'other';
--- check east `SELECT v, local_e FROM t ORDER BY v` = changed|20;same|3;NULL|NULL
--- check west `SELECT v, local_w FROM t ORDER BY v` = changed|west;same|west;NULL|other
--- check east `SELECT * FROM k ORDER BY id` = 2|d|5;3|d|6
--- check west `SELECT * FROM k ORDER BY id` = 2|d|NULL;3|d|NULL
