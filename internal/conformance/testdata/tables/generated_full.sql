-- Generated columns under REPLICA IDENTITY FULL, which are not sent, do not keep rows from being found.
-- max_version: 17

CREATE TABLE f (n int, twice int GENERATED ALWAYS AS (n * 2) STORED, v text);
ALTER TABLE f REPLICA IDENTITY FULL;
--- on east
INSERT INTO f (n, v) VALUES (1, 'a'), (1, 'a'), (NULL, 'b');
--- on west
UPDATE f SET v = 'c' WHERE ctid = (SELECT min(ctid) FROM f);
DELETE FROM f WHERE n IS NULL;
