-- Keys that are equal but differ in their bytes find their rows and keep their bytes (PITFALLS D11).

CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE t (k text COLLATE nocase PRIMARY KEY, v int, other text COLLATE nocase UNIQUE);
CREATE TABLE f (k text COLLATE nocase, v int);
ALTER TABLE f REPLICA IDENTITY FULL;
--- on east
INSERT INTO t VALUES ('abc', 1, 'x'), ('def', 2, 'y'), ('ghi', 3, 'z');
INSERT INTO f VALUES ('abc', 1), ('ABC', 1), ('Abc', 1);
UPDATE t SET k = 'ABC' WHERE k = 'abc';
UPDATE t SET other = 'Y' WHERE v = 2;
--- on west
UPDATE t SET v = 5 WHERE k = 'aBC';
UPDATE t SET k = 'GHI', other = 'ZZ' WHERE k = 'Ghi';
DELETE FROM t WHERE k = 'DEF';
DELETE FROM f WHERE k = 'abc' AND k COLLATE "C" = 'ABC';
UPDATE f SET v = 2 WHERE k COLLATE "C" = 'Abc';
