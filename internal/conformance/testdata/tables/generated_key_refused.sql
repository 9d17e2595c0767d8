-- A replica identity on a generated column is refused by the server itself at the first UPDATE.
-- min_version: 18
-- expect: refused-by-server 42P10

CREATE TABLE t (n int NOT NULL, id int GENERATED ALWAYS AS (n * 10) STORED PRIMARY KEY, v text);
--- on east
INSERT INTO t (n, v) VALUES (1, 'a'), (2, 'b');
--- fails east 42P10
UPDATE t SET v = 'c' WHERE n = 1;
--- on west
INSERT INTO t (n, v) VALUES (3, 'c');
