-- A rewrite in the middle of a writing transaction is carried when the other node changes its table too.
-- expect: equal

CREATE TABLE t (id int PRIMARY KEY, n int);
--- setup west
ALTER TABLE t ALTER n TYPE text;
--- setup oracle
ALTER TABLE t ALTER n TYPE text;
--- on east only
BEGIN;
INSERT INTO t VALUES (1, 1);
ALTER TABLE t ALTER n TYPE text;
INSERT INTO t VALUES (2, 'two');
UPDATE t SET n = n || '!';
COMMIT;
--- on oracle
INSERT INTO t VALUES (1, '1!'), (2, 'two!');
--- settle
