-- Enums, domains, composites, user-made ranges and arrays of them arrive, though their type numbers differ at each node (PITFALLS D5).

CREATE TYPE mood AS ENUM ('sad', 'so "so"', 'glad, really', '');
CREATE TYPE pair AS (a int, b text);
CREATE TYPE nested AS (p pair, m mood, ps pair[], d date);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN code AS varchar(3) NOT NULL DEFAULT 'zzz';
CREATE DOMAIN positives AS positive[];
CREATE TYPE floatrange AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE TYPE textrange AS RANGE (subtype = text, collation = "C");
CREATE DOMAIN pair_with_a AS pair CHECK (VALUE IS NULL OR (VALUE).a IS NOT NULL);
CREATE TABLE t (id int PRIMARY KEY, m mood, ms mood[], p pair, ps pair[], n nested, pos positive, c code, poss positives, fr floatrange, tr textrange, frs floatrange[], pa pair_with_a, fm floatmultirange);
--- setup west
CREATE TYPE elsewhere AS ENUM ('this moves type numbers', 'and these of values');
ALTER TYPE mood ADD VALUE 'only here' BEFORE 'sad';
--- on east
INSERT INTO t VALUES (1, 'sad', '{sad,"so \"so\"",NULL}', '(1,"x, y")', '{"(1,)","(,\"\")",NULL}', '("(1,""a"")",sad,"{""(1,b)""}",2024-01-01)', 5, 'abc', '{1,2}', '[1.5,2.5)', '["a,b","c]d"]', '{"[1,2)",empty}', '(1,)', '{[1,2),[3,)}'),
  (2, 'so "so"', '{}', '(,)', '{}', '(,,,)', 1, '', '{}', 'empty', '(,)', '{}', '(0,"")', '{}'), (3, 'glad, really', NULL, NULL, NULL, NULL, NULL, 'x', NULL, '(,NaN)', '["",""]', NULL, NULL, NULL),
  (4, '', '{""}', ROW(-1, E'tab\tnew\nline "quote" \ back (paren)'), NULL, ROW(ROW(1, 'x'), 'glad, really', ARRAY[ROW(2, '{}')::pair], 'infinity'), 2147483647, 'é', '[3:4]={7,8}', '[-Infinity,Infinity]', NULL, NULL, NULL, NULL);
--- on west
UPDATE t SET p.a = 7, m = 'sad' WHERE id = 1;
UPDATE t SET n.m = 'so "so"' WHERE n IS NOT NULL OR id = 2;
