-- Names with quotes, blanks, reserved words, percent signs, other alphabets and 63 bytes are carried.

CREATE TABLE "select" ("from" int PRIMARY KEY, "where" text, "order" int);
CREATE TABLE "T""x; DROP TABLE y --" ("a ""b""" int PRIMARY KEY, "ÜÄ ☃" text, " " text, "%s $1 ?" text, "'" text, "\" text);
CREATE TABLE "Ключ" ("имя" text PRIMARY KEY, "值" int);
CREATE TABLE "a_name_of_sixty_three_bytes_which_is_the_longest_that_there_is_" (id int PRIMARY KEY, "another_name_of_sixty_three_bytes_which_is_the_longest_there_is" int);
CREATE TABLE "UPPER" ("Id" int PRIMARY KEY, id text, "ID" text);
CREATE TABLE "with.dot" ("a.b" int PRIMARY KEY, v int);
CREATE TABLE ctids (id int PRIMARY KEY, oid int, t int, old text, new text);
--- on east
INSERT INTO "select" VALUES (1, 'a', 1), (2, 'b', 2);
INSERT INTO "T""x; DROP TABLE y --" VALUES (1, 'a', 'b', 'c', 'd', 'e'), (2, NULL, NULL, NULL, NULL, NULL);
INSERT INTO "Ключ" VALUES ('ключ', 1);
INSERT INTO "a_name_of_sixty_three_bytes_which_is_the_longest_that_there_is_" VALUES (1, 1);
INSERT INTO "UPPER" VALUES (1, 'lower', 'UPPER');
INSERT INTO "with.dot" VALUES (1, 1);
INSERT INTO ctids VALUES (1, 1, 1, 'a', 'b');
--- on west
UPDATE "select" SET "from" = 3, "where" = 'c' WHERE "from" = 2;
UPDATE "T""x; DROP TABLE y --" SET "ÜÄ ☃" = '☃', " " = 'x', "%s $1 ?" = '%d', "\" = '\' WHERE "a ""b""" = 2;
UPDATE "Ключ" SET "имя" = 'имя', "值" = 2;
UPDATE "a_name_of_sixty_three_bytes_which_is_the_longest_that_there_is_" SET "another_name_of_sixty_three_bytes_which_is_the_longest_there_is" = 5;
UPDATE "UPPER" SET "ID" = 'x', "Id" = 4;
UPDATE "with.dot" SET "a.b" = 2;
UPDATE ctids SET oid = 2, t = 3, old = new, new = old, id = 9;
DELETE FROM "select" WHERE "from" = 1;
TRUNCATE "with.dot";
