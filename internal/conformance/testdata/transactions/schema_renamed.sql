-- A schema that is renamed in the middle of a transaction takes its tables along, and what is written after it arrives under the new name.
-- min_version: 16

CREATE SCHEMA renamed_before;
CREATE TABLE renamed_before.t (id int PRIMARY KEY, v text);
CREATE TABLE here (id int PRIMARY KEY, v text);
--- setup west oracle
CREATE SCHEMA renamed_after;
CREATE TABLE renamed_after.t (id int PRIMARY KEY, v text);
--- on east only
INSERT INTO renamed_before.t VALUES (1, 'before');
BEGIN;
INSERT INTO renamed_before.t VALUES (2, 'in between');
ALTER SCHEMA renamed_before RENAME TO renamed_after;
INSERT INTO renamed_after.t VALUES (3, 'after');
COMMIT;
INSERT INTO renamed_after.t VALUES (4, 'afterwards');
--- check west `SELECT string_agg(id::text, ',' ORDER BY id) FROM renamed_before.t` = 1,2
--- check west `SELECT string_agg(id::text, ',' ORDER BY id) FROM renamed_after.t` = 3,4
--- compare
SELECT * FROM here
