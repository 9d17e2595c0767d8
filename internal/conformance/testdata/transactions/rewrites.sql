-- VACUUM FULL, CLUSTER and ALTER TYPE rewrite the table and send nothing; what is written around them arrives.

CREATE TABLE t (id int PRIMARY KEY, n int, v text);
ALTER TABLE t ALTER v SET STORAGE EXTERNAL;
CREATE MATERIALIZED VIEW summary AS SELECT count(*) FROM t;
--- on east
INSERT INTO t SELECT g, g, repeat('x', 5000) FROM generate_series(1, 20) g;
VACUUM FULL t;
CLUSTER t USING t_pkey;
REFRESH MATERIALIZED VIEW summary;
UPDATE t SET n = n + 1 WHERE id < 5;
VACUUM (FREEZE, ANALYZE) t;
--- on all
ALTER TABLE t ALTER n TYPE numeric USING n + 0.5;
ALTER TABLE t ALTER v TYPE varchar, ADD added timestamptz DEFAULT '2024-01-01 00:00+00';
REINDEX TABLE t;
--- on east
UPDATE t SET n = n + 0.25 WHERE id = 1;
--- on west
VACUUM FULL t;
UPDATE t SET v = 'short' WHERE id > 10;
