-- Rows are found by keys WITHOUT OVERLAPS, as primary key, as identity index and under FULL, also when their range changes; PERIOD foreign keys stay silent.
-- min_version: 18
-- contrib: btree_gist

CREATE TABLE p (id int4range, valid daterange, v text, PRIMARY KEY (id, valid WITHOUT OVERLAPS));
CREATE TABLE u (id int NOT NULL, name text NOT NULL, valid tstzmultirange NOT NULL, v text, CONSTRAINT u_key UNIQUE (name, id, valid WITHOUT OVERLAPS));
ALTER TABLE u REPLICA IDENTITY USING INDEX u_key;
CREATE TABLE f (id int, valid int4range, v text, PRIMARY KEY (id, valid WITHOUT OVERLAPS));
ALTER TABLE f REPLICA IDENTITY FULL;
CREATE TABLE child (id int PRIMARY KEY, p int4range, valid daterange, FOREIGN KEY (p, PERIOD valid) REFERENCES p (id, PERIOD valid));
CREATE TABLE parts (id int, valid daterange, v text, PRIMARY KEY (id, valid WITHOUT OVERLAPS)) PARTITION BY RANGE (id);
CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (10) TO (20);
CREATE TABLE d (id int, valid daterange, v text, PRIMARY KEY (id, valid WITHOUT OVERLAPS) DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE d REPLICA IDENTITY FULL;
--- on east
INSERT INTO p VALUES ('[1,2)', '[2000-01-01,2010-01-01)', 'a'), ('[1,2)', '[2010-01-01,2020-01-01)', 'b'), ('[2,3)', '(,)', 'c'), ('[3,4)', '[2000-01-01,2010-01-01)', 'd');
INSERT INTO u VALUES (1, 'x', '{[2000-01-01,2001-01-01),[2002-01-01,2003-01-01)}', 'a'), (1, 'x', '{[2001-01-01,2002-01-01)}', 'b'), (1, 'y', '{[2001-01-01,2002-01-01)}', NULL);
INSERT INTO f VALUES (1, '[1,5)', 'a'), (1, '[5,9)', NULL), (2, '[1,9)', 'c');
INSERT INTO child VALUES (1, '[1,2)', '[2005-01-01,2015-01-01)');
INSERT INTO parts VALUES (1, '[2000-01-01,2010-01-01)', 'a'), (1, '[2010-01-01,2020-01-01)', 'b'), (12, '[2000-01-01,2010-01-01)', 'c');
INSERT INTO d VALUES (1, '[2000-01-01,2010-01-01)', 'a'), (1, '[2010-01-01,2020-01-01)', 'b');
UPDATE p SET v = 'e' WHERE v = 'b';
UPDATE p SET valid = '[2020-01-01,2021-01-01)' WHERE v = 'd';
UPDATE u SET valid = '{[2001-01-01,2001-06-01)}', v = 'c' WHERE v = 'b';
UPDATE f SET valid = '[10,20)' WHERE id = 2;
DELETE FROM f WHERE v IS NULL;
UPDATE parts SET id = 13 WHERE v = 'b';
--- on west
DELETE FROM p WHERE id = '[2,3)';
UPDATE u SET id = id + 1;
UPDATE parts SET valid = '[2015-01-01,2016-01-01)';
UPDATE child SET valid = '[2011-01-01,2015-01-01)';
BEGIN;
DELETE FROM p WHERE v = 'a';
INSERT INTO p VALUES ('[1,2)', '[2000-01-01,2005-01-01)', 'a1'), ('[1,2)', '[2005-01-01,2010-01-01)', 'a2');
UPDATE p SET valid = '[2005-01-01,2007-01-01)' WHERE v = 'a2';
INSERT INTO p VALUES ('[1,2)', '[2007-01-01,2010-01-01)', 'a3');
COMMIT;
UPDATE f SET v = 'west', valid = '[1,4)' WHERE v = 'a';
BEGIN;
UPDATE d SET valid = '[2010-01-01,2020-01-01)' WHERE v = 'a';
UPDATE d SET valid = '[2000-01-01,2010-01-01)' WHERE v = 'b';
COMMIT;
--- on east
DELETE FROM u WHERE v IS NULL;
BEGIN;
UPDATE child SET valid = '[2001-01-01,2009-01-01)';
DELETE FROM p WHERE v = 'e';
COMMIT;
