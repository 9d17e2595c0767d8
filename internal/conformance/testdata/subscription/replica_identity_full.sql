-- 032 subscribe_use_index: FULL with and without indexes at the target, partial, hash and expression ones, unique ones and those the origin lacks, over columns of its own.

CREATE TABLE t (x int, y text, z jsonb);
ALTER TABLE t REPLICA IDENTITY FULL;
CREATE TABLE hashed (x int, y text);
ALTER TABLE hashed REPLICA IDENTITY FULL;
CREATE TABLE few (x int);
ALTER TABLE few REPLICA IDENTITY FULL;
--- setup west
ALTER TABLE few ADD own int;
CREATE UNIQUE INDEX ON few (x, own);
CREATE INDEX ON hashed USING hash (x);
CREATE INDEX ON hashed (y, x, (y || x));
CREATE INDEX ON t (x);
CREATE UNIQUE INDEX ON t (x, y, z) WHERE x < 0;
CREATE INDEX ON t ((x + 1));
--- on east
INSERT INTO t SELECT g % 10, 'y' || g % 3, jsonb_build_object('g', g % 2) FROM generate_series(1, 120) g;
INSERT INTO t VALUES (NULL, NULL, NULL), (NULL, 'y', NULL);
UPDATE t SET x = 20 WHERE x = 5;
INSERT INTO hashed SELECT g, g % 10 FROM generate_series(0, 10) g;
DELETE FROM hashed WHERE x IN (5, 6);
UPDATE hashed SET x = 100, y = '200' WHERE x IN (1, 2);
INSERT INTO few VALUES (1), (2), (2), (3), (NULL);
UPDATE few SET x = 5 WHERE x = 1 OR x IS NULL;
DELETE FROM few WHERE ctid = (SELECT min(ctid) FROM few WHERE x = 2);
DELETE FROM t WHERE x = 6;
--- on west
UPDATE t SET y = 'null' WHERE x IS NULL;
DELETE FROM t WHERE ctid IN (SELECT ctid FROM t WHERE x = 7 LIMIT 3);
--- check west `SELECT count(*) FROM few WHERE own IS NULL` = 4
--- compare
SELECT * FROM t
SELECT * FROM hashed
SELECT x FROM few
