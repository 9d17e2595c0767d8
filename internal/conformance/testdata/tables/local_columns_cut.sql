-- A node's own columns stay where nodes cut a table into other partitions, or not at all.

--- setup east
CREATE TABLE p (id int, v text, local_e text DEFAULT 'east', PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE p_low PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p_high PARTITION OF p FOR VALUES FROM (10) TO (100);
--- setup west
CREATE TABLE p (local_w int DEFAULT 7, id int PRIMARY KEY, v text);
--- setup oracle
CREATE TABLE p (id int PRIMARY KEY, v text, local_e text, local_w int);
--- on east
INSERT INTO p VALUES (1, 'a', 'mine'), (2, 'b', DEFAULT), (20, 'c', NULL);
--- on west
UPDATE p SET local_w = 8;
UPDATE p SET v = 'w' WHERE id = 2;
INSERT INTO p (id, v, local_w) VALUES (30, 'd', 9), (3, 'e', NULL);
--- on east
UPDATE p SET v = v || '!', local_e = 'changed' WHERE id <> 2;
DELETE FROM p WHERE id = 20;
--- check east `SELECT id, v, local_e FROM p ORDER BY id` = 1|a!|changed;2|w|east;3|e!|changed;30|d!|changed
--- check west `SELECT id, v, local_w FROM p ORDER BY id` = 1|a!|8;2|w|8;3|e!|NULL;30|d!|9
--- compare
SELECT id, v FROM p
