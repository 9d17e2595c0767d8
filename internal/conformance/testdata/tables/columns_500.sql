-- A table of 500 columns, and one of 1,600, are carried.

CREATE TABLE wide (id int PRIMARY KEY);
CREATE TABLE widest (id int PRIMARY KEY);
DO $$ BEGIN EXECUTE (SELECT 'ALTER TABLE wide ' || string_agg(format('ADD c%s %s', g, (ARRAY['int', 'text', 'numeric', 'timestamptz', 'bool'])[1 + g % 5]), ', ') FROM generate_series(1, 499) g);
  EXECUTE (SELECT 'ALTER TABLE widest ' || string_agg(format('ADD c%s bool', g), ', ') FROM generate_series(1, 1599) g); END $$;
--- on east
INSERT INTO wide (id, c1, c5, c498, c499) SELECT g, 'x', g, '2024-01-01', true FROM generate_series(1, 50) g;
INSERT INTO widest (id, c1599) VALUES (1, true), (2, false);
UPDATE widest SET c1 = true, c800 = false;
--- on west
UPDATE wide SET c250 = id, c251 = 'changed', c252 = 0.5 WHERE id % 2 = 0;
DELETE FROM wide WHERE id % 7 = 0;
