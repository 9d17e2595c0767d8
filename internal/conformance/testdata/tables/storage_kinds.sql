-- Fill factors, compression, tablespaces of columns, included columns, statistics and typed tables change nothing.

CREATE TYPE row_type AS (id int, v text);
CREATE TABLE typed OF row_type (PRIMARY KEY (id));
CREATE TABLE filled (id int PRIMARY KEY, v text COMPRESSION pglz, w text, UNIQUE (w) INCLUDE (v)) WITH (fillfactor = 10, autovacuum_enabled = off, toast_tuple_target = 128);
ALTER TABLE filled ALTER w SET STORAGE PLAIN, ALTER v SET STATISTICS 1000, ADD CHECK (v <> 'no'), ADD CONSTRAINT later CHECK (w <> 'no') NOT VALID;
CREATE TABLE clustered (id int PRIMARY KEY, v text);
CLUSTER clustered USING clustered_pkey;
--- on east
INSERT INTO typed VALUES (1, 'a');
INSERT INTO filled SELECT g, repeat('x', g), g::text FROM generate_series(1, 300) g;
INSERT INTO clustered VALUES (2, 'b'), (1, 'a');
--- on west
UPDATE typed SET v = 'b';
UPDATE filled SET v = v || 'y', w = w || '!' WHERE id % 3 = 0;
DELETE FROM clustered WHERE id = 2;
