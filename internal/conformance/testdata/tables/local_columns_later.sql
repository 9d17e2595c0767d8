-- A column of a node's own may come and go while everything runs, where its name is in the federation file, also beside columns that all nodes get.

CREATE TABLE t (id int PRIMARY KEY, v text);
--- on east
INSERT INTO t VALUES (1, 'a'), (2, 'b');
--- on east only
ALTER TABLE t ADD local_x text DEFAULT 'x';
INSERT INTO t VALUES (3, 'c', 'secret');
UPDATE t SET local_x = 'secret' WHERE id = 1;
BEGIN;
UPDATE t SET v = 'before' WHERE id = 2;
ALTER TABLE t ADD local_y int DEFAULT 7, DROP local_x;
UPDATE t SET v = v || ' and after', local_y = 8 WHERE id = 2;
COMMIT;
--- on west only
ALTER TABLE t ADD local_x int DEFAULT 5;
UPDATE t SET v = 'west', local_x = 6 WHERE id = 3;
ALTER TABLE t ADD w int;
--- on east only
ALTER TABLE t ADD w int DEFAULT 1, ADD local_z int;
INSERT INTO t VALUES (4, 'd', 1, 2, 3);
--- on oracle
ALTER TABLE t ADD w int;
UPDATE t SET v = 'before and after' WHERE id = 2;
INSERT INTO t VALUES (3, 'west', NULL), (4, 'd', 2);
--- check west `SELECT * FROM t ORDER BY id` = 1|a|5|NULL;2|before and after|5|NULL;3|west|6|NULL;4|d|5|2
--- compare
SELECT id, v FROM t
SELECT w FROM t WHERE id = 4
