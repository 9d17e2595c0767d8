-- A row that none of the target's partitions takes is reported, and arrives once one does.
-- layouts: other bounds
-- expect: halt apply_error

CREATE TABLE t (id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE t_eu PARTITION OF t FOR VALUES IN ('eu');
CREATE TABLE t_us PARTITION OF t FOR VALUES IN ('us');
--- setup east oracle
ALTER TABLE t DETACH PARTITION t_eu;
ALTER TABLE t ATTACH PARTITION t_eu FOR VALUES IN ('eu', 'uk');
--- on east
INSERT INTO t VALUES (1, 'eu'), (2, 'uk');
--- repair
--- check west `SELECT count(*) FROM t` = 0
--- on west only
CREATE TABLE t_islands PARTITION OF t FOR VALUES IN ('uk', 'ie');
