-- Before Postgres 16 servers go on sending a table under the name that its schema had when they described it, until capture begins again by itself: what is written at once behind a rename is reported as a missing table.
-- max_version: 15
-- expect: halt missing_table
-- limit: before Postgres 16 a schema is renamed while nobody writes to its tables for some seconds

CREATE SCHEMA older_before;
CREATE TABLE older_before.t (id int PRIMARY KEY, v text);
CREATE TABLE here (id int PRIMARY KEY, v text);
--- on east
INSERT INTO older_before.t VALUES (1, 'before');
--- on west
ALTER SCHEMA older_before RENAME TO older_after;
--- on east only
BEGIN;
ALTER SCHEMA older_before RENAME TO older_after;
INSERT INTO older_after.t VALUES (2, 'at once');
COMMIT;
CREATE TABLE local_renamed AS SELECT clock_timestamp() AS at;
--- on oracle
INSERT INTO older_after.t VALUES (2, 'at once');
--- repair
--- on west only
ALTER SCHEMA older_after RENAME TO older_before;
--- settle
--- on west only
ALTER SCHEMA older_before RENAME TO older_after;
CREATE TABLE local_renamed AS SELECT clock_timestamp() AS at;
DO $$ BEGIN FOR n IN 1..6000 LOOP EXIT WHEN EXISTS (SELECT FROM pg_stat_replication, local_renamed WHERE application_name = 'pgfed/west/capture' AND backend_start > at); PERFORM pg_sleep(0.01), pg_stat_clear_snapshot(); END LOOP; END $$;
--- on east only
DO $$ BEGIN FOR n IN 1..6000 LOOP EXIT WHEN EXISTS (SELECT FROM pg_stat_replication, local_renamed WHERE application_name = 'pgfed/east/capture' AND backend_start > at); PERFORM pg_sleep(0.01), pg_stat_clear_snapshot(); END LOOP; END $$;
--- on east
INSERT INTO older_after.t VALUES (3, 'afterwards');
--- on west
UPDATE older_after.t SET v = v || '!';
--- compare
SELECT * FROM older_after.t
