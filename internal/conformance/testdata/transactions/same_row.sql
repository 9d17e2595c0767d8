-- One row written many times in a transaction ends as at its origin.

CREATE TABLE t (id int PRIMARY KEY, n int, v text);
--- on east
BEGIN;
INSERT INTO t VALUES (1, 0, 'a');
DO $$ BEGIN FOR i IN 1..500 LOOP UPDATE t SET n = n + 1 WHERE id = 1; END LOOP; END $$;
DELETE FROM t;
INSERT INTO t VALUES (1, 7, 'again');
UPDATE t SET id = 2;
UPDATE t SET id = 1;
DELETE FROM t WHERE id = 1;
INSERT INTO t VALUES (1, 8, 'third');
INSERT INTO t VALUES (2, 0, 'gone'); DELETE FROM t WHERE id = 2;
COMMIT;
INSERT INTO t VALUES (5, 1, 'x') ON CONFLICT DO NOTHING;
INSERT INTO t VALUES (5, 1, 'y') ON CONFLICT (id) DO UPDATE SET n = t.n + 1, v = excluded.v;
--- on west
BEGIN; DELETE FROM t; INSERT INTO t VALUES (1, 9, 'west'), (5, 5, 'five'); COMMIT;
