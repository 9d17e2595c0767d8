-- Stored generated columns are derived at each node, and never written.

CREATE TABLE t (id int PRIMARY KEY, n int, twice int GENERATED ALWAYS AS (n * 2) STORED, label text GENERATED ALWAYS AS ('n=' || n::text) STORED);
CREATE TABLE k (n int, id int GENERATED ALWAYS AS (n + 1) STORED NOT NULL, v text);
CREATE UNIQUE INDEX k_id ON k (n);
ALTER TABLE k ALTER n SET NOT NULL, REPLICA IDENTITY USING INDEX k_id;
--- on east
INSERT INTO t (id, n) VALUES (1, 1), (2, NULL), (3, 3);
INSERT INTO k (n, v) VALUES (1, 'a'), (2, 'b');
UPDATE t SET n = n + 10;
--- on west
UPDATE t SET n = 5 WHERE id = 2;
UPDATE k SET n = n + 10;
