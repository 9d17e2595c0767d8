-- Columns added with a default that is not written into old rows arrive with it.

CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE f (id int, v text);
ALTER TABLE f REPLICA IDENTITY FULL;
--- on east
INSERT INTO t SELECT g, 'v' FROM generate_series(1, 5) g;
INSERT INTO f TABLE t;
--- on all
ALTER TABLE t ADD added int DEFAULT 42, ADD at timestamptz DEFAULT '2024-01-01 00:00+00', ADD big text DEFAULT repeat('x', 10000) NOT NULL;
ALTER TABLE f ADD added int DEFAULT 42, ADD empty text;
--- on east
UPDATE t SET v = 'w' WHERE id = 1;
INSERT INTO t (id) VALUES (6);
UPDATE f SET v = 'w' WHERE id = 1;
DELETE FROM f WHERE id = 2;
--- on west
UPDATE t SET added = NULL WHERE id = 2;
UPDATE f SET added = added + 1 WHERE id > 3;
