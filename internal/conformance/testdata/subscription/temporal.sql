-- 034 temporal: tables without a key, with a primary key and with a unique key WITHOUT OVERLAPS, under each replica identity.
-- min_version: 18
-- contrib: btree_gist
-- insert_only: pk_nothing unique_default

CREATE TABLE no_key_full (id int4range, valid_at daterange, a text);
CREATE TABLE pk_default (id int4range, valid_at daterange, a text, PRIMARY KEY (id, valid_at WITHOUT OVERLAPS));
CREATE TABLE pk_full (LIKE pk_default INCLUDING ALL);
CREATE TABLE pk_index (LIKE pk_default INCLUDING ALL);
CREATE TABLE pk_nothing (LIKE pk_default INCLUDING ALL);
CREATE TABLE unique_default (id int4range, valid_at daterange, a text, UNIQUE (id, valid_at WITHOUT OVERLAPS));
CREATE TABLE unique_full (LIKE unique_default INCLUDING ALL);
CREATE TABLE unique_index (id int4range NOT NULL, valid_at daterange NOT NULL, a text, CONSTRAINT unique_index_key UNIQUE (id, valid_at WITHOUT OVERLAPS));
ALTER TABLE no_key_full REPLICA IDENTITY FULL;
ALTER TABLE pk_full REPLICA IDENTITY FULL;
ALTER TABLE pk_index REPLICA IDENTITY USING INDEX pk_index_pkey;
ALTER TABLE pk_nothing REPLICA IDENTITY NOTHING;
ALTER TABLE unique_full REPLICA IDENTITY FULL;
ALTER TABLE unique_index REPLICA IDENTITY USING INDEX unique_index_key;
--- on east
INSERT INTO no_key_full VALUES ('[1,2)', '[2000-01-01,2010-01-01)', 'a'), ('[1,2)', '[2010-01-01,2020-01-01)', 'b'), ('[2,3)', '[2000-01-01,2010-01-01)', 'a');
INSERT INTO pk_default TABLE no_key_full;
INSERT INTO pk_full TABLE no_key_full;
INSERT INTO pk_index TABLE no_key_full;
INSERT INTO pk_nothing TABLE no_key_full;
INSERT INTO unique_default TABLE no_key_full;
INSERT INTO unique_default VALUES ('[1,2)', NULL, 'c'), (NULL, '[2000-01-01,2010-01-01)', 'c');
INSERT INTO unique_full TABLE unique_default;
INSERT INTO unique_index TABLE no_key_full;
UPDATE no_key_full SET a = 'c' WHERE id = '[2,3)';
UPDATE pk_default SET a = 'c' WHERE id = '[2,3)';
UPDATE pk_full SET a = 'c' WHERE id = '[2,3)';
UPDATE pk_index SET a = 'c' WHERE id = '[2,3)';
UPDATE unique_full SET a = 'd' WHERE valid_at IS NULL;
UPDATE unique_full SET valid_at = '[2020-01-01,2021-01-01)' WHERE a = 'b';
UPDATE unique_index SET a = 'c' WHERE id = '[2,3)';
--- fails east 55000
UPDATE pk_nothing SET a = 'c' WHERE id = '[2,3)';
UPDATE unique_default SET a = 'c' WHERE id = '[2,3)';
DELETE FROM unique_default;
--- on west
DELETE FROM no_key_full WHERE a = 'c';
DELETE FROM pk_default WHERE a = 'c';
DELETE FROM pk_full WHERE a = 'c';
DELETE FROM pk_index WHERE a = 'c';
DELETE FROM unique_full WHERE a IN ('a', 'd');
DELETE FROM unique_index WHERE a = 'c';
UPDATE pk_default SET id = '[7,8)', valid_at = '[2001-01-01,2002-01-01)' WHERE a = 'b';
TRUNCATE pk_nothing, unique_default;
