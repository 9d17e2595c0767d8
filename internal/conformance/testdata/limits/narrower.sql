-- A value that does not fit the target's narrower column is reported, never cut or rounded.
-- expect: halt apply_error

CREATE TABLE local_x (id int);
--- setup east oracle
CREATE TABLE t (id int PRIMARY KEY, v text);
--- setup west
CREATE TABLE t (id int PRIMARY KEY, v varchar(3));
--- on east
INSERT INTO t VALUES (1, 'abc'), (2, 'abcd');
--- repair
--- check west `SELECT count(*) FROM t` = 0
--- on west only
ALTER TABLE t ALTER v TYPE text;
