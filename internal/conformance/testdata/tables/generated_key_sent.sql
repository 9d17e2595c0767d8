-- A replica identity on a stored generated column, which Postgres 18 sends, finds its rows; no peer writes the column.
-- min_version: 18

CREATE TABLE t (n int NOT NULL, id int GENERATED ALWAYS AS (n * 10) STORED PRIMARY KEY, v text);
CREATE TABLE u (id int PRIMARY KEY, code text, slug text GENERATED ALWAYS AS (lower(code)) STORED NOT NULL UNIQUE, v text);
ALTER TABLE u REPLICA IDENTITY USING INDEX u_slug_key;
CREATE TABLE w (a int, half int GENERATED ALWAYS AS (a / 2) STORED, v text, PRIMARY KEY (a, half));
--- on east
INSERT INTO t (n, v) VALUES (1, 'a'), (2, 'b'), (3, 'c');
INSERT INTO u (id, code, v) VALUES (1, 'One', 'a'), (2, 'Two', 'b');
INSERT INTO w (a, v) VALUES (1, 'a'), (2, 'b');
UPDATE t SET v = 'd' WHERE n = 1;
UPDATE t SET n = n + 10;
DELETE FROM t WHERE id = 120;
UPDATE u SET code = 'ONE' WHERE id = 1;
UPDATE u SET code = 'Three', id = 3 WHERE id = 2;
BEGIN;
UPDATE u SET code = 'x' WHERE id = 1;
UPDATE u SET code = 'one' WHERE id = 3;
UPDATE u SET code = 'three' WHERE id = 1;
COMMIT;
UPDATE w SET a = a + 2;
DELETE FROM w WHERE v = 'a';
--- on west
INSERT INTO t (n, v) VALUES (50, 'west');
--- on east
UPDATE t SET v = 'east' WHERE n = 50;
--- on west
UPDATE t SET n = n + 1;
UPDATE u SET code = code || '!';
DELETE FROM w WHERE half = 2;
