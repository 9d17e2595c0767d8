-- Partitioned tables are carried by their leaves: list, range, hash and default ones, on two levels, with rows that move.

CREATE TABLE l (id int, region text, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE l_eu PARTITION OF l FOR VALUES IN ('eu');
CREATE TABLE l_us PARTITION OF l FOR VALUES IN ('us', 'ca');
CREATE TABLE l_rest PARTITION OF l DEFAULT;
CREATE TABLE r (id int, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE r_2023 PARTITION OF r FOR VALUES FROM (MINVALUE) TO ('2024-01-01') PARTITION BY HASH (id);
CREATE TABLE r_2023_0 PARTITION OF r_2023 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE r_2023_1 PARTITION OF r_2023 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE r_2024 PARTITION OF r FOR VALUES FROM ('2024-01-01') TO (MAXVALUE);
CREATE TABLE nokey (id int, v text) PARTITION BY HASH (id);
CREATE TABLE nokey_0 PARTITION OF nokey FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE nokey_1 PARTITION OF nokey FOR VALUES WITH (MODULUS 2, REMAINDER 1);
ALTER TABLE nokey_0 REPLICA IDENTITY FULL;
ALTER TABLE nokey_1 REPLICA IDENTITY FULL;
--- on east
INSERT INTO l VALUES (1, 'eu', 'a'), (2, 'us', 'b'), (3, 'ca', 'c'), (4, 'jp', 'd');
INSERT INTO r SELECT g, date '2023-12-25' + g, 'v' FROM generate_series(1, 20) g;
INSERT INTO nokey SELECT g % 4, 'x' FROM generate_series(1, 12) g;
UPDATE l SET region = 'eu' WHERE id = 2;
UPDATE r SET at = at + 5;
UPDATE l_us SET v = 'by leaf';
--- on west
UPDATE l SET region = 'us', v = 'back', id = id + 100 WHERE region = 'eu';
UPDATE r SET id = id + 1000, at = '2020-01-01' WHERE id % 3 = 0;
DELETE FROM r WHERE id % 5 = 0;
UPDATE nokey SET id = id + 1 WHERE id = 1;
DELETE FROM nokey WHERE ctid = (SELECT min(ctid) FROM nokey WHERE id = 0) AND tableoid = 'nokey_0'::regclass;
TRUNCATE l_rest;
--- on east
TRUNCATE r;
INSERT INTO r VALUES (1, '2023-01-01', 'again'), (2, '2025-01-01', 'again');
