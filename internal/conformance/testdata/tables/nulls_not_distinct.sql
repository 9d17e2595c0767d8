-- A unique key whose NULLs are equal is carried through deletes, swaps and inserts.
-- min_version: 15

CREATE TABLE t (id int PRIMARY KEY, v int UNIQUE NULLS NOT DISTINCT);
--- on east
INSERT INTO t VALUES (1, NULL), (2, 2);
BEGIN;
UPDATE t SET v = 1 WHERE id = 1;
UPDATE t SET v = NULL WHERE id = 2;
COMMIT;
--- on west
BEGIN;
DELETE FROM t WHERE id = 2;
INSERT INTO t VALUES (3, NULL);
COMMIT;
