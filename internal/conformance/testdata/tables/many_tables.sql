-- 300 tables written in one transaction are carried.

DO $$ BEGIN FOR n IN 1..300 LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, v text)', n); END LOOP; END $$;
--- on east
DO $$ BEGIN FOR n IN 1..300 LOOP EXECUTE format('INSERT INTO t%s VALUES (1, ''a''), (2, ''b'')', n); END LOOP; END $$;
--- on west
DO $$ BEGIN FOR n IN 1..300 LOOP EXECUTE format('UPDATE t%s SET v = ''west'' WHERE id = %s', n, 1 + n % 2); END LOOP; END $$;
