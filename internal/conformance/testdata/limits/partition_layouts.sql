-- A partitioned table whose leaves have other names at a peer is reported there; it arrives once a leaf of that name takes its rows.
-- expect: halt missing_table
-- limit: partitions are carried by their leaves, so leaves have the same names at every node

CREATE TABLE local_x (id int);
--- setup east oracle
CREATE TABLE t (id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE t_eu PARTITION OF t FOR VALUES IN ('eu');
--- setup west
CREATE TABLE t (id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE t_all PARTITION OF t DEFAULT;
--- on east
INSERT INTO t VALUES (1, 'eu');
--- repair
--- on west only
DROP TABLE t_all;
CREATE TABLE t_eu PARTITION OF t FOR VALUES IN ('eu', 'uk');
--- init
