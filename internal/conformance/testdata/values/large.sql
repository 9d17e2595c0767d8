-- A text of 50 MB and a bytea of 20 MB arrive, and are not sent again when another column changes.
-- slow: copies of large values

CREATE TABLE t (id int PRIMARY KEY, v text, b bytea, n int);
ALTER TABLE t ALTER v SET STORAGE EXTERNAL;
--- on east
INSERT INTO t VALUES (1, repeat('0123456789', 5000000), NULL, 0), (2, NULL, decode(repeat('00ff5c27', 5000000), 'hex'), 0), (3, repeat('é', 1000000), '', 0);
UPDATE t SET n = n + 1;
--- on west
UPDATE t SET n = n + 1;
UPDATE t SET v = 'short' WHERE id = 3;
