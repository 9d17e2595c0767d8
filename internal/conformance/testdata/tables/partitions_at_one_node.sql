-- A table is partitioned at one node and ordinary at the other, and the reverse; with a key and with REPLICA IDENTITY FULL.
-- layouts: at one node only

CREATE TABLE local_x (id int);
--- setup east oracle
CREATE TABLE a (id int, region text, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE a_eu PARTITION OF a FOR VALUES IN ('eu');
CREATE TABLE a_rest PARTITION OF a DEFAULT;
CREATE TABLE b (id int PRIMARY KEY, v text);
CREATE TABLE f (id int, v text) PARTITION BY HASH (id);
CREATE TABLE f_0 PARTITION OF f FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE f_1 PARTITION OF f FOR VALUES WITH (MODULUS 2, REMAINDER 1);
ALTER TABLE f_0 REPLICA IDENTITY FULL;
ALTER TABLE f_1 REPLICA IDENTITY FULL;
CREATE TABLE g (id int, v text);
ALTER TABLE g REPLICA IDENTITY FULL;
--- setup west
CREATE TABLE a (id int PRIMARY KEY, v text, region text NOT NULL);
ALTER TABLE a REPLICA IDENTITY FULL;
CREATE TABLE b (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE b_low PARTITION OF b FOR VALUES FROM (MINVALUE) TO (10);
CREATE TABLE b_high PARTITION OF b FOR VALUES FROM (10) TO (MAXVALUE);
CREATE TABLE f (id int, v text);
ALTER TABLE f REPLICA IDENTITY FULL;
CREATE TABLE g (id int, v text) PARTITION BY LIST (v);
CREATE TABLE g_a PARTITION OF g FOR VALUES IN ('a');
CREATE TABLE g_rest PARTITION OF g DEFAULT;
ALTER TABLE g_a REPLICA IDENTITY FULL;
ALTER TABLE g_rest REPLICA IDENTITY FULL;
--- on east
INSERT INTO a SELECT g, CASE g % 2 WHEN 0 THEN 'eu' ELSE 'us' END, 'v' FROM generate_series(1, 20) g;
UPDATE a SET region = 'eu' WHERE id < 5;
UPDATE a SET id = id + 50 WHERE id > 18;
INSERT INTO b SELECT g, 'v' FROM generate_series(1, 20) g;
UPDATE b SET id = 100 - id;
INSERT INTO f SELECT g % 3, 'x' FROM generate_series(1, 12) g;
UPDATE f SET id = 7 WHERE ctid = (SELECT min(ctid) FROM f WHERE id = 1) AND tableoid = (SELECT min(tableoid::oid) FROM f WHERE id = 1);
INSERT INTO g SELECT 1, (ARRAY['a', 'b', NULL])[1 + i % 3] FROM generate_series(1, 12) i;
UPDATE g SET v = 'a' WHERE ctid = (SELECT min(ctid) FROM g WHERE v = 'b');
DELETE FROM g WHERE ctid = (SELECT min(ctid) FROM g WHERE v IS NULL);
--- on west
UPDATE a SET region = 'us', v = 'west' WHERE id % 3 = 0;
DELETE FROM a WHERE id % 4 = 0;
UPDATE b SET id = id - 85;
DELETE FROM b WHERE id = 5;
DELETE FROM f WHERE id = 2;
INSERT INTO f VALUES (2, 'west'), (2, 'west');
UPDATE g SET v = 'b' WHERE v = 'a';
--- on east
UPDATE a SET v = 'east', region = 'uk' WHERE id < 10;
UPDATE b SET v = 'east';
UPDATE f SET v = 'east' WHERE id = 2;
UPDATE g SET v = 'a';
--- settle
--- on east
TRUNCATE b;
TRUNCATE a;
BEGIN; TRUNCATE f; INSERT INTO f VALUES (1, 'after'); COMMIT;
--- on west
TRUNCATE g;
INSERT INTO g VALUES (2, 'a'), (2, 'c');
INSERT INTO b VALUES (9, 'after');
