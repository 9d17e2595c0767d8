-- A replica identity over a column that is NOT NULL and NOT VALID, which may hold NULLs, is reported until it is validated.
-- min_version: 18
-- expect: halt no_key

CREATE TABLE k (a int UNIQUE, v text);
INSERT INTO k VALUES (1, 'a');
ALTER TABLE k ADD CONSTRAINT known NOT NULL a NOT VALID;
ALTER TABLE k REPLICA IDENTITY USING INDEX k_a_key;
--- on east
UPDATE k SET v = 'b';
--- repair
--- on all
ALTER TABLE k VALIDATE CONSTRAINT known;
