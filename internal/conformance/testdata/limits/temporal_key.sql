-- A replica identity by a key WITHOUT OVERLAPS is reported at the first update, and inserts arrive.
-- min_version: 18
-- alone: nothing ends the halt but another identity
-- contrib: btree_gist
-- expect: halt no_key
-- limit: keys WITHOUT OVERLAPS do not find rows yet; use REPLICA IDENTITY FULL

CREATE TABLE t (id int4range, valid daterange, v text, PRIMARY KEY (id, valid WITHOUT OVERLAPS));
--- on east
INSERT INTO t VALUES ('[1,2)', '[2000-01-01,2010-01-01)', 'a'), ('[1,2)', '[2010-01-01,2020-01-01)', 'b');
--- settle
--- check west `SELECT count(*) FROM t` = 2
--- on east
UPDATE t SET v = 'c';
--- halted
--- check west `SELECT string_agg(v, ',' ORDER BY v) FROM t` = a,b
