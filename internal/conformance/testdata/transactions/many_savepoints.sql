-- Thousands of subtransactions, some rolled back after large writes, arrive as they ended.

CREATE TABLE t (id int PRIMARY KEY, v text);
--- on east
DO $$
BEGIN
  FOR n IN 1..3000 LOOP
    BEGIN
      INSERT INTO t VALUES (n, repeat('x', 100));
      IF n % 5 = 0 THEN RAISE EXCEPTION 'undo'; END IF;
      UPDATE t SET v = 'y' WHERE id = n - 1;
    EXCEPTION WHEN raise_exception THEN NULL; END;
  END LOOP;
END $$;
BEGIN;
SAVEPOINT big;
INSERT INTO t SELECT g, repeat('z', 500) FROM generate_series(10000, 30000) g;
ROLLBACK TO big;
INSERT INTO t VALUES (10000, 'small');
COMMIT;
