-- 006 rewrite: a column added with a default in the middle of a transaction that writes, at a node that has it already.

CREATE TABLE test1 (a int PRIMARY KEY, b text);
--- on east
INSERT INTO test1 (a, b) VALUES (1, 'one'), (2, 'two');
--- on west only
ALTER TABLE test1 ADD c int DEFAULT 0;
--- on oracle
ALTER TABLE test1 ADD c int DEFAULT 0;
--- on east only
BEGIN;
INSERT INTO test1 (a, b) VALUES (3, 'three');
ALTER TABLE test1 ADD c int DEFAULT 0;
INSERT INTO test1 (a, b, c) VALUES (4, 'four', 4);
COMMIT;
--- on oracle
INSERT INTO test1 (a, b, c) VALUES (3, 'three', 0), (4, 'four', 4);
--- settle
