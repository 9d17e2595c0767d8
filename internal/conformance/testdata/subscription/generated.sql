-- 011 generated: generated columns of both nodes, by different expressions, and one at the target only.

CREATE TABLE tab1 (a int PRIMARY KEY, b int GENERATED ALWAYS AS (a * 2) STORED);
CREATE TABLE tab2 (a int PRIMARY KEY, v text);
--- setup west
ALTER TABLE tab1 DROP b;
ALTER TABLE tab1 ADD b int GENERATED ALWAYS AS (a * 22) STORED, ADD c int;
ALTER TABLE tab2 ADD g text GENERATED ALWAYS AS (upper(v)) STORED;
--- on east
INSERT INTO tab1 (a) VALUES (1), (2), (3);
UPDATE tab1 SET a = 6 WHERE a = 3;
INSERT INTO tab2 VALUES (1, 'x');
UPDATE tab2 SET v = 'y';
--- check west `SELECT * FROM tab1 ORDER BY a` = 1|22|NULL;2|44|NULL;6|132|NULL
--- check west `SELECT g FROM tab2` = Y
--- compare
SELECT a FROM tab1
SELECT a, v FROM tab2
