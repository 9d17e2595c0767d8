-- What is rolled back to a savepoint or in an exception block does not arrive; the rest does (PITFALLS D9).

CREATE TABLE t (id int PRIMARY KEY, v text);
--- on east
BEGIN;
INSERT INTO t VALUES (1, 'a');
SAVEPOINT one;
INSERT INTO t VALUES (2, 'b');
SAVEPOINT two;
UPDATE t SET v = 'changed';
ROLLBACK TO one;
INSERT INTO t VALUES (3, 'c');
RELEASE one;
SAVEPOINT one;
DELETE FROM t WHERE id = 3;
ROLLBACK TO one;
COMMIT;
BEGIN; INSERT INTO t VALUES (4, 'never'); ROLLBACK;
DO $$
BEGIN
  FOR n IN 10..60 LOOP
    BEGIN
      INSERT INTO t VALUES (n, 'block');
      INSERT INTO t VALUES (CASE WHEN n % 3 = 0 THEN 1 ELSE n + 100 END, 'inner');
      BEGIN
        UPDATE t SET v = 'deep' WHERE id = n;
        IF n % 2 = 0 THEN RAISE EXCEPTION 'undo'; END IF;
      EXCEPTION WHEN raise_exception THEN NULL; END;
    EXCEPTION WHEN unique_violation THEN NULL; END;
  END LOOP;
END $$;
--- on west
BEGIN;
SAVEPOINT s; TRUNCATE t; ROLLBACK TO s;
UPDATE t SET v = 'west' WHERE id < 5;
COMMIT;
