-- What this database alone cannot take is reported with the column or constraint: a value that names what is not here, one that its domain forbids by now, a function that relies on a search path, a unique index that was never finished.
-- expect: halt apply_error

CREATE TABLE named (id int PRIMARY KEY, c regclass, n regnamespace, r regrole, y regtype);
CREATE DOMAIN d AS int;
CREATE TABLE forbidden (id int PRIMARY KEY, d d, n int);
CREATE FUNCTION within(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE FUNCTION around(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN within($1); END';
CREATE TABLE derived (id int PRIMARY KEY, n int, g int GENERATED ALWAYS AS (around(n)) STORED);
CREATE TABLE twice (id int PRIMARY KEY, n int);
--- setup east oracle
CREATE TABLE local_here (id int);
CREATE SCHEMA limits_refused_here_2;
--- on east
INSERT INTO named (id, c, n) VALUES (1, 'local_here', 'limits_refused_here_2');
--- repair
--- on west only
CREATE TABLE local_here (id int);
CREATE SCHEMA limits_refused_here_2;
--- on east
INSERT INTO forbidden VALUES (2, 5, 0);
--- on all
ALTER DOMAIN d ADD CONSTRAINT big CHECK (VALUE > 10) NOT VALID;
--- on east
UPDATE forbidden SET n = 1;
--- repair
--- on west only
ALTER DOMAIN d DROP CONSTRAINT big;
--- on east
INSERT INTO derived VALUES (2, 5);
--- repair
--- on west only
ALTER FUNCTION around SET search_path = limits_refused_here;
--- on east
INSERT INTO derived VALUES (3, 5);
INSERT INTO twice VALUES (1, 5);
--- settle
--- on west only
CREATE UNIQUE INDEX unfinished ON twice (n);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'unfinished'::regclass;
--- on east
INSERT INTO twice VALUES (3, 5);
--- repair
--- on west only
DROP INDEX unfinished;
