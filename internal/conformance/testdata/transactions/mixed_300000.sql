-- A transaction of 300,000 rows of mixed kinds is carried and applied whole.
-- slow: 300,000 rows

CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE, v text);
CREATE TABLE f (a int, b text);
ALTER TABLE f REPLICA IDENTITY FULL;
--- on east
BEGIN;
INSERT INTO t SELECT g, g, 'v' || g FROM generate_series(1, 150000) g;
UPDATE t SET v = v || '!' WHERE id % 3 = 0;
SAVEPOINT s;
DELETE FROM t;
ROLLBACK TO s;
UPDATE t SET id = -id WHERE id % 10 = 0;
DELETE FROM t WHERE id % 4 = 0;
INSERT INTO t SELECT g, g, 'again' FROM generate_series(1, 150000) g WHERE g % 4 = 0 AND g % 10 <> 0;
INSERT INTO f SELECT g % 7, NULL FROM generate_series(1, 2000) g;
DELETE FROM f WHERE ctid IN (SELECT ctid FROM f ORDER BY ctid LIMIT 100);
COMMIT;
