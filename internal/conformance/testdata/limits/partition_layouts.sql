-- A partition that its peer lacks is reported there, where its root has no key by which its rows would be found; it arrives once the partition is made.
-- expect: halt no_key
-- limit: where nodes cut a table into other partitions, its root needs a primary key (or the leaves REPLICA IDENTITY FULL)

CREATE TABLE t (id int, region text) PARTITION BY LIST (region);
CREATE TABLE t_eu PARTITION OF t (PRIMARY KEY (id)) FOR VALUES IN ('eu');
--- setup east oracle
CREATE TABLE t_us PARTITION OF t (PRIMARY KEY (id)) FOR VALUES IN ('us');
--- on east
INSERT INTO t VALUES (1, 'eu'), (2, 'us');
--- repair
--- check west `SELECT count(*) FROM t` = 0
--- on west only
CREATE TABLE t_us PARTITION OF t (PRIMARY KEY (id)) FOR VALUES IN ('us');
--- init
--- on east
UPDATE t SET id = 3 WHERE region = 'us';
