-- Partitions are made, attached, detached and dropped at one node while running; the other keeps its own.
-- layouts: east's change, west has one

CREATE TABLE p (id int, at int, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE p_more (id int, at int, v text, PRIMARY KEY (id, at));
--- setup east oracle
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
--- setup west
CREATE TABLE p_all PARTITION OF p DEFAULT;
--- on east
INSERT INTO p VALUES (1, 1, 'a'), (2, 2, 'a');
BEGIN; CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20); INSERT INTO p VALUES (3, 11, 'b'); COMMIT;
UPDATE p SET at = 12 WHERE id = 1;
CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (20) TO (40) PARTITION BY RANGE (at);
CREATE TABLE p3_1 PARTITION OF p3 FOR VALUES FROM (20) TO (30);
INSERT INTO p VALUES (4, 21, 'c');
UPDATE p SET at = at + 10 WHERE at BETWEEN 11 AND 12;
--- on west
UPDATE p SET at = 5, v = 'west' WHERE id = 4;
INSERT INTO p VALUES (5, 29, 'west');
--- on east
UPDATE p SET v = 'east' WHERE id = 5;
DELETE FROM p WHERE id = 2;
ALTER TABLE p3 DETACH PARTITION p3_1;
CREATE TABLE p3_2 (LIKE p3_1 INCLUDING ALL);
INSERT INTO p3_2 SELECT id + 100, at, v FROM p3_1 WHERE false;
ALTER TABLE p3 ATTACH PARTITION p3_2 FOR VALUES FROM (30) TO (40);
INSERT INTO p VALUES (6, 33, 'attached');
ALTER TABLE p3 ATTACH PARTITION p3_1 FOR VALUES FROM (20) TO (30);
UPDATE p SET at = at - 10 WHERE id = 6;
--- on east
DROP TABLE p2;
INSERT INTO p VALUES (7, 9, 'd');
--- on west
INSERT INTO p VALUES (8, 35, 'west');
TRUNCATE p;
INSERT INTO p VALUES (9, 35, 'after');
