-- Bytes above 127 in "char" columns arrive, from Postgres 15 on.
-- min_version: 15

CREATE TABLE t (id int PRIMARY KEY, c "char");
CREATE TABLE f (c "char");
ALTER TABLE f REPLICA IDENTITY FULL;
--- on east
INSERT INTO t SELECT n, n::"char" FROM generate_series(-128, 127) n;
INSERT INTO f VALUES ('\377'), ('\377'), ('\200'), ('\'), ('');
--- on west
UPDATE f SET c = '\201' WHERE ctid = (SELECT min(ctid) FROM f);
DELETE FROM f WHERE c = '\';
UPDATE t SET c = '\300' WHERE id = 0;
