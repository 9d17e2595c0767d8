-- Sequences are each node's own: nextval, setval and ALTER SEQUENCE are not carried.
-- limit: sequences are not carried

CREATE SEQUENCE s;
CREATE TABLE t (id int PRIMARY KEY);
--- on east
INSERT INTO t SELECT nextval('s') FROM generate_series(1, 10);
SELECT setval('s', 1000);
ALTER SEQUENCE s INCREMENT 5;
--- check west `SELECT nextval('s'), increment_by FROM pg_sequences WHERE schemaname = 'limits_sequences' AND sequencename = 's'` = 1|1
