-- 009 matviews: materialized views are each node's own.

CREATE TABLE test1 (a int PRIMARY KEY, b text);
--- on east
INSERT INTO test1 (a, b) VALUES (1, 'one'), (2, 'two');
CREATE MATERIALIZED VIEW testmv1 AS SELECT * FROM test1;
REFRESH MATERIALIZED VIEW testmv1;
INSERT INTO test1 VALUES (3, 'three');
DROP MATERIALIZED VIEW testmv1;
