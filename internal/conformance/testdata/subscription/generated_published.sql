-- 011 generated of Postgres 18: stored generated columns are sent and virtual ones are not; to plain columns and to generated ones, by other expressions too.
-- min_version: 18

CREATE TABLE local_x (id int);
--- setup east
CREATE TABLE gen_to_plain (a int PRIMARY KEY, b int GENERATED ALWAYS AS (a * 2) STORED, c int GENERATED ALWAYS AS (a * 3) VIRTUAL);
CREATE TABLE gen_to_gen (a int PRIMARY KEY, b int GENERATED ALWAYS AS (a * 2) STORED, c int GENERATED ALWAYS AS (a * 3) VIRTUAL);
CREATE TABLE stored_to_virtual (a int PRIMARY KEY, b int GENERATED ALWAYS AS (a * 2) STORED);
CREATE TABLE full_other (a int, b int GENERATED ALWAYS AS (a * 2) STORED, v text);
ALTER TABLE full_other REPLICA IDENTITY FULL;
--- setup west oracle
CREATE TABLE gen_to_plain (a int PRIMARY KEY, b int, c int);
CREATE TABLE gen_to_gen (a int PRIMARY KEY, b int GENERATED ALWAYS AS (a * 20) STORED, c int GENERATED ALWAYS AS (a * 30) STORED);
CREATE TABLE stored_to_virtual (a int PRIMARY KEY, b int GENERATED ALWAYS AS (a * 20) VIRTUAL);
CREATE TABLE full_other (a int, b int GENERATED ALWAYS AS (a * 20) STORED, v text);
ALTER TABLE full_other REPLICA IDENTITY FULL;
--- on east
INSERT INTO gen_to_plain (a) VALUES (1), (2);
INSERT INTO gen_to_gen (a) VALUES (1), (2);
INSERT INTO stored_to_virtual (a) VALUES (1), (2);
INSERT INTO full_other (a, v) VALUES (1, 'a'), (1, 'a'), (2, 'b');
UPDATE gen_to_plain SET a = a + 10;
UPDATE gen_to_gen SET a = a + 10;
UPDATE stored_to_virtual SET a = a + 10;
DELETE FROM full_other WHERE a = 2;
UPDATE full_other SET a = a + 10;
--- check west `SELECT * FROM gen_to_plain ORDER BY a` = 11|22|NULL;12|24|NULL
--- check west `SELECT * FROM gen_to_gen ORDER BY a` = 11|220|330;12|240|360
--- check west `SELECT * FROM stored_to_virtual ORDER BY a` = 11|220;12|240
--- on west
UPDATE full_other SET v = 'west' WHERE ctid = (SELECT min(ctid) FROM full_other);
UPDATE gen_to_gen SET a = a + 10;
--- check west `SELECT * FROM full_other ORDER BY v` = 11|220|a;11|220|west
--- check east `SELECT * FROM full_other ORDER BY v` = 11|22|a;11|22|west
--- compare
SELECT a FROM gen_to_plain
SELECT a FROM gen_to_gen
SELECT a FROM stored_to_virtual
SELECT a, v FROM full_other
