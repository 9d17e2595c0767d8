-- NULL stays NULL where the column has a default, and defaults are evaluated once, where the user wrote (PITFALLS D2).

CREATE TABLE t (id int PRIMARY KEY, v text DEFAULT 'default', w int DEFAULT 7, r float8 DEFAULT random(), c timestamptz DEFAULT clock_timestamp(), u uuid DEFAULT gen_random_uuid());
--- on east only
INSERT INTO t (id) VALUES (1), (2);
INSERT INTO t (id, v, w, r, c, u) VALUES (3, NULL, NULL, NULL, NULL, NULL), (4, '', 0, 0, 'epoch', NULL);
UPDATE t SET v = NULL, w = DEFAULT WHERE id = 2;
--- check all `SELECT count(*) FROM pg_attrdef WHERE adrelid = 't'::regclass` = 5
--- check east,west `SELECT id, v, w FROM t ORDER BY id` = 1|default|7;2|NULL|7;3|NULL|NULL;4||0
--- on west only
CREATE TABLE local_kept AS SELECT md5(string_agg(t::text, ',' ORDER BY id)) AS sum FROM t;
--- on east only
CREATE TABLE local_kept AS SELECT md5(string_agg(t::text, ',' ORDER BY id)) AS sum FROM t;
UPDATE t SET r = NULL, c = NULL, u = (SELECT sum::uuid FROM local_kept);
--- check west `SELECT DISTINCT u = sum::uuid FROM t, local_kept` = t
--- compare
SELECT 1
