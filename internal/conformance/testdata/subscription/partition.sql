-- 013 partition: leaves by list and default on several levels, updates across partitions, TRUNCATE of leaf and root, other columns in leaves.

CREATE TABLE tab1 (a int PRIMARY KEY, b text, c text) PARTITION BY LIST (a);
CREATE TABLE tab1_1 (b text, c text DEFAULT 'sub1_tab1', a int NOT NULL);
ALTER TABLE tab1 ATTACH PARTITION tab1_1 FOR VALUES IN (1, 2, 3);
CREATE TABLE tab1_2 PARTITION OF tab1 (c DEFAULT 'sub1_tab1') FOR VALUES IN (4, 5, 6) PARTITION BY LIST (a);
CREATE TABLE tab1_2_1 (c text, b text, a int NOT NULL);
ALTER TABLE tab1_2 ATTACH PARTITION tab1_2_1 FOR VALUES IN (5);
CREATE TABLE tab1_2_2 PARTITION OF tab1_2 FOR VALUES IN (4, 6);
CREATE TABLE tab1_def PARTITION OF tab1 DEFAULT;
--- on east
INSERT INTO tab1 VALUES (1), (3), (5), (0);
INSERT INTO tab1_1 (a) VALUES (2);
INSERT INTO tab1_2 (a) VALUES (6);
UPDATE tab1 SET a = 2 WHERE a = 1 AND false;
UPDATE tab1 SET a = 4 WHERE a = 1;
UPDATE tab1 SET a = 1 WHERE a = 6;
UPDATE tab1 SET b = 'moved', a = 55 WHERE a = 0;
DELETE FROM tab1 WHERE a IN (2, 3);
--- on west
UPDATE tab1 SET a = 6 WHERE a = 5;
TRUNCATE tab1_2;
INSERT INTO tab1 VALUES (5, 'again', 'x');
--- on east
TRUNCATE tab1;
INSERT INTO tab1_def (a) VALUES (99);
