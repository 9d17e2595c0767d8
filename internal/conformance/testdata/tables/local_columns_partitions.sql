-- Partitions keep a node's own columns too, also where only some nodes have them; a row that moves to another partition arrives anew, with their defaults.

CREATE TABLE p (id int, region text, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE p_e PARTITION OF p FOR VALUES IN ('e');
CREATE TABLE p_w PARTITION OF p FOR VALUES IN ('w');
--- setup east
ALTER TABLE p ADD local_e text DEFAULT 'east';
--- setup west
ALTER TABLE p ADD local_w int DEFAULT 7;
--- setup oracle
ALTER TABLE p ADD local_e text, ADD local_w int;
--- on east
INSERT INTO p (id, region, v, local_e) VALUES (1, 'e', 'a', 'mine'), (2, 'w', 'b', 'mine'), (3, 'e', 'c', NULL);
--- on west
UPDATE p SET local_w = 8;
INSERT INTO p (id, region, v, local_w) VALUES (4, 'w', 'd', 9);
--- on east
UPDATE p SET v = v || '!';
UPDATE p SET region = 'w' WHERE id = 1;
DELETE FROM p WHERE id = 3;
--- on all
CREATE TABLE p_n PARTITION OF p FOR VALUES IN ('n');
--- on east
INSERT INTO p (id, region, local_e) VALUES (5, 'n', 'mine');
--- check east `SELECT id, region, v, local_e FROM p ORDER BY id` = 1|w|a!|mine;2|w|b!|mine;4|w|d!|east;5|n|NULL|mine
--- check west `SELECT id, region, v, local_w FROM p ORDER BY id` = 1|w|a!|7;2|w|b!|8;4|w|d!|9;5|n|NULL|7
