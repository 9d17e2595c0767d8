-- Every type that the catalog knows is carried, and its array: a new one is noticed because it has no samples here.

CREATE TABLE samples (type text PRIMARY KEY, texts text[]);
INSERT INTO samples VALUES ('bool', '{t,f}'), ('bytea', '{"","\\x00ff5c27"}'), ('char', '{"",~,"\\"}'), ('name', '{"",aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}'),
  ('int8', '{-9223372036854775808,9223372036854775807}'), ('int2', '{-32768,32767}'), ('int2vector', '{"","-1 2 32767"}'), ('int4', '{-2147483648,2147483647}'), ('regproc', '{-,pg_catalog.now,values_every_type.f}'),
  ('text', '{"","NULL"}'), ('oid', '{0,4294967295}'), ('tid', '{"(0,0)","(4294967295,65535)"}'), ('xid', '{0,4294967295}'), ('cid', '{0,4294967295}'), ('oidvector', '{"","0 4294967295"}'),
  ('json', '{" { } ","[1, \"x\",null]"}'), ('xml', '{"","<a b=''c''/>"}'), ('xid8', '{0,18446744073709551615}'), ('point', '{"(-0,0)","(NaN,-Infinity)","(1e-320,0.1)"}'), ('lseg', '{"[(0,0),(1,-1)]"}'), ('path', '{"((0,0))","[(0,0),(1,1)]"}'), ('box', '{"(1,1),(0,0)"}'),
  ('polygon', '{"((0,0),(1,0),(1,1))"}'), ('line', '{"{0,1,-Infinity}"}'), ('float4', '{-0,NaN,1e-45,3.4028235e+38}'), ('float8', '{-0,NaN,5e-324,1.7976931348623157e+308}'),
  ('circle', '{"<(0,0),0>","<(1,1),Infinity>"}'), ('money', '{-92233720368547758.08,92233720368547758.07}'), ('macaddr', '{00:00:00:00:00:00}'), ('inet', '{0.0.0.0/0,::1}'), ('cidr', '{::/0,10.0.0.0/8}'),
  ('macaddr8', '{ff:ff:ff:ff:ff:ff:ff:ff}'), ('aclitem', '{=r/postgres,postgres=arwdDxt/postgres,"=r*/postgres"}'), ('bpchar', '{"","  x  "}'), ('varchar', '{"","  x  "}'), ('date', '{4713-01-01 BC,5874897-12-31,-infinity}'),
  ('time', '{00:00:00,24:00:00,23:59:59.999999}'), ('timestamp', '{4713-01-01 00:00:00 BC,294276-12-31 23:59:59.999999,infinity}'), ('timestamptz', '{4713-01-01 00:00:00+00 BC,294276-12-31 23:59:59.999999+00,-infinity}'),
  ('interval', '{0,-178000000 years,"1 mon -1 day -00:00:00.000001"}'), ('timetz', '{00:00:00+15:59,24:00:00-15:59:59}'), ('bit', '{0,1}'), ('varbit', '{"",10101}'), ('numeric', '{NaN,-Infinity,0.000,-1.10,1e-16383}'),
  ('refcursor', '{"","\"x\""}'), ('regprocedure', '{-,pg_catalog.now(),"values_every_type.f(integer)"}'), ('regoper', '{0,pg_catalog.||/}'), ('regoperator', '{0,"+(integer,integer)"}'), ('regclass', '{-,pg_class,"values_every_type.\"Q t\""}'),
  ('regcollation', '{-,"\"C\""}'), ('regtype', '{-,"integer[]","values_every_type.mood"}'), ('regrole', '{-,postgres}'), ('regnamespace', '{-,values_every_type}'), ('uuid', '{00000000-0000-0000-0000-000000000000,ffffffff-ffff-ffff-ffff-ffffffffffff}'), ('pg_lsn', '{0/0,FFFFFFFF/FFFFFFFF}'),
  ('tsvector', '{"","''a'':1A,16383 ''b c'':2"}'), ('tsquery', '{"","''a'':*AB & !( ''b'' <3> ''c'' )"}'), ('regconfig', '{-,english}'), ('regdictionary', '{-,simple}'), ('jsonb', '{"null","{\"\": [1e400, -0.00]}"}'),
  ('jsonpath', '{$,"strict $.\"a b\"[*]?(@ > 1)"}'), ('txid_snapshot', '{1:1:,"10:20:10,11"}'), ('pg_snapshot', '{1:1:,"10:9223372036854775807:10,14"}'),
  ('int4range', '{empty,"[-2147483648,2147483647)","(,)"}'), ('numrange', '{empty,"[NaN,]","(1.0,1.00]"}'), ('tsrange', '{empty,"[-infinity,infinity]"}'), ('tstzrange', '{empty,"[\"0044-03-15 00:00:00+00 BC\",)"}'),
  ('daterange', '{empty,"[-infinity,5874897-12-31)"}'), ('int8range', '{empty,"[-9223372036854775808,9223372036854775807)"}'), ('int4multirange', '{"{}","{(,1),[5,6)}"}'), ('nummultirange', '{"{}","{[NaN,NaN]}"}'),
  ('tsmultirange', '{"{}","{[infinity,infinity]}"}'), ('tstzmultirange', '{"{}","{(,\"0044-03-15 00:00:00+00 BC\")}"}'), ('datemultirange', '{"{}","{(,)}"}'), ('int8multirange', '{"{}","{[1,2)}"}');
CREATE TYPE mood AS ENUM ('a');
CREATE TABLE "Q t" (id int PRIMARY KEY);
CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE VIEW types AS SELECT y.typname::text AS name, format_type(y.oid, -1) AS type, s.texts, row_number() OVER (ORDER BY y.oid) AS n,
    EXISTS (SELECT FROM pg_opclass c JOIN pg_cast b ON b.castmethod = 'b' AND b.castsource = y.oid AND b.casttarget = c.opcintype WHERE c.opcmethod = 403 AND c.opcdefault AND b.castcontext = 'i')
    OR EXISTS (SELECT FROM pg_opclass c WHERE c.opcmethod = 403 AND c.opcdefault AND c.opcintype = CASE y.typtype WHEN 'r' THEN 'anyrange'::regtype WHEN 'm' THEN 'anymultirange'::regtype ELSE y.oid END) AS sorts
  FROM pg_type y LEFT JOIN samples s ON s.type = y.typname
  WHERE y.typnamespace = 'pg_catalog'::regnamespace AND y.typtype IN ('b', 'e', 'r', 'm') AND NOT (y.typelem <> 0 AND y.typsubscript = 'array_subscript_handler'::regproc)
    AND y.typname NOT IN ('pg_node_tree', 'gtsvector', 'pg_ndistinct', 'pg_dependencies', 'pg_mcv_list', 'pg_brin_bloom_summary', 'pg_brin_minmax_multi_summary');
DO $$
DECLARE
  columns text = (SELECT string_agg(format('%I %s, %I %s[]', name, type, 'array of ' || name, type), ', ') FROM types);
  keys text[] = ARRAY(SELECT format('%I %s', name, type) FROM types WHERE sorts ORDER BY n);
  names text[] = ARRAY(SELECT quote_ident(name) FROM types WHERE sorts ORDER BY n);
BEGIN
  IF EXISTS (SELECT FROM types WHERE texts IS NULL) THEN RAISE 'no samples of %', (SELECT string_agg(name, ', ') FROM types WHERE texts IS NULL); END IF;
  IF array_length(keys, 1) NOT BETWEEN 55 AND 64 THEN RAISE '% types sort', array_length(keys, 1); END IF;
  EXECUTE format('CREATE TABLE of_all (id int PRIMARY KEY, %s)', columns);
  EXECUTE format('CREATE TABLE full_of_all (id int, %s)', columns);
  ALTER TABLE full_of_all REPLICA IDENTITY FULL;
  EXECUTE format('CREATE TABLE key_1 (%s, v int, PRIMARY KEY (%s))', array_to_string(keys[:32], ', '), array_to_string(names[:32], ', '));
  EXECUTE format('CREATE TABLE key_2 (%s, v int, PRIMARY KEY (%s))', array_to_string(keys[33:], ', '), array_to_string(names[33:], ', '));
END $$;
--- on east
DO $$
DECLARE y record; sample text; id int; keys text[] = ARRAY(SELECT quote_ident(name) FROM types WHERE sorts ORDER BY n);
BEGIN
  INSERT INTO of_all SELECT generate_series(-2, 3);
  FOR y IN TABLE types LOOP
    EXECUTE format('UPDATE of_all SET %I = ''{}'' WHERE id = -1', 'array of ' || y.name);
    EXECUTE format('UPDATE of_all SET %I = ARRAY[NULL, NULL]::%s[] WHERE id = -2', 'array of ' || y.name, y.type);
    id = 0;
    FOREACH sample IN ARRAY y.texts || y.texts || y.texts LOOP
      id = id + 1;
      EXECUTE format('UPDATE of_all SET %I = %L, %I = ARRAY[%2$L, NULL, %2$L]::%4$s[] WHERE id = %5$s', y.name, sample, 'array of ' || y.name, y.type, id);
    END LOOP;
  END LOOP;
  INSERT INTO full_of_all TABLE of_all;
  EXECUTE format('INSERT INTO key_1 SELECT %s, 0 FROM of_all WHERE id > 0', array_to_string(keys[:32], ', '));
  EXECUTE format('INSERT INTO key_2 SELECT %s, 0 FROM of_all WHERE id > 0', array_to_string(keys[33:], ', '));
END $$;
--- on west
DO $$
DECLARE y record;
BEGIN
  FOR y IN TABLE types LOOP
    EXECUTE format('UPDATE of_all SET %I = %1$I || %I WHERE id = 1', 'array of ' || y.name, y.name);
  END LOOP;
END $$;
UPDATE full_of_all SET id = id + 100;
DELETE FROM full_of_all WHERE id IN (99, 101);
UPDATE key_1 SET v = 1, int4 = 5 WHERE bool;
UPDATE key_2 SET v = 1;
DELETE FROM key_1 WHERE NOT bool;
DELETE FROM key_2 WHERE uuid::text LIKE 'f%';
