-- Tables and schemas that are moved and renamed at every node are followed while running, with their rows' later changes.

CREATE SCHEMA moved_from;
CREATE TABLE moved_from.t (id int PRIMARY KEY, v text);
CREATE TABLE u (id int PRIMARY KEY, v text);
--- on east
INSERT INTO moved_from.t VALUES (1, 'a'), (2, 'b');
INSERT INTO u VALUES (1, 'a');
--- on all
CREATE SCHEMA "moved To";
ALTER TABLE moved_from.t SET SCHEMA "moved To";
ALTER TABLE u SET SCHEMA moved_from;
ALTER SCHEMA moved_from RENAME TO "moved, too";
ALTER TABLE "moved, too".u RENAME id TO "Id";
--- init
--- on east
UPDATE "moved To".t SET v = 'c', id = id + 10;
INSERT INTO "moved, too".u VALUES (2, 'b');
--- on west
DELETE FROM "moved To".t WHERE id = 11;
UPDATE "moved, too".u SET "Id" = "Id" + 1 WHERE v = 'b';
--- compare
SELECT * FROM "moved To".t
SELECT * FROM "moved, too".u
