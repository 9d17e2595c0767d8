-- 013 partition, via root: nodes partition by other keys and on other levels, the leaves' columns differ, rows move; the whole is truncated.
-- layouts: other keys and levels

CREATE TABLE tab2 (a int PRIMARY KEY, b text) PARTITION BY LIST (a);
--- setup east oracle
CREATE TABLE tab1 (a int PRIMARY KEY, b text) PARTITION BY LIST (a);
CREATE TABLE tab1_1 (b text, a int NOT NULL);
ALTER TABLE tab1 ATTACH PARTITION tab1_1 FOR VALUES IN (0, 1, 2, 3);
CREATE TABLE tab1_2 PARTITION OF tab1 FOR VALUES IN (4, 5, 6);
CREATE TABLE tab1_def PARTITION OF tab1 DEFAULT;
CREATE TABLE tab2_1 (b text, a int NOT NULL);
ALTER TABLE tab2 ATTACH PARTITION tab2_1 FOR VALUES IN (0, 1, 2, 3);
CREATE TABLE tab2_2 PARTITION OF tab2 FOR VALUES IN (5, 6);
CREATE TABLE tab3 (a int PRIMARY KEY, b text) PARTITION BY LIST (a);
CREATE TABLE tab3_1 PARTITION OF tab3 FOR VALUES IN (0, 1, 2, 3, 5, 6);
CREATE TABLE tab4 (a int PRIMARY KEY) PARTITION BY LIST (a);
CREATE TABLE tab4_1 PARTITION OF tab4 FOR VALUES IN (-1, 0, 1) PARTITION BY LIST (a);
CREATE TABLE tab4_1_1 PARTITION OF tab4_1 FOR VALUES IN (-1, 0, 1);
--- setup west
CREATE TABLE tab1 (a int PRIMARY KEY, b text) PARTITION BY HASH (a);
CREATE TABLE tab1_h1 PARTITION OF tab1 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE tab1_h2 (b text, gone int, a int NOT NULL);
ALTER TABLE tab1_h2 DROP gone;
ALTER TABLE tab1 ATTACH PARTITION tab1_h2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE tab2_def PARTITION OF tab2 DEFAULT;
CREATE TABLE tab3 (b text, a int PRIMARY KEY);
CREATE TABLE tab4 (a int PRIMARY KEY) PARTITION BY LIST (a);
CREATE TABLE tab4_1 PARTITION OF tab4 FOR VALUES IN (0, 1) PARTITION BY LIST (a);
CREATE TABLE tab4_1_0 PARTITION OF tab4_1 FOR VALUES IN (0, 1);
CREATE TABLE tab4_minus PARTITION OF tab4 FOR VALUES IN (-1);
--- on east
INSERT INTO tab1 VALUES (0), (1), (3), (5), (17);
INSERT INTO tab1_1 (a) VALUES (2);
INSERT INTO tab2 VALUES (0), (1), (3), (5);
INSERT INTO tab3 VALUES (0), (1), (3), (5);
INSERT INTO tab4 VALUES (-1), (0), (1);
--- on east
UPDATE tab1 SET a = 6, b = 'moved' WHERE a = 5;
UPDATE tab1 SET a = 4 WHERE a = 1;
UPDATE tab1 SET a = 55 WHERE a = 0;
UPDATE tab2 SET a = 6 WHERE a = 5;
UPDATE tab2 SET a = 5 WHERE a = 1;
UPDATE tab3 SET a = 6 WHERE a = 5;
DELETE FROM tab1 WHERE a IN (3, 55);
DELETE FROM tab2 WHERE a = 3;
DELETE FROM tab4 WHERE a = 0;
--- on west
UPDATE tab2 SET b = 'west', a = a - 3 WHERE a IN (5, 6);
UPDATE tab1 SET a = a + 1;
INSERT INTO tab3 (a, b) VALUES (2, 'west');
UPDATE tab4 SET a = 0 WHERE a = -1;
--- on east
TRUNCATE tab1, tab2, tab3, tab4;
INSERT INTO tab1 VALUES (1, 'again');
INSERT INTO tab2 VALUES (1, 'again');
INSERT INTO tab3 VALUES (1, 'again');
INSERT INTO tab4 VALUES (1);
