-- 100 bugs: index predicates that need a snapshot, triggers that truncate temporary tables, dropped columns under FULL, leaves attached with other column numbers.

CREATE TABLE tab1 (a int PRIMARY KEY, b int);
CREATE FUNCTION double(x int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT x * 2';
CREATE INDEX ON tab1 (b) WHERE a > double(1);
CREATE TABLE dropped (a int, gone int, b int, c int);
ALTER TABLE dropped REPLICA IDENTITY FULL;
ALTER TABLE dropped DROP gone;
CREATE TABLE leaf_order (a int, b int, c text, PRIMARY KEY (a)) PARTITION BY RANGE (a);
CREATE TABLE leaf_1 (c text, gone int, b int, a int NOT NULL, PRIMARY KEY (a));
ALTER TABLE leaf_1 DROP gone;
ALTER TABLE leaf_order ATTACH PARTITION leaf_1 FOR VALUES FROM (0) TO (100);
CREATE TABLE toasted (id int PRIMARY KEY, key text NOT NULL, v int);
ALTER TABLE toasted ALTER key SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX toasted_key ON toasted (md5(key));
CREATE TABLE idx_toast (key text NOT NULL, v int);
ALTER TABLE idx_toast ALTER key SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX idx_toast_key ON idx_toast (key);
ALTER TABLE idx_toast REPLICA IDENTITY USING INDEX idx_toast_key;
--- on east
INSERT INTO tab1 VALUES (1, 1), (2, 2), (5, 5);
UPDATE tab1 SET b = b + 1;
INSERT INTO dropped VALUES (1, 2), (1, 2), (NULL, 3);
UPDATE dropped SET b = 4 WHERE ctid = (SELECT min(ctid) FROM dropped);
DELETE FROM dropped WHERE a IS NULL;
INSERT INTO leaf_order VALUES (1, 2, 'x'), (2, 3, 'y');
UPDATE leaf_order SET c = 'z', b = a WHERE a = 1;
INSERT INTO toasted VALUES (1, repeat('k', 5000), 1);
UPDATE toasted SET v = 2;
INSERT INTO idx_toast SELECT string_agg(md5(g::text), ''), 1 FROM generate_series(1, 70) g;
UPDATE idx_toast SET v = 2;
CREATE TEMPORARY TABLE temp (id int);
BEGIN; INSERT INTO temp VALUES (1); TRUNCATE temp; INSERT INTO tab1 VALUES (9, 9); COMMIT;
--- on west
DELETE FROM leaf_order WHERE a = 2;
UPDATE idx_toast SET key = 'short', v = 3;
UPDATE dropped SET a = 5 WHERE b = 4;
