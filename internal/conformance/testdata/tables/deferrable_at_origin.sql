-- Unique keys that are deferrable at their owner alone let it swap and shift values all the same, and what only the target has stays.
-- alone: its tables have an owner
-- ownership: - {tables: ["tables_deferrable_at_origin.*"], owner: east}

CREATE TABLE local_x (id int);
--- setup east oracle
CREATE TABLE t (id int PRIMARY KEY, pos int UNIQUE DEFERRABLE INITIALLY DEFERRED, big text);
CREATE TABLE f (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v text);
ALTER TABLE f REPLICA IDENTITY FULL;
--- setup west
CREATE TABLE t (id int PRIMARY KEY, pos int UNIQUE, big text, mine int GENERATED ALWAYS AS IDENTITY);
CREATE TABLE f (id int PRIMARY KEY, v text);
ALTER TABLE f REPLICA IDENTITY FULL;
--- setup
ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
--- on east
INSERT INTO t SELECT g, g, repeat('x', 5000) FROM generate_series(1, 50) g;
INSERT INTO f SELECT g, 'v' || g FROM generate_series(1, 50) g;
--- settle
--- on east
UPDATE t SET pos = pos + 1;
UPDATE t SET pos = 52 - pos;
UPDATE f SET id = id + 1;
UPDATE f SET id = 53 - id;
BEGIN;
INSERT INTO f VALUES (10, 'new');
DELETE FROM f WHERE id = 10 AND v <> 'new';
UPDATE f SET id = 12 WHERE id = 11;
UPDATE f SET id = 11 WHERE id = 12 AND v = (SELECT max(v) FROM f WHERE id = 12);
COMMIT;
BEGIN;
INSERT INTO t VALUES (60, 7, 'new');
UPDATE t SET pos = 60, big = 'moved' WHERE pos = 7 AND id <> 60;
DELETE FROM t WHERE pos = 8;
COMMIT;
--- check west `SELECT count(*) FROM t WHERE mine <> id AND id <= 50` = 0
--- compare
SELECT id, pos, big FROM t
SELECT * FROM f
