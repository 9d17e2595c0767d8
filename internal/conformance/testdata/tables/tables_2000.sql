-- 2,000 tables are carried.
-- slow: 2,000 tables
-- alone: so many tables would slow every other case
-- server: max_locks_per_transaction=256

DO $$ BEGIN FOR n IN 1..2000 LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, v text)', n); END LOOP; END $$;
--- on east
DO $$ BEGIN FOR n IN 1..2000 LOOP EXECUTE format('INSERT INTO t%s VALUES (1, ''a'')', n); END LOOP; END $$;
--- on west
DO $$ BEGIN FOR n IN 1..2000 LOOP EXECUTE format('UPDATE t%s SET v = ''west''', n); END LOOP; END $$;
