-- What a column that is generated at its origin alone holds arrives, where the origin is Postgres 18.
-- min_version: west=18

CREATE TABLE local_x (id int);
--- setup east oracle
CREATE TABLE t (id int PRIMARY KEY, n int, g int DEFAULT 99);
CREATE TABLE f (n int, g int, v text);
ALTER TABLE f REPLICA IDENTITY FULL;
--- setup west
CREATE TABLE t (id int PRIMARY KEY, n int, g int GENERATED ALWAYS AS (n + 1) STORED);
CREATE TABLE f (n int, g int GENERATED ALWAYS AS (n + 1) STORED, v text);
ALTER TABLE f REPLICA IDENTITY FULL;
--- on west only
INSERT INTO t (id, n) VALUES (1, 5), (2, NULL);
UPDATE t SET n = 7 WHERE id = 1;
INSERT INTO f (n, v) VALUES (1, 'a'), (1, 'a');
UPDATE f SET n = 3 WHERE ctid = (SELECT min(ctid) FROM f);
DELETE FROM f WHERE n = 1;
--- on oracle
INSERT INTO t VALUES (1, 7, 8), (2, NULL, NULL);
INSERT INTO f VALUES (3, 4, 'a');
--- on east
UPDATE t SET n = 10, g = 11 WHERE id = 1;
UPDATE f SET n = 4, g = 5;
--- on west only
DELETE FROM f WHERE g = 5;
--- on oracle
DELETE FROM f WHERE g = 5;
