-- 034 temporal: rows of keys WITHOUT OVERLAPS are found under FULL.
-- min_version: 18
-- contrib: btree_gist

CREATE TABLE t (id int4range, valid daterange, v text, UNIQUE (id, valid WITHOUT OVERLAPS));
ALTER TABLE t REPLICA IDENTITY FULL;
--- on east
INSERT INTO t VALUES ('[1,2)', '[2000-01-01,2010-01-01)', 'a'), ('[1,2)', '[2010-01-01,2020-01-01)', 'b'), ('[2,3)', '[2000-01-01,2010-01-01)', 'a');
UPDATE t SET v = 'c' WHERE id = '[2,3)';
UPDATE t SET valid = '[2020-01-01,2021-01-01)' WHERE v = 'b';
--- on west
DELETE FROM t WHERE v = 'a';
