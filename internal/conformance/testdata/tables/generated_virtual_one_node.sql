-- A column that is virtual and generated at one node is plain at another: it is not sent from there, and not written there.
-- min_version: east=18

CREATE TABLE local_x (id int);
--- setup east
CREATE TABLE t (id int PRIMARY KEY, n int, g int GENERATED ALWAYS AS (n + 1) VIRTUAL);
--- setup west oracle
CREATE TABLE t (id int PRIMARY KEY, n int, g int);
--- on east only
INSERT INTO t (id, n) VALUES (1, 1), (2, 2);
UPDATE t SET n = 3 WHERE id = 2;
--- on oracle
INSERT INTO t VALUES (1, 1), (2, 3);
--- check west `SELECT * FROM t ORDER BY id` = 1|1|NULL;2|3|NULL
--- on west
UPDATE t SET g = 99, n = n + 10;
INSERT INTO t VALUES (3, 3, 3);
--- check east `SELECT * FROM t ORDER BY id` = 1|11|12;2|13|14;3|3|4
--- compare
SELECT id, n FROM t
