-- Deferrable unique keys, checked at commit, let values be swapped and shifted.

CREATE TABLE t (id int PRIMARY KEY, pos int UNIQUE DEFERRABLE INITIALLY DEFERRED, soft int UNIQUE DEFERRABLE);
CREATE TABLE f (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v text);
ALTER TABLE f REPLICA IDENTITY FULL;
--- on east
INSERT INTO t SELECT g, g, g FROM generate_series(1, 10) g;
INSERT INTO f SELECT g, 'v' || g FROM generate_series(1, 10) g;
UPDATE t SET pos = pos + 1;
BEGIN;
UPDATE t SET pos = 0 WHERE id = 1;
UPDATE t SET pos = 2 WHERE id = 2;
UPDATE t SET soft = 11 - soft;
COMMIT;
UPDATE f SET id = id + 1;
--- on west
BEGIN;
UPDATE f SET id = 11 WHERE v = 'v1';
UPDATE f SET id = 2 WHERE v = 'v10';
COMMIT;
UPDATE t SET soft = 11 - soft, pos = pos - 1;
DELETE FROM f WHERE id = 5;
