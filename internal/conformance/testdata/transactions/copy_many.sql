-- A transaction that writes many rows of several tables in turn is carried in pieces and applied whole.

CREATE TABLE a (id int PRIMARY KEY, v text);
CREATE TABLE b (id int PRIMARY KEY, v text);
--- on east
BEGIN;
INSERT INTO a SELECT g, repeat(md5(g::text), 3) FROM generate_series(1, 20000) g;
INSERT INTO b SELECT g, 'b' FROM generate_series(1, 5000) g;
UPDATE a SET id = -id WHERE id % 2 = 0;
DELETE FROM a WHERE id % 5 = 0;
TRUNCATE b;
INSERT INTO b SELECT id, v FROM a WHERE id > 15000;
COMMIT;
--- on west
UPDATE a SET v = 'west' WHERE id < 0;
