-- Under REPLICA IDENTITY FULL the server itself refuses updates of a published table with virtual generated columns; nothing stops, and preflight names the table.
-- min_version: 18
-- expect: refused-by-server 42P10
-- limit: REPLICA IDENTITY FULL and virtual generated columns exclude each other

CREATE TABLE g (n int, twice int GENERATED ALWAYS AS (n * 2) VIRTUAL, v text);
ALTER TABLE g REPLICA IDENTITY FULL;
--- on east
INSERT INTO g (n, v) VALUES (1, 'a'), (1, 'a');
--- fails east 42P10
UPDATE g SET v = 'b';
DELETE FROM g;
--- on west
TRUNCATE g;
