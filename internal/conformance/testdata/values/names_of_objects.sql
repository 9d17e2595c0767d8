-- Aliases of object numbers arrive as names, though the numbers differ at each node.

CREATE TABLE t (id int PRIMARY KEY, c regclass, p regproc, pp regprocedure, o regoper, oo regoperator, ty regtype, r regrole, n regnamespace, co regcollation, cf regconfig, d regdictionary, raw oid);
CREATE TABLE "Quoted Name" (id int PRIMARY KEY);
CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TYPE mood AS ENUM ('a');
--- setup west
CREATE TABLE local_first (id int);
--- on east
INSERT INTO t VALUES (1, 't', 'f', 'f(int)', NULL, '+(int,int)', 'mood', 'postgres', 'values_names_of_objects', '"C"', 'english', 'simple', 42),
  (2, '"Quoted Name"', 'pg_catalog.now', 'pg_catalog.now()', NULL, NULL, 'int4[]', NULL, 'public', NULL, NULL, NULL, 0), (3, 'pg_class', NULL, NULL, NULL, NULL, 'timestamp with time zone', NULL, NULL, NULL, NULL, NULL, 4294967295);
--- on west
UPDATE t SET c = 'pg_type' WHERE id = 1;
