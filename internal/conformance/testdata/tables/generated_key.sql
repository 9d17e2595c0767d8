-- A replica identity on a generated column, which a server before 18 does not send, is reported.
-- max_version: east=17
-- alone: nothing ends the halt but another identity
-- expect: halt no_key
-- limit: before Postgres 18 a replica identity must not contain a generated column; preflight names the table

CREATE TABLE t (n int NOT NULL, id int GENERATED ALWAYS AS (n * 10) STORED PRIMARY KEY, v text);
--- on east
INSERT INTO t (n, v) VALUES (1, 'a'), (2, 'b');
UPDATE t SET v = 'c' WHERE n = 1;
