-- Keys that change in chains and cycles, within one statement or several, arrive.

CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE two (a int, b text, v int, PRIMARY KEY (a, b));
CREATE TABLE f (id int PRIMARY KEY, v text);
ALTER TABLE f REPLICA IDENTITY FULL;
--- on east
INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 5) g;
INSERT INTO f TABLE t;
INSERT INTO two SELECT g, chr(96 + g), g FROM generate_series(1, 5) g;
BEGIN;
UPDATE t SET id = 6 WHERE id = 5;
UPDATE t SET id = 5 WHERE id = 4;
UPDATE t SET id = 4 WHERE id = 3;
UPDATE t SET id = 3 WHERE id = 6;
COMMIT;
BEGIN;
UPDATE t SET id = 0 WHERE id = 1; UPDATE t SET id = 1 WHERE id = 2; UPDATE t SET id = 2 WHERE id = 0;
UPDATE f SET id = 0 WHERE id = 1; UPDATE f SET id = 1, v = 'x' WHERE id = 2; UPDATE f SET id = 2 WHERE id = 0;
COMMIT;
UPDATE two SET a = a - 10;
UPDATE two SET a = a + 10, b = upper(b), v = v + 1;
--- on west
UPDATE t SET id = -id;
UPDATE f SET id = id + 100;
BEGIN;
UPDATE two SET b = 'tmp' WHERE b = 'A'; UPDATE two SET b = 'A', a = 1 WHERE b = 'B'; UPDATE two SET b = 'B', a = 2 WHERE b = 'tmp';
COMMIT;
