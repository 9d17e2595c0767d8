-- 031: some columns of a table are published and others are not, here by tables.local_columns: any order of columns, other columns at the target, partitions, a column that no longer is, and generated ones.

CREATE TABLE tab1 (a int PRIMARY KEY, local_b int, c int);
CREATE TABLE tab2 (a int PRIMARY KEY, b varchar, local_c int);
CREATE TABLE tab7 (a int PRIMARY KEY, b int, local_c int, local_d int);
CREATE TABLE part (a int, b int, local_c text, d int NOT NULL, PRIMARY KEY (a, d)) PARTITION BY LIST (a);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1, 2, 3);
CREATE TABLE part_2 (d int NOT NULL, local_c text, b int, a int NOT NULL, PRIMARY KEY (a, d));
ALTER TABLE part ATTACH PARTITION part_2 FOR VALUES IN (4, 5, 6);
CREATE TABLE gen (a int PRIMARY KEY, b int, local_c int GENERATED ALWAYS AS (b * 2) STORED);
--- setup west
DROP TABLE tab1, tab2, gen;
CREATE TABLE tab1 (c int, d int DEFAULT 4, a int PRIMARY KEY);
CREATE TABLE tab2 (b varchar, local_c int DEFAULT 9, a int PRIMARY KEY);
CREATE TABLE gen (b int, a int PRIMARY KEY, local_c int GENERATED ALWAYS AS (b * 3) STORED);
--- on east
INSERT INTO tab1 VALUES (1, 2, 3), (2, 3, 4);
INSERT INTO tab2 VALUES (1, 'abc', 3), (2, 'def', 4);
INSERT INTO tab7 VALUES (1, 2, 3, 4);
INSERT INTO part VALUES (1, 4, 'x', 1), (4, 5, 'y', 2);
INSERT INTO gen (a, b) VALUES (1, 2);
--- settle
--- on east
UPDATE tab1 SET local_b = 10 * local_b;
UPDATE tab1 SET c = 6 WHERE a = 1;
UPDATE tab2 SET local_c = 5, b = 'xyz' WHERE a = 1;
UPDATE tab2 SET a = 3 WHERE a = 2;
UPDATE tab7 SET local_c = 1, local_d = 2;
ALTER TABLE tab7 DROP local_c;
UPDATE tab7 SET b = 5;
UPDATE part SET b = 7, local_c = 'z' WHERE a = 4;
DELETE FROM part WHERE a = 1;
UPDATE gen SET b = 5;
--- check west `SELECT * FROM tab1 ORDER BY a` = 6|4|1;4|4|2
--- check west `SELECT * FROM tab2 ORDER BY a` = xyz|9|1;def|9|3
--- check west `SELECT * FROM tab7` = 1|5|NULL|NULL
--- check west `SELECT a, b, local_c, d FROM part` = 4|7|NULL|2
--- check west `SELECT * FROM gen` = 5|1|15
