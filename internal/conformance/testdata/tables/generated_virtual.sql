-- Virtual generated columns are computed at each node.
-- min_version: 18

CREATE TABLE t (id int PRIMARY KEY, n int, twice int GENERATED ALWAYS AS (n * 2) VIRTUAL, thrice int GENERATED ALWAYS AS (n * 3) STORED);
--- on east
INSERT INTO t (id, n) VALUES (1, 1), (2, NULL);
UPDATE t SET n = 7 WHERE id = 1;
--- on west
UPDATE t SET n = 9 WHERE id = 2;
