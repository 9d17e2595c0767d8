-- Columns are matched by name: another order, dropped columns and wider types at the target do not matter.

CREATE TABLE local_nothing (id int);
--- setup east oracle
CREATE TABLE t (id int PRIMARY KEY, gone text, a int, b text, c varchar(10));
ALTER TABLE t DROP gone;
CREATE TABLE full_t (a int, b text);
ALTER TABLE full_t REPLICA IDENTITY FULL;
--- setup west
CREATE TABLE t (gone1 int, c text, b varchar, gone2 int, a bigint, id bigint PRIMARY KEY);
ALTER TABLE t DROP gone1, DROP gone2;
CREATE TABLE full_t (gone int, b text, a int);
ALTER TABLE full_t DROP gone;
ALTER TABLE full_t REPLICA IDENTITY FULL;
--- on east
INSERT INTO t VALUES (1, 10, 'x', 'c'), (2, 20, 'y', NULL);
INSERT INTO full_t VALUES (1, 'x'), (1, 'x'), (NULL, NULL);
UPDATE t SET a = a + 1, id = id + 5 WHERE id = 2;
--- on west
UPDATE t SET b = 'west' WHERE id = 7;
UPDATE full_t SET a = 2 WHERE ctid = (SELECT min(ctid) FROM full_t);
DELETE FROM full_t WHERE a IS NULL;
