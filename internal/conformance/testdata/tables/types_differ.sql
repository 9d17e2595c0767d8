-- A target whose columns are wider holds the same values, and under FULL its rows are found although they look otherwise there (1.50 and 1.5000).

CREATE TABLE local_x (id int);
--- setup east oracle
CREATE TABLE t (a numeric(10,2), d date, f real, e varchar(5), ts timestamp(0), c char(4), i int);
CREATE TABLE k (id numeric(10,2) PRIMARY KEY, v text);
--- setup west
CREATE TABLE t (a numeric(12,4), d timestamp, f float8, e text, ts timestamp, c char(6), i numeric(10,2));
CREATE TABLE k (id numeric(12,4) PRIMARY KEY, v text);
--- setup
ALTER TABLE t REPLICA IDENTITY FULL;
ALTER TABLE k REPLICA IDENTITY FULL;
--- on east
INSERT INTO t VALUES (1.5, '2024-01-01', 0.1, 'x', '2024-01-01 10:00', 'ab', 4), (2.5, NULL, 0.1, 'x', NULL, 'cd', 5), (2.5, NULL, 0.1, 'x', NULL, 'cd', 5), (NULL, '-infinity', NULL, '', NULL, NULL, NULL);
INSERT INTO k VALUES (1.5, 'a'), (2.5, 'b');
UPDATE t SET e = 'y' WHERE a = 1.5;
UPDATE t SET i = 6 WHERE a IS NULL;
DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t WHERE a = 2.5);
UPDATE k SET v = 'c', id = 3 WHERE id = 1.5;
DELETE FROM k WHERE id = 2.5;
--- check west `SELECT a, d, f, e, ts, c || '|', i FROM t ORDER BY a` = 1.5000|2024-01-01 00:00:00|0.1|y|2024-01-01 10:00:00|ab||4.00;2.5000|NULL|0.1|x|NULL|cd||5.00;NULL|-infinity|NULL||NULL|NULL|6.00
--- compare
SELECT a::numeric(10,2), d::date, f::real, e, ts, c::char(4), i::int FROM t
SELECT id::numeric(10,2), v FROM k
