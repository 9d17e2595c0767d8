-- A TRUNCATE of a table that a local table of the target references is reported, and destroys nothing.
-- expect: halt truncate_referenced

CREATE TABLE t (id int PRIMARY KEY);
--- setup west
CREATE TABLE local_mine (t int REFERENCES t, v text);
--- on east
INSERT INTO t VALUES (1), (2);
--- settle
--- on west only
INSERT INTO local_mine VALUES (1, 'precious');
--- settle
--- on east
TRUNCATE t CASCADE;
--- repair
--- check west `SELECT v, (SELECT count(*) FROM t) FROM local_mine` = precious|2
--- on west only
DROP TABLE local_mine;
--- on east
INSERT INTO t VALUES (3);
