-- 012 collation: values that a collation calls equal are replaced by their own bytes, under a key and under FULL.

CREATE COLLATION ctest_nondet (provider = icu, locale = 'und', deterministic = false);
CREATE TABLE tab1 (a text COLLATE ctest_nondet PRIMARY KEY, b text);
CREATE TABLE tab2 (a text COLLATE ctest_nondet, b text);
ALTER TABLE tab2 REPLICA IDENTITY FULL;
--- on east
INSERT INTO tab1 VALUES (U&'\00E4bc', 'foo');
INSERT INTO tab2 VALUES (U&'\00E4bc', 'foo'), (U&'\0061\0308bc', 'foo');
--- on west
UPDATE tab1 SET a = U&'\0061\0308bc';
UPDATE tab1 SET b = 'bar' WHERE a = U&'\00E4bc';
UPDATE tab2 SET b = 'bar' WHERE a COLLATE "C" = U&'\0061\0308bc';
