-- Whole tables are emptied by DELETE and filled again with the same keys, in one transaction and in several.

CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE, v text);
--- on east
INSERT INTO t SELECT g, g, 'a' FROM generate_series(1, 500) g;
BEGIN; DELETE FROM t; INSERT INTO t SELECT g, 501 - g, 'b' FROM generate_series(1, 500) g; COMMIT;
DELETE FROM t WHERE id > 250;
INSERT INTO t SELECT g, 1000 + g, 'c' FROM generate_series(251, 600) g;
--- on west
BEGIN; DELETE FROM t; INSERT INTO t SELECT g, g, 'd' FROM generate_series(1, 100) g; COMMIT;
