-- A table without columns, and one with its key alone, are carried.
-- insert_only: nothing all_generated

CREATE TABLE nothing ();
CREATE TABLE key_only (id int PRIMARY KEY);
CREATE TABLE all_generated (a int GENERATED ALWAYS AS (1) STORED, b int GENERATED ALWAYS AS (2) STORED);
--- on east
INSERT INTO nothing DEFAULT VALUES;
INSERT INTO nothing DEFAULT VALUES;
INSERT INTO key_only VALUES (1), (2);
INSERT INTO all_generated DEFAULT VALUES;
UPDATE key_only SET id = 3 WHERE id = 1;
UPDATE key_only SET id = id;
--- on west
DELETE FROM key_only WHERE id = 3;
INSERT INTO nothing DEFAULT VALUES;
--- check all `SELECT (SELECT count(*) FROM nothing), (SELECT count(*) FROM key_only), (SELECT count(*) FROM all_generated)` = 3|1|1
