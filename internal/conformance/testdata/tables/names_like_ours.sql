-- Names that SQL of ours could trip over: dots and quotes in schemas, pgfed and PG, aliases, composite columns called like their table, new lines, 63 bytes of other alphabets.

CREATE SCHEMA "s.p""q";
CREATE SCHEMA pgfed_user;
CREATE TABLE "s.p""q"."t.u" (id int PRIMARY KEY, "a.b" text);
CREATE TABLE "s.p""q"."t" (id int PRIMARY KEY, "a.b" text);
CREATE TABLE pgfed_user.checkpoint (id int PRIMARY KEY, v text);
CREATE TABLE "PG_x" (id int PRIMARY KEY, "tableOID" int, v int);
CREATE TABLE pg_y (id int PRIMARY KEY, v int);
CREATE TABLE "1 lead
newline	tab" ("2
x" int PRIMARY KEY, "$1" int, "${x}" text, "{}" text, "a,b" text, "NULL" text, "excluded" int, "pgfed_k0" int, "o" int, "n" int);
CREATE TABLE "☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃" ("ééééééééééééééééééééééééééééééé1" int PRIMARY KEY, v text);
CREATE TABLE t (t int PRIMARY KEY, "row" int, "user" text, "values" int[], "all" int);
CREATE TYPE c AS (c int, t text);
CREATE TABLE c_t (id int PRIMARY KEY, c c, t c, old c, new c);
CREATE TABLE full_t (t c, c c, "row" c);
ALTER TABLE full_t REPLICA IDENTITY FULL;
--- on east
INSERT INTO "s.p""q"."t.u" VALUES (1, 'x'), (2, 'y');
INSERT INTO "s.p""q"."t" VALUES (1, 'x'), (2, 'y');
INSERT INTO pgfed_user.checkpoint VALUES (1, 'x');
INSERT INTO "PG_x" VALUES (1, 1, 1);
INSERT INTO pg_y VALUES (1, 1);
INSERT INTO "1 lead
newline	tab" VALUES (1, 1, 'a', 'b', 'c', 'd', 1, 1, 1, 1);
INSERT INTO "☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃" VALUES (1, 'a');
INSERT INTO t VALUES (1, 2, 'u', '{1}', 2), (2, 3, 'v', '{}', 3);
INSERT INTO c_t VALUES (1, '(1,a)', '(2,)', '(,)', NULL);
INSERT INTO full_t VALUES ('(1,a)', '(2,)', '(,)'), (NULL, '(,)', NULL), ('(,)', NULL, '(,"")');
--- on west
UPDATE "s.p""q"."t.u" SET "a.b" = 'z', id = 5 WHERE id = 1;
DELETE FROM "s.p""q"."t" WHERE id = 1;
UPDATE pgfed_user.checkpoint SET v = 'y';
UPDATE "PG_x" SET v = 5;
UPDATE pg_y SET v = 5;
UPDATE "1 lead
newline	tab" SET "$1" = 7, "2
x" = 8;
UPDATE "☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃" SET v = 'b';
UPDATE t SET t = t + 10, "row" = 0;
UPDATE c_t SET c.t = 'z', new = '(9,9)';
UPDATE full_t SET t.t = 'q' WHERE c IS NOT NULL;
DELETE FROM full_t WHERE c::text = '(,)';
--- compare
SELECT * FROM "s.p""q"."t.u"
SELECT * FROM "s.p""q"."t"
SELECT * FROM pgfed_user.checkpoint
SELECT * FROM "PG_x"
SELECT * FROM pg_y
SELECT "2\nx", "$1" FROM (SELECT * FROM tables_names_like_ours."☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃") x("2\nx", "$1")
SELECT * FROM t
SELECT * FROM c_t
SELECT * FROM full_t
