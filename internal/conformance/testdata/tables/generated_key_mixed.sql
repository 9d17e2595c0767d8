-- A replica identity on a generated column, which only Postgres 18 sends, finds its rows at an older node that has another identity and a unique key on that column.
-- min_version: east=18
-- max_version: west=17

CREATE TABLE local_x (id int);
--- setup east
CREATE TABLE t (n int NOT NULL, id int GENERATED ALWAYS AS (n * 10) STORED PRIMARY KEY, v text, UNIQUE (n));
--- setup west oracle
CREATE TABLE t (n int PRIMARY KEY, id int GENERATED ALWAYS AS (n * 10) STORED NOT NULL UNIQUE, v text);
--- on east
INSERT INTO t (n, v) VALUES (1, 'a'), (2, 'b'), (3, 'c');
UPDATE t SET v = 'd' WHERE id = 10;
UPDATE t SET n = n + 10;
DELETE FROM t WHERE id = 120;
--- on west
UPDATE t SET v = 'west', n = n + 1 WHERE n = 13;
INSERT INTO t (n, v) VALUES (50, 'west');
DELETE FROM t WHERE n = 11;
--- on east
UPDATE t SET v = 'east' WHERE n = 50;
