-- 024, 025 add_drop_pub, schemas: tables that come, leave and move while running are carried from the next init on.

CREATE TABLE stays (a int PRIMARY KEY);
CREATE TABLE leaves (a int PRIMARY KEY);
--- on east
INSERT INTO stays VALUES (1);
INSERT INTO leaves VALUES (1);
--- on all
CREATE TABLE comes (a int PRIMARY KEY, b text);
ALTER TABLE leaves RENAME TO local_left;
--- init
--- on east
INSERT INTO comes VALUES (1, 'a');
INSERT INTO stays VALUES (2);
--- on east only
INSERT INTO local_left VALUES (2);
--- on west
UPDATE comes SET b = 'b';
--- check west `SELECT count(*) FROM local_left` = 1
--- on all
DROP TABLE comes;
--- on east
INSERT INTO stays VALUES (3);
