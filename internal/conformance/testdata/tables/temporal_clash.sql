-- A row of nobody's that merely overlaps another node's halts its origin, and arrives once nothing forbids it.
-- min_version: 18
-- contrib: btree_gist
-- expect: halt conflict

CREATE TABLE t (id int, valid int4range, v text, PRIMARY KEY (id, valid WITHOUT OVERLAPS));
--- setup west
INSERT INTO t VALUES (1, '[5,9)', 'west');
--- on east
INSERT INTO t VALUES (1, '[1,6)', 'east');
--- repair
--- on west only
ALTER TABLE t DROP CONSTRAINT t_pkey;
--- compare
SELECT * FROM t WHERE v = 'east'
