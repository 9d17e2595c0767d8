-- REPLICA IDENTITY FULL touches exactly one of several equal rows, and NULL equals NULL (PITFALLS D10).

CREATE TABLE t (a int, b text, c json, d char(4), e float8, n numeric, x xml, p point);
CREATE TABLE keyed (id int PRIMARY KEY, v text, j json);
ALTER TABLE t REPLICA IDENTITY FULL;
ALTER TABLE keyed REPLICA IDENTITY FULL;
--- on east
INSERT INTO t SELECT 1, NULL, '{"k":1}', 'x', 'NaN', 1.0, '<a/>', '(1,2)' FROM generate_series(1, 4);
INSERT INTO t VALUES (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (1, '', '{"k": 1}', 'x', '-0', 1.00, '<a />', '(1,2)'), (1, '', '{"k": 1}', 'x', '0', 1.0, '<a/>', '(1,2)');
INSERT INTO keyed VALUES (1, 'a', '{}'), (2, NULL, NULL), (3, '', '[ ]');
UPDATE t SET b = 'one' WHERE ctid = (SELECT min(ctid) FROM t);
DELETE FROM t WHERE ctid = (SELECT ctid FROM t WHERE a = 1 AND b IS NULL LIMIT 1);
DELETE FROM t WHERE ctid = (SELECT ctid FROM t WHERE a IS NULL LIMIT 1);
--- on west
UPDATE t SET a = 9 WHERE a IS NULL;
DELETE FROM t WHERE n::text = '1.00';
UPDATE t SET e = 5 WHERE e = 0;
UPDATE keyed SET id = id + 10, v = 'b';
DELETE FROM keyed WHERE j IS NULL;
