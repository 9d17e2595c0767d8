-- A target column that would round what its origin holds is reported before a value is another one.
-- expect: halt column_type

CREATE TABLE local_x (id int);
--- setup east oracle
CREATE TABLE t (id int PRIMARY KEY, n numeric, at timestamptz);
--- setup west
CREATE TABLE t (id int PRIMARY KEY, n numeric(10,1), at timestamptz(0));
--- on east
INSERT INTO t VALUES (1, 1.25, '2024-01-01 00:00:00.5+00');
--- repair
--- check west `SELECT count(*) FROM t` = 0
--- on west only
ALTER TABLE t ALTER n TYPE numeric, ALTER at TYPE timestamptz;
