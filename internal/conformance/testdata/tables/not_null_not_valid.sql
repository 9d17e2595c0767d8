-- Columns that are NOT NULL and NOT VALID, which may hold NULLs, identify no row; constraints that are NOT ENFORCED or NOT VALID stop nothing.
-- min_version: 18

CREATE TABLE f (a int UNIQUE, v text);
CREATE TABLE t (id int PRIMARY KEY, n int, v text);
INSERT INTO f VALUES (NULL, 'x'), (NULL, 'x'), (NULL, 'y'), (4, 'z');
INSERT INTO t VALUES (1, -1, 'a');
ALTER TABLE f REPLICA IDENTITY FULL;
ALTER TABLE f ADD CONSTRAINT known NOT NULL a NOT VALID;
ALTER TABLE t ADD CONSTRAINT positive CHECK (n > 0) NOT ENFORCED, ADD CONSTRAINT above CHECK (n > -10) NOT VALID, ADD CONSTRAINT to_t FOREIGN KEY (n) REFERENCES t NOT ENFORCED;
--- on east
DELETE FROM f WHERE v = 'y';
UPDATE f SET a = 5 WHERE ctid = (SELECT min(ctid) FROM f);
INSERT INTO f VALUES (6, 'x');
INSERT INTO t VALUES (2, -5, 'b');
UPDATE t SET n = 77;
--- on west
UPDATE f SET v = 'w', a = a + 10 WHERE a IS NOT NULL;
DELETE FROM f WHERE a IS NULL;
ALTER TABLE f VALIDATE CONSTRAINT known;
UPDATE f SET v = 'u';
