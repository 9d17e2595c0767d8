-- Nodes cut a table into partitions of other names, bounds, levels and kinds; rows move at either side.
-- layouts: other names, bounds and levels

CREATE TABLE local_x (id int);
--- setup east oracle
CREATE TABLE l (id int, region text, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE l_eu PARTITION OF l FOR VALUES IN ('eu', 'uk');
CREATE TABLE l_us PARTITION OF l FOR VALUES IN ('us');
CREATE TABLE l_rest PARTITION OF l DEFAULT;
CREATE TABLE r (id int, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE r_2023 PARTITION OF r FOR VALUES FROM (MINVALUE) TO ('2024-01-01');
CREATE TABLE r_2024 PARTITION OF r FOR VALUES FROM ('2024-01-01') TO (MAXVALUE) PARTITION BY HASH (id);
CREATE TABLE r_2024_0 PARTITION OF r_2024 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE r_2024_1 PARTITION OF r_2024 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
--- setup west
CREATE TABLE l (v text, id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE l_old PARTITION OF l FOR VALUES IN ('eu', 'us') PARTITION BY HASH (id);
CREATE TABLE l_old_0 (id int NOT NULL, dropped int, region text NOT NULL, v text);
ALTER TABLE l_old_0 DROP dropped;
ALTER TABLE l_old ATTACH PARTITION l_old_0 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE l_old_1 PARTITION OF l_old FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE l_rest PARTITION OF l DEFAULT;
CREATE TABLE r (id int, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE r_2023 PARTITION OF r FOR VALUES FROM (MINVALUE) TO ('2024-01-01') PARTITION BY RANGE (at);
CREATE TABLE r_2023_all PARTITION OF r_2023 DEFAULT;
CREATE TABLE r_2024 PARTITION OF r FOR VALUES FROM ('2024-01-01') TO ('2024-07-01');
CREATE TABLE r_2024_0 PARTITION OF r FOR VALUES FROM ('2024-07-01') TO (MAXVALUE);
--- on east
INSERT INTO l SELECT g, (ARRAY['eu', 'uk', 'us', 'jp'])[1 + g % 4], 'v' FROM generate_series(1, 40) g;
INSERT INTO r SELECT g, date '2023-12-01' + g * 10, 'v' FROM generate_series(1, 40) g;
UPDATE l SET v = 'u' WHERE id % 3 = 0;
UPDATE l SET region = 'us' WHERE id % 5 = 0;
UPDATE l SET id = id + 1000 WHERE id % 7 = 0;
DELETE FROM l WHERE id % 11 = 0;
UPDATE r SET at = at + 60;
DELETE FROM r WHERE id = 5;
--- on west
UPDATE l SET region = 'uk', v = 'moved' WHERE id % 2 = 0;
UPDATE l SET region = CASE region WHEN 'uk' THEN 'us' ELSE 'eu' END WHERE id % 3 = 0;
INSERT INTO l (id, region, v) VALUES (5000, 'fr', 'new'), (5001, 'eu', 'new');
DELETE FROM l WHERE id % 13 = 0;
UPDATE r SET at = at - 100, v = 'back';
DELETE FROM r WHERE at < '2023-12-01';
BEGIN;
UPDATE l SET region = 'jp' WHERE id = 5000;
DELETE FROM l WHERE id = 5000;
INSERT INTO l (id, region, v) VALUES (5000, 'us', 'again');
COMMIT;
--- on east
UPDATE l SET v = 'last', region = 'uk' WHERE region = 'eu';
UPDATE r SET id = id + 100, at = '2024-12-24' WHERE id % 4 = 0;
TRUNCATE l;
INSERT INTO l VALUES (1, 'eu', 'after');
BEGIN; -- in pieces
INSERT INTO l SELECT g, (ARRAY['eu', 'uk', 'us', 'jp'])[1 + g % 4], repeat('v', 200) FROM generate_series(100, 6000) g;
UPDATE l SET region = 'us' WHERE id % 10 = 0;
DELETE FROM l WHERE id % 3 = 0;
COMMIT;
--- on west
BEGIN;
UPDATE l SET region = 'eu', v = repeat('w', 200) WHERE id % 7 = 0;
UPDATE l SET id = id + 10000 WHERE region = 'jp';
COMMIT;
TRUNCATE r;
INSERT INTO r VALUES (1, '2024-03-03', 'after');
