-- A table without replica identity takes inserts and TRUNCATE; its own server refuses updates and deletes, and nothing stops.

CREATE TABLE t (id int, v text);
CREATE TABLE nothing (id int PRIMARY KEY, v text);
ALTER TABLE nothing REPLICA IDENTITY NOTHING;
CREATE TABLE deferrable_key (id int PRIMARY KEY DEFERRABLE, v text);
--- on east
INSERT INTO t VALUES (1, 'a'), (1, 'a'), (NULL, NULL);
INSERT INTO nothing VALUES (1, 'a'), (2, 'b');
INSERT INTO deferrable_key VALUES (1, 'a');
--- fails east 55000
UPDATE t SET v = 'b';
DELETE FROM t;
UPDATE nothing SET v = 'b';
DELETE FROM nothing;
UPDATE deferrable_key SET v = 'b';
DELETE FROM deferrable_key;
--- on east
TRUNCATE nothing;
INSERT INTO t VALUES (2, 'c');
