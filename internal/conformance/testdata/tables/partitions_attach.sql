-- Partitions are attached and detached while running.

CREATE TABLE p (id int, at int, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p2 (id int, at int, v text, PRIMARY KEY (id, at));
--- on east
INSERT INTO p VALUES (1, 1, 'a');
INSERT INTO p2 VALUES (2, 11, 'b');
--- on all
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20);
CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (20) TO (30);
--- on east
INSERT INTO p VALUES (3, 12, 'c'), (4, 25, 'new partition');
UPDATE p SET at = 21 WHERE id = 1;
--- on west
UPDATE p SET at = 13, v = 'moved' WHERE id = 4;
--- on all
ALTER TABLE p DETACH PARTITION p2;
--- init
--- on east
INSERT INTO p2 VALUES (5, 12, 'detached');
UPDATE p2 SET v = 'still' WHERE id = 3;
INSERT INTO p VALUES (6, 22, 'e');
--- on west
DELETE FROM p2 WHERE id = 2;
