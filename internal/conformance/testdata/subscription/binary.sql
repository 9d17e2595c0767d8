-- 014 binary: what the binary format could not carry between different types is carried as text.

CREATE TABLE local_x (id int);
--- setup east oracle
CREATE TABLE t (id int PRIMARY KEY, a int, b text, c smallint[]);
--- setup west
CREATE TABLE t (id bigint PRIMARY KEY, a bigint, b varchar, c bigint[]);
--- on east
INSERT INTO t VALUES (1, 2147483647, 'x', '{1,2}'), (2, NULL, NULL, NULL);
--- on west
UPDATE t SET a = -1, c = '{3}' WHERE id = 2;
