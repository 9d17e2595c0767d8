-- Large objects stay at their node; a column that names one is carried as a number.
-- limit: large objects are not carried

CREATE TABLE t (id int PRIMARY KEY, lo oid);
--- on east
SELECT lo_from_bytea(987654, 'content');
INSERT INTO t VALUES (1, 987654);
--- check west `SELECT count(*) FROM pg_largeobject_metadata WHERE oid = 987654` = 0
