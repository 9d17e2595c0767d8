-- A partitioned table whose leaves are an ordinary table of the same name elsewhere is reported.
-- expect: halt table_kind

CREATE TABLE local_x (id int);
--- setup east oracle
CREATE TABLE t (id int PRIMARY KEY, v text);
--- setup west
CREATE TABLE t (id int PRIMARY KEY, v text) PARTITION BY HASH (id);
CREATE TABLE t_0 PARTITION OF t FOR VALUES WITH (MODULUS 1, REMAINDER 0);
--- on east
INSERT INTO t VALUES (1, 'a');
--- repair
--- on west only
DROP TABLE t;
CREATE TABLE t (id int PRIMARY KEY, v text);
--- init
--- on east
INSERT INTO t VALUES (2, 'b');
