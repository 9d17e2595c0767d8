-- A key WITHOUT OVERLAPS finds its rows at a node that has an ordinary key and an exclusion constraint instead, and takes that node's.
-- min_version: east=18
-- contrib: btree_gist

CREATE TABLE local_x (id int);
--- setup east
CREATE TABLE t (id int, valid daterange, v text, PRIMARY KEY (id, valid WITHOUT OVERLAPS));
--- setup west oracle
CREATE TABLE t (id int, valid daterange, v text, PRIMARY KEY (id, valid), EXCLUDE USING gist (id WITH =, valid WITH &&));
--- on east
INSERT INTO t VALUES (1, '[2000-01-01,2010-01-01)', 'a'), (1, '[2010-01-01,2020-01-01)', 'b'), (2, '(,)', 'c');
UPDATE t SET valid = '[2015-01-01,2020-01-01)' WHERE v = 'b';
UPDATE t SET v = 'd' WHERE id = 2;
--- on west
UPDATE t SET valid = '[2010-01-01,2012-01-01)' WHERE v = 'b';
DELETE FROM t WHERE id = 2;
INSERT INTO t VALUES (2, '[2000-01-01,2001-01-01)', 'e');
UPDATE t SET v = v || '!';
