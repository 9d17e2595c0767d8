-- 032 subscribe_use_index: FULL with and without indexes at the target, partial and expression ones, and those the origin lacks.

CREATE TABLE t (x int, y text, z jsonb);
ALTER TABLE t REPLICA IDENTITY FULL;
--- setup west
CREATE INDEX ON t (x);
CREATE UNIQUE INDEX ON t (x, y, z) WHERE x < 0;
CREATE INDEX ON t ((x + 1));
--- on east
INSERT INTO t SELECT g % 10, 'y' || g % 3, jsonb_build_object('g', g % 2) FROM generate_series(1, 120) g;
INSERT INTO t VALUES (NULL, NULL, NULL), (NULL, 'y', NULL);
UPDATE t SET x = 20 WHERE x = 5;
DELETE FROM t WHERE x = 6;
--- on west
UPDATE t SET y = 'null' WHERE x IS NULL;
DELETE FROM t WHERE ctid IN (SELECT ctid FROM t WHERE x = 7 LIMIT 3);
