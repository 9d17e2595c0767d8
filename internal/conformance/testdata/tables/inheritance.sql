-- Parents and children by inheritance are carried each for itself.

CREATE TABLE parent (id int PRIMARY KEY, v text);
CREATE TABLE child (PRIMARY KEY (id), extra int) INHERITS (parent);
CREATE TABLE grandchild (PRIMARY KEY (id)) INHERITS (child);
--- on east
INSERT INTO parent VALUES (1, 'parent');
INSERT INTO child VALUES (1, 'same key in the child', 1), (2, 'child', 2);
INSERT INTO grandchild VALUES (3, 'grandchild', 3);
UPDATE parent SET v = v || '!';
--- on west
UPDATE ONLY parent SET v = 'only the parent' WHERE id = 1;
DELETE FROM parent WHERE id = 3;
UPDATE child SET extra = 9;
--- on east
TRUNCATE ONLY parent;
INSERT INTO parent VALUES (4, 'd');
--- on east
TRUNCATE parent;
INSERT INTO child VALUES (8, 'after', 0);
