-- Values of a unique column are swapped between rows, and handed on by delete and insert (PITFALLS D3).

CREATE TABLE t (id int PRIMARY KEY, u text UNIQUE, v int UNIQUE);
--- on east
INSERT INTO t SELECT g, 'u' || g, g FROM generate_series(1, 6) g;
BEGIN;
UPDATE t SET u = NULL WHERE id = 1;
UPDATE t SET u = 'u1' WHERE id = 2;
UPDATE t SET u = 'u2' WHERE id = 1;
UPDATE t SET v = -v;
UPDATE t SET v = 1 WHERE id = 6;
COMMIT;
BEGIN;
DELETE FROM t WHERE id = 3;
UPDATE t SET u = 'u3' WHERE id = 4;
INSERT INTO t VALUES (3, 'u4', 100);
COMMIT;
--- on west
BEGIN;
DELETE FROM t WHERE id = 5;
INSERT INTO t VALUES (7, 'u5', -5);
INSERT INTO t VALUES (5, 'u7', 7);
COMMIT;
