-- Foreign keys, circular, deferred, to itself and with every action, arrive with what they cascaded.

CREATE TABLE a (id int PRIMARY KEY, b int);
CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL REFERENCES a DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b DEFERRABLE INITIALLY DEFERRED;
CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE cascades (id int PRIMARY KEY, p int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE nulls (id int PRIMARY KEY, p int REFERENCES parent ON DELETE SET NULL ON UPDATE SET NULL);
CREATE TABLE defaults (id int PRIMARY KEY, p int DEFAULT 0 REFERENCES parent ON DELETE SET DEFAULT);
--- on east
BEGIN; INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (1, 1); COMMIT;
BEGIN; INSERT INTO b VALUES (2, 2); INSERT INTO a VALUES (2, 2); UPDATE a SET b = 2 WHERE id = 1; COMMIT;
INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2), (4, 2), (5, 1);
INSERT INTO parent SELECT generate_series(0, 5);
INSERT INTO cascades SELECT g, g FROM generate_series(1, 5) g;
INSERT INTO nulls SELECT g, g FROM generate_series(1, 5) g;
INSERT INTO defaults SELECT g, g FROM generate_series(1, 5) g;
UPDATE tree SET id = 20 WHERE id = 2;
DELETE FROM cascades WHERE id = 1; DELETE FROM nulls WHERE id = 1;
DELETE FROM parent WHERE id IN (1, 2);
--- on west
UPDATE tree SET id = 30 WHERE id = 3;
DELETE FROM tree WHERE id = 20;
BEGIN; DELETE FROM a WHERE id = 2; DELETE FROM b WHERE id = 2; UPDATE a SET b = 1; COMMIT;
DELETE FROM parent WHERE id = 3;
UPDATE parent SET id = 40 WHERE id = 4 AND NOT EXISTS (SELECT FROM defaults WHERE p = 4);
