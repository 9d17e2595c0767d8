-- Rows of MERGE, of data-modifying WITH, of functions and of ON CONFLICT arrive as they ended.
-- min_version: 15

CREATE TABLE t (id int PRIMARY KEY, v int);
CREATE TABLE log (id int PRIMARY KEY, was int);
CREATE FUNCTION in_both(i int) RETURNS void LANGUAGE sql AS 'INSERT INTO t VALUES (i, i); INSERT INTO log VALUES (i, i)';
--- on east
INSERT INTO t SELECT g, g FROM generate_series(1, 10) g;
MERGE INTO t USING generate_series(5, 15) s(id) ON t.id = s.id WHEN MATCHED AND t.v % 2 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET v = -v WHEN NOT MATCHED THEN INSERT VALUES (s.id, 0);
WITH gone AS (DELETE FROM t WHERE v < 0 RETURNING *) INSERT INTO log SELECT * FROM gone;
SELECT in_both(100);
--- on west
WITH moved AS (UPDATE t SET v = v + 1 RETURNING *) UPDATE t SET v = 0 WHERE false;
INSERT INTO t SELECT g, g FROM generate_series(1, 20) g ON CONFLICT (id) DO UPDATE SET v = excluded.v * 100 WHERE t.v = 0;
