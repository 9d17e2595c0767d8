-- Exclusion constraints hold at the target, through swaps in one transaction.
-- contrib: btree_gist

CREATE TABLE t (id int PRIMARY KEY, room int, during int4range, EXCLUDE USING gist (room WITH =, during WITH &&));
CREATE TABLE d (id int PRIMARY KEY, during int4range, EXCLUDE USING gist (during WITH &&) DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE parts (id int PRIMARY KEY, a int, EXCLUDE (a WITH =) WHERE (a > 0));
--- on east
INSERT INTO t VALUES (1, 1, '[1,5)'), (2, 1, '[5,9)'), (3, 2, '[1,9)');
INSERT INTO d VALUES (1, '[1,5)'), (2, '[5,9)');
INSERT INTO parts VALUES (1, 0), (2, 0), (3, 1);
BEGIN;
UPDATE t SET during = '[20,30)' WHERE id = 1;
UPDATE t SET during = '[1,5)' WHERE id = 2;
UPDATE t SET during = '[5,9)' WHERE id = 1;
COMMIT;
--- on west
BEGIN;
UPDATE d SET during = '[5,9)' WHERE id = 1;
UPDATE d SET during = '[1,5)' WHERE id = 2;
COMMIT;
BEGIN;
DELETE FROM t WHERE id = 3;
INSERT INTO t VALUES (4, 2, '[3,4)');
COMMIT;
UPDATE parts SET a = 2 WHERE id = 1;
