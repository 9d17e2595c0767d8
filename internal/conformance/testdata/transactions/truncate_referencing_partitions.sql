-- TRUNCATE of a table that partitioned tables refer to, with CASCADE or with all of them named, arrives.

CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int, p int REFERENCES parent, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE child_low PARTITION OF child FOR VALUES FROM (0) TO (10) PARTITION BY LIST (id);
CREATE TABLE child_low_1 PARTITION OF child_low FOR VALUES IN (1);
CREATE TABLE child_low_rest PARTITION OF child_low DEFAULT;
CREATE TABLE child_high PARTITION OF child FOR VALUES FROM (10) TO (20);
CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY HASH (id);
CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE refers (id int PRIMARY KEY, p int REFERENCES parted);
--- on east
INSERT INTO parent SELECT generate_series(1, 5);
INSERT INTO child SELECT g, 1 + g % 5 FROM generate_series(0, 19) g;
INSERT INTO parted SELECT generate_series(1, 9);
INSERT INTO refers SELECT g, g FROM generate_series(1, 9) g;
--- settle
--- on east
TRUNCATE parent CASCADE;
TRUNCATE parted CASCADE;
--- on west
INSERT INTO parent VALUES (7), (8);
INSERT INTO child VALUES (3, 7), (13, 8);
INSERT INTO parted VALUES (1), (2);
INSERT INTO refers VALUES (1, 1), (2, 2);
--- on east
BEGIN;
DELETE FROM parent WHERE id = 6;
TRUNCATE child, parent, refers, parted;
INSERT INTO parent VALUES (9);
INSERT INTO child VALUES (9, 9);
COMMIT;
