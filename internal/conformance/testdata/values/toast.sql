-- A value stored out of line that an update leaves alone stays at the target (PITFALLS D1).

CREATE TABLE by_key (id int PRIMARY KEY, n int, big text, other bytea);
CREATE TABLE by_full (id int PRIMARY KEY, n int, big text, other bytea);
CREATE TABLE by_index (id int NOT NULL, n int, big text, other bytea);
CREATE UNIQUE INDEX by_index_id ON by_index (id);
ALTER TABLE by_key ALTER big SET STORAGE EXTERNAL, ALTER other SET STORAGE EXTERNAL;
ALTER TABLE by_full ALTER big SET STORAGE EXTERNAL, ALTER other SET STORAGE EXTERNAL, REPLICA IDENTITY FULL;
ALTER TABLE by_index ALTER big SET STORAGE EXTERNAL, REPLICA IDENTITY USING INDEX by_index_id;
--- on east
INSERT INTO by_key SELECT g, g, repeat('x', 100000) || g, decode(repeat('ab', 50000), 'hex') FROM generate_series(1, 5) g;
INSERT INTO by_full TABLE by_key;
INSERT INTO by_index TABLE by_key;
UPDATE by_key SET n = n + 1; UPDATE by_full SET n = n + 1; UPDATE by_index SET n = n + 1;
UPDATE by_key SET id = id + 10 WHERE id > 3; UPDATE by_full SET id = id + 10 WHERE id > 3; UPDATE by_index SET id = id + 10 WHERE id > 3;
--- on west
UPDATE by_key SET big = 'small' WHERE id = 1; UPDATE by_full SET big = NULL WHERE id = 1; UPDATE by_index SET big = big || '!' WHERE id = 1;
UPDATE by_key SET other = NULL, n = 0; UPDATE by_full SET other = '', n = 0; UPDATE by_index SET id = -id;
DELETE FROM by_key WHERE id = 2; DELETE FROM by_full WHERE id = 2; DELETE FROM by_index WHERE id = -2;
