-- Before Postgres 18 a column that is generated at its origin alone is not sent: it has its default elsewhere.
-- max_version: west=17
-- limit: before Postgres 18 the values of generated columns are not sent: a column must be generated everywhere or nowhere to be equal

CREATE TABLE local_x (id int);
--- setup east oracle
CREATE TABLE t (id int PRIMARY KEY, n int, g int, d int DEFAULT 99);
--- setup west
CREATE TABLE t (id int PRIMARY KEY, n int, g int GENERATED ALWAYS AS (n + 1) STORED, d int GENERATED ALWAYS AS (n + 1) STORED);
--- on west only
INSERT INTO t (id, n) VALUES (1, 5);
UPDATE t SET n = 7 WHERE id = 1;
--- check west `SELECT * FROM t` = 1|7|8|8
--- check east `SELECT * FROM t` = 1|7|NULL|99
--- on oracle
INSERT INTO t VALUES (1, 7);
--- compare
SELECT id, n FROM t
