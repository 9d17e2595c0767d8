-- A column that is generated at one node only is derived there, and plain at the other.

CREATE TABLE local_x (id int);
--- setup east oracle
CREATE TABLE t (id int PRIMARY KEY, n int, g int);
--- setup west
CREATE TABLE t (id int PRIMARY KEY, n int, g int GENERATED ALWAYS AS (n + 1) STORED);
--- on east
INSERT INTO t VALUES (1, 5, 99);
UPDATE t SET n = 6, g = 98;
--- check west `SELECT * FROM t` = 1|6|7
--- compare
SELECT id, n FROM t
