-- A TRUNCATE of one partition, which its peer does not have, is reported there and destroys nothing; it is made once the peer has that partition.
-- layouts: west has one partition
-- expect: halt truncate_partition
-- limit: TRUNCATE of a single partition needs a partition with the same bounds at the peers; TRUNCATE of the whole table does not

CREATE TABLE t (id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
--- setup east oracle
CREATE TABLE t_eu PARTITION OF t FOR VALUES IN ('eu');
CREATE TABLE t_us PARTITION OF t FOR VALUES IN ('us');
--- setup west
CREATE TABLE t_all PARTITION OF t DEFAULT;
--- on east
INSERT INTO t VALUES (1, 'eu'), (2, 'us'), (3, 'us');
--- settle
--- on east
TRUNCATE t_us;
--- repair
--- check west `SELECT count(*) FROM t` = 3
--- on west only
BEGIN;
CREATE TABLE t_eu (LIKE t INCLUDING ALL);
CREATE TABLE t_us (LIKE t INCLUDING ALL);
INSERT INTO t_eu SELECT * FROM t WHERE region = 'eu';
INSERT INTO t_us SELECT * FROM t WHERE region = 'us';
GRANT ALL ON t_eu, t_us TO pgfed_replicator;
DROP TABLE t_all;
ALTER TABLE t ATTACH PARTITION t_eu FOR VALUES IN ('eu');
ALTER TABLE t ATTACH PARTITION t_us FOR VALUES IN ('us');
COMMIT;
