-- Tables that are swapped by name at every node, or recreated and published again, are followed while running.

CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE next (v text, id bigint PRIMARY KEY, added int);
CREATE TABLE renamed (id int PRIMARY KEY, v text);
CREATE TABLE again (id int PRIMARY KEY, v text);
--- on east
INSERT INTO t VALUES (1, 'old');
INSERT INTO next VALUES ('new', 1, 5);
INSERT INTO renamed VALUES (1, 'a');
INSERT INTO again VALUES (1, 'first life');
--- on all
BEGIN;
ALTER TABLE t RENAME TO previous;
ALTER TABLE next RENAME TO t;
COMMIT;
ALTER TABLE renamed RENAME TO "other name";
ALTER TABLE "other name" RENAME v TO w;
DROP TABLE again;
CREATE TABLE again (w text, id text PRIMARY KEY);
--- init
--- on east
INSERT INTO t VALUES ('x', 2, 6);
UPDATE previous SET v = 'still';
INSERT INTO "other name" VALUES (2, 'b');
INSERT INTO again VALUES ('second life', 'one');
--- on west
UPDATE t SET added = 9 WHERE id = 1;
DELETE FROM previous;
UPDATE "other name" SET w = 'c', id = id + 10;
UPDATE again SET w = 'west';
