-- Partial, expression and NULLs-are-equal unique indexes do not stop what the origin could do.

CREATE TABLE t (id int PRIMARY KEY, v text, active bool, CHECK (id > 0));
CREATE UNIQUE INDEX ON t (v) WHERE active;
CREATE UNIQUE INDEX ON t (lower(v), active) WHERE id < 100;
--- on east
INSERT INTO t VALUES (1, 'a', true), (2, 'a', false), (3, 'b', true), (200, 'B', false);
BEGIN;
UPDATE t SET active = NULL WHERE id = 1;
UPDATE t SET active = true WHERE id = 2;
COMMIT;
--- on west
BEGIN;
UPDATE t SET v = 'c' WHERE id = 3;
INSERT INTO t VALUES (4, 'B', true);
COMMIT;
