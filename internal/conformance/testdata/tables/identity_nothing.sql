-- A table without replica identity that the file calls insert_only takes inserts and TRUNCATE; its own server refuses updates and deletes, and nothing stops.
-- insert_only: t nothing deferrable_key lost parted parted_1 parted_2

CREATE TABLE t (id int, v text);
CREATE TABLE nothing (id int PRIMARY KEY, v text);
ALTER TABLE nothing REPLICA IDENTITY NOTHING;
CREATE TABLE deferrable_key (id int PRIMARY KEY DEFERRABLE, v text);
CREATE TABLE lost (id int NOT NULL CONSTRAINT was_identity UNIQUE, v text);
ALTER TABLE lost REPLICA IDENTITY USING INDEX was_identity;
ALTER TABLE lost DROP CONSTRAINT was_identity;
CREATE TABLE parted (id int, v text) PARTITION BY LIST (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
--- on east
INSERT INTO t VALUES (1, 'a'), (1, 'a'), (NULL, NULL);
INSERT INTO nothing VALUES (1, 'a'), (2, 'b');
INSERT INTO nothing VALUES (1, 'c'), (3, 'c') ON CONFLICT (id) DO NOTHING;
INSERT INTO deferrable_key VALUES (1, 'a');
INSERT INTO lost VALUES (1, 'a'), (1, 'a');
INSERT INTO parted VALUES (1, 'a'), (2, 'b');
--- fails east 55000
UPDATE t SET v = 'b';
DELETE FROM t;
UPDATE nothing SET v = 'b';
DELETE FROM nothing;
INSERT INTO nothing VALUES (1, 'b') ON CONFLICT (id) DO UPDATE SET v = excluded.v;
UPDATE deferrable_key SET v = 'b';
DELETE FROM deferrable_key;
UPDATE lost SET v = 'b';
DELETE FROM lost;
UPDATE parted SET id = 2 WHERE id = 1;
DELETE FROM parted;
--- on east
TRUNCATE nothing;
INSERT INTO t VALUES (2, 'c');
--- on west
INSERT INTO t VALUES (1, 'a');
INSERT INTO parted VALUES (2, 'b');
