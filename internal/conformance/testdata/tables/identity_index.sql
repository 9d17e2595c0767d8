-- A replica identity by index finds rows, with several columns and beside a primary key; it may change while running.

CREATE TABLE t (id int PRIMARY KEY, code text NOT NULL, region text NOT NULL, v int);
CREATE UNIQUE INDEX t_code ON t (code, region) INCLUDE (v);
CREATE UNIQUE INDEX t_code_only ON t (code, region);
ALTER TABLE t REPLICA IDENTITY USING INDEX t_code_only;
CREATE TABLE changes (id int PRIMARY KEY, other int NOT NULL UNIQUE, v text);
--- on east
INSERT INTO t VALUES (1, 'a', 'x', 1), (2, 'b', 'x', 2), (3, 'a', 'y', 3);
INSERT INTO changes VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c');
UPDATE t SET code = 'c', id = 9 WHERE id = 1;
--- on west
UPDATE t SET v = 3, id = 8 WHERE id = 2;
DELETE FROM t WHERE id = 3;
--- on all
ALTER TABLE changes REPLICA IDENTITY USING INDEX changes_other_key;
--- on east
UPDATE changes SET id = id + 100 WHERE id = 1;
DELETE FROM changes WHERE id = 2;
--- on all
ALTER TABLE changes REPLICA IDENTITY FULL;
--- on west
UPDATE changes SET v = 'd', other = 31 WHERE id = 3;
--- on all
ALTER TABLE changes REPLICA IDENTITY DEFAULT;
--- on east
UPDATE changes SET id = 4 WHERE id = 3;
