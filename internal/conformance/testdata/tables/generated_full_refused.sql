-- Under REPLICA IDENTITY FULL the server itself refuses updates of a published table with generated columns; nothing stops, and preflight names the table.
-- min_version: 18
-- expect: refused-by-server 42P10
-- limit: from Postgres 18 on, REPLICA IDENTITY FULL and generated columns exclude each other

CREATE TABLE f (n int, twice int GENERATED ALWAYS AS (n * 2) STORED, v text);
CREATE TABLE g (n int, twice int GENERATED ALWAYS AS (n * 2) VIRTUAL, v text);
ALTER TABLE f REPLICA IDENTITY FULL;
ALTER TABLE g REPLICA IDENTITY FULL;
--- on east
INSERT INTO f (n, v) VALUES (1, 'a'), (1, 'a');
INSERT INTO g (n, v) VALUES (1, 'a'), (1, 'a');
--- fails east 42P10
UPDATE f SET v = 'b';
DELETE FROM f;
UPDATE g SET v = 'b';
--- on west
TRUNCATE f;
