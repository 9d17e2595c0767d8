-- 015-019 stream: large transactions with subtransactions, aborted ones and DDL among them, beside a small one.

CREATE TABLE test_tab (a int PRIMARY KEY, b text);
--- setup west oracle
ALTER TABLE test_tab ADD c int, ADD d int;
--- on east session big
BEGIN;
INSERT INTO test_tab (a, b) SELECT i, sha256(i::text::bytea)::text FROM generate_series(3, 3000) s(i);
SAVEPOINT s1;
UPDATE test_tab SET b = 'x' WHERE mod(a, 2) = 0;
SAVEPOINT s2;
DELETE FROM test_tab WHERE mod(a, 3) = 0;
--- on east session small
INSERT INTO test_tab (a, b) VALUES (-1, 'beside');
--- on east session big
ROLLBACK TO s2;
SAVEPOINT s3;
INSERT INTO test_tab (a, b) SELECT i, 'y' FROM generate_series(3001, 5000) s(i);
RELEASE s3;
ROLLBACK TO s1;
COMMIT;
--- on east only
BEGIN;
INSERT INTO test_tab (a, b) SELECT i, 'z' FROM generate_series(6001, 8000) s(i);
ALTER TABLE test_tab ADD c int;
SAVEPOINT s1;
INSERT INTO test_tab (a, b, c) SELECT i, 'z', -i FROM generate_series(8001, 10000) s(i);
ALTER TABLE test_tab ADD d int;
INSERT INTO test_tab (a, b, c, d) SELECT i, 'gone', 1, 1 FROM generate_series(10001, 12000) s(i);
ROLLBACK TO s1;
INSERT INTO test_tab (a, b, c) SELECT i, 'zz', i FROM generate_series(10001, 11000) s(i);
COMMIT;
ALTER TABLE test_tab ADD d int;
--- on oracle
INSERT INTO test_tab (a, b) SELECT i, 'z' FROM generate_series(6001, 8000) s(i);
INSERT INTO test_tab (a, b, c) SELECT i, 'zz', i FROM generate_series(10001, 11000) s(i);
--- settle
