-- What the replicator's role may not do here is reported, and arrives once it may: a table that got row security meanwhile, a function of an index, a schema.
-- expect: halt privilege

CREATE TABLE secured (id int PRIMARY KEY, v text);
CREATE FUNCTION twice(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 * 2; END';
CREATE TABLE indexed (id int PRIMARY KEY, n int);
CREATE INDEX ON indexed (twice(n));
--- setup west
REVOKE EXECUTE ON FUNCTION twice FROM PUBLIC;
--- on east
INSERT INTO secured VALUES (1, 'a');
--- on west only
ALTER ROLE pgfed_replicator NOBYPASSRLS;
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
--- on east
INSERT INTO secured VALUES (2, 'b');
--- repair
--- init
--- on east
INSERT INTO indexed VALUES (2, 5);
--- repair
--- on west only
GRANT EXECUTE ON FUNCTION twice TO pgfed_replicator;
--- settle
--- on west only
REVOKE USAGE ON SCHEMA limits_privileges FROM pgfed_replicator;
--- on east
UPDATE secured SET v = 'c' WHERE id = 1;
--- repair
--- init
