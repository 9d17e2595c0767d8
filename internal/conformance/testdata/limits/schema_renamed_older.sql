-- Before Postgres 16 servers go on sending a table under the name that its schema had when they described it: what is written behind a rename is reported as a missing table, and arrives where the old name exists.
-- max_version: 15
-- expect: halt missing_table
-- limit: before Postgres 16 a schema is renamed while nobody writes to its tables, and every replicator restarted then

CREATE SCHEMA older_before;
CREATE TABLE older_before.t (id int PRIMARY KEY, v text);
CREATE TABLE here (id int PRIMARY KEY, v text);
--- on east
INSERT INTO older_before.t VALUES (1, 'before');
--- on all
ALTER SCHEMA older_before RENAME TO older_after;
--- on east
INSERT INTO older_after.t VALUES (2, 'after');
--- repair
--- on west only
ALTER SCHEMA older_after RENAME TO older_before;
--- settle
--- on west only
ALTER SCHEMA older_before RENAME TO older_after;
--- restart replicator east
--- restart replicator west
--- on east
INSERT INTO older_after.t VALUES (3, 'afterwards');
--- on west
UPDATE older_after.t SET v = v || '!';
--- compare
SELECT * FROM older_after.t
