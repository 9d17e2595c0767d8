-- Columns of a node's own (tables.local_columns) stay what they are there, through inserts, updates, deletes, key changes and TRUNCATE of every node.

CREATE TABLE t (id int PRIMARY KEY, v text, big text);
CREATE TABLE u (id int PRIMARY KEY, v text);
--- setup east
ALTER TABLE t ADD local_e text DEFAULT 'east', ADD local_big text;
ALTER TABLE u ADD local_e serial;
--- setup west
DROP TABLE t;
CREATE TABLE t (local_w text DEFAULT 'west', id int PRIMARY KEY, local_n int NOT NULL DEFAULT 0, big text, v text, local_gen int GENERATED ALWAYS AS (local_n + 1) STORED);
ALTER TABLE u ADD local_w timestamptz NOT NULL DEFAULT '2020-01-01 UTC';
--- setup oracle
ALTER TABLE t ADD local_e text, ADD local_big text, ADD local_w text, ADD local_n int;
ALTER TABLE u ADD local_e int, ADD local_w timestamptz;
--- on east
INSERT INTO t (id, v, big, local_e, local_big) VALUES (1, 'a', repeat('b', 10000), 'mine', repeat('secret', 10000)), (2, 'b', NULL, NULL, NULL), (3, 'c', '', 'c', 'c');
INSERT INTO u (id, v) SELECT g, 'v' FROM generate_series(1, 5) g;
--- on west
INSERT INTO t (id, v, local_w, local_n) VALUES (4, 'd', 'mine', 7), (5, 'e', NULL, 8);
UPDATE t SET local_w = 'also mine', local_n = 9 WHERE id = 2;
UPDATE u SET v = 'w', local_w = '2021-01-01 UTC' WHERE id > 2;
DELETE FROM u WHERE id = 5;
--- on east
UPDATE t SET v = v || '!', local_e = 'changed' WHERE id IN (1, 2, 4);
UPDATE t SET local_big = repeat('secret2', 10000) WHERE id = 1;
UPDATE t SET id = id + 10;
DELETE FROM t WHERE id = 13;
UPDATE u SET v = 'e';
--- check east `SELECT id, v, local_e, left(local_big, 7), length(local_big), length(big) FROM t ORDER BY id` = 11|a!|changed|secret2|70000|10000;12|b!|changed|NULL|NULL|NULL;14|d!|changed|NULL|NULL|NULL;15|e|east|NULL|NULL|NULL
--- check west `SELECT id, v, local_w, local_n, local_gen, length(big) FROM t ORDER BY id` = 11|a!|west|0|1|10000;12|b!|also mine|9|10|NULL;14|d!|mine|7|8|NULL;15|e|NULL|8|9|NULL
--- check east `SELECT id, v, local_e FROM u ORDER BY id` = 1|e|1;2|e|2;3|e|3;4|e|4
--- check west `SELECT id, v, local_w FROM u ORDER BY id` = 1|e|2020-01-01 00:00:00+00;2|e|2020-01-01 00:00:00+00;3|e|2021-01-01 00:00:00+00;4|e|2021-01-01 00:00:00+00
--- on west
TRUNCATE u;
INSERT INTO u (id, v, local_w) VALUES (6, 'after', now());
--- check east `SELECT id, v, local_e FROM u` = 6|after|6
