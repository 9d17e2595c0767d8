-- 002 types: arrays, composites, enums, ranges, domains, hstore; updated and deleted under FULL.
-- contrib: hstore

CREATE TYPE tst_comp_basic_t AS (a float, b text, c int);
CREATE TYPE tst_comp_enum_t AS ENUM ('a', 'b', 'c', 'd', 'e');
CREATE TYPE tst_comp_w_enum AS (a float, b tst_comp_enum_t, c int);
CREATE DOMAIN tst_dom_constr AS int CHECK (VALUE > 5);
CREATE TABLE arrays (a int PRIMARY KEY, b int[], c tst_comp_basic_t[], d tst_comp_enum_t[], e tst_comp_w_enum[]);
CREATE TABLE comps (a int, b tst_comp_basic_t, c tst_comp_w_enum, PRIMARY KEY (a));
ALTER TABLE comps REPLICA IDENTITY FULL;
CREATE TABLE composite_key (k tst_comp_basic_t PRIMARY KEY, v int);
CREATE TABLE enum_key (k tst_comp_enum_t PRIMARY KEY, v int);
CREATE TABLE array_key (k text[] PRIMARY KEY, v int);
CREATE TABLE range_key (k int4range PRIMARY KEY, v tstzrange[]);
CREATE TABLE dom (a tst_dom_constr PRIMARY KEY, h hstore);
--- on east
INSERT INTO arrays VALUES (1, '{1,2,3}', ARRAY[(1.0, 'a', 1), (NULL, NULL, 2)]::tst_comp_basic_t[], '{a,b}', ARRAY[(1, 'c', 3)]::tst_comp_w_enum[]);
INSERT INTO comps VALUES (1, (1.5, 'x', NULL), (NULL, 'b', 2)), (2, NULL, (0.1, NULL, NULL));
INSERT INTO composite_key VALUES ((1, 'a', 1), 1), ((1, 'a,"', 2), 2);
INSERT INTO enum_key VALUES ('a', 1), ('e', 5);
INSERT INTO array_key VALUES ('{a,"b,c"}', 1), ('{}', 2);
INSERT INTO range_key VALUES ('[1,5)', '{"[2020-01-01 00:00+00,)"}'), ('empty', '{}');
INSERT INTO dom VALUES (6, 'a=>1'), (7, NULL);
--- on west
UPDATE arrays SET b[2] = NULL, e = e || (2, 'e', 0)::tst_comp_w_enum;
UPDATE comps SET b = (2.5, 'y', 1) WHERE a = 1;
DELETE FROM comps WHERE a = 2;
UPDATE composite_key SET k = (2, 'b', 1) WHERE v = 2;
DELETE FROM composite_key WHERE v = 1;
UPDATE enum_key SET k = 'c', v = 3 WHERE k = 'a';
UPDATE array_key SET k = k || 'x'::text;
UPDATE range_key SET v = NULL WHERE k = 'empty';
DELETE FROM range_key WHERE k = '[1,5)';
UPDATE dom SET a = 8, h = 'b=>NULL' WHERE a = 7;
