-- Generated columns under REPLICA IDENTITY FULL do not keep rows from being found, whether their server sends them or not.

CREATE TABLE f (n int, twice int GENERATED ALWAYS AS (n * 2) STORED, v text);
CREATE TABLE k (id int PRIMARY KEY, big text, size int GENERATED ALWAYS AS (length(big)) STORED UNIQUE, copy text GENERATED ALWAYS AS (big || '.') STORED);
ALTER TABLE k ALTER big SET STORAGE EXTERNAL, ALTER copy SET STORAGE EXTERNAL;
ALTER TABLE f REPLICA IDENTITY FULL;
ALTER TABLE k REPLICA IDENTITY FULL;
--- on east
INSERT INTO f (n, v) VALUES (1, 'a'), (1, 'a'), (NULL, 'b'), (4, 'd');
INSERT INTO k (id, big) VALUES (1, repeat('x', 20000)), (2, repeat('y', 30000)), (3, NULL);
UPDATE k SET id = id + 10;
UPDATE f SET n = n + 1 WHERE v = 'd';
--- on west
UPDATE f SET v = 'c' WHERE ctid = (SELECT min(ctid) FROM f);
DELETE FROM f WHERE n IS NULL;
UPDATE k SET big = repeat('z', 10) WHERE id = 11;
DELETE FROM k WHERE id = 12;
--- on east
BEGIN;
UPDATE k SET big = 'one' WHERE id = 11;
UPDATE k SET big = repeat('z', 10) WHERE id = 13;
COMMIT;
