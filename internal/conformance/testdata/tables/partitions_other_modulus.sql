-- Hash partitions of the same names and another modulus hold other rows; so do those of an enum, whose hash is each server's own.
-- layouts: another modulus

CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad');
CREATE TABLE h (id int PRIMARY KEY, v text) PARTITION BY HASH (id);
CREATE TABLE e (m mood, id int, PRIMARY KEY (m, id)) PARTITION BY HASH (m);
CREATE TABLE e_0 PARTITION OF e FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE e_1 PARTITION OF e FOR VALUES WITH (MODULUS 2, REMAINDER 1);
--- setup east oracle
CREATE TABLE h_0 PARTITION OF h FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE h_1 PARTITION OF h FOR VALUES WITH (MODULUS 2, REMAINDER 1);
--- setup west
CREATE TABLE h_0 PARTITION OF h FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE h_1 PARTITION OF h FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE h_2 PARTITION OF h FOR VALUES WITH (MODULUS 3, REMAINDER 2);
--- on east
INSERT INTO h SELECT g, 'v' FROM generate_series(1, 50) g;
UPDATE h SET id = id + 100 WHERE id % 3 = 0;
UPDATE h SET v = 'u' WHERE id % 4 = 0;
DELETE FROM h WHERE id % 5 = 0;
INSERT INTO e SELECT m, g FROM unnest(enum_range(NULL::mood)) m, generate_series(1, 5) g;
UPDATE e SET m = 'glad', id = id + 10 WHERE m = 'sad';
DELETE FROM e WHERE id = 3;
--- on west
UPDATE h SET id = id + 200, v = 'west' WHERE id % 2 = 0;
INSERT INTO h SELECT g, 'west' FROM generate_series(1000, 1020) g;
DELETE FROM h WHERE id % 7 = 0;
UPDATE e SET m = 'sad', id = id + 100 WHERE m = 'ok';
--- on east
TRUNCATE h;
INSERT INTO h VALUES (1, 'after');
DELETE FROM e WHERE m = 'sad';
