-- Numbers arrive with every digit, infinity and sign.

CREATE TABLE integers (id int PRIMARY KEY, a int2, b int4, c int8, d oid, e xid, f cid, g tid, h pg_lsn, i bool, j "char");
CREATE TABLE floats (id int PRIMARY KEY, f4 float4, f8 float8);
CREATE TABLE numerics (id int PRIMARY KEY, n numeric, fixed numeric(10,2), wide numeric(1000,500));
--- on east
INSERT INTO integers VALUES (1, -32768, -2147483648, -9223372036854775808, 0, '0', '0', '(0,0)', '0/0', true, 'a'),
  (2, 32767, 2147483647, 9223372036854775807, 4294967295, '4294967295', '4294967295', '(4294967295,65535)', 'FFFFFFFF/FFFFFFFF', false, ''),
  (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (4, 0, 0, 0, 1, '1', '1', '(1,1)', '16/B374D848', NULL, E'\\');
INSERT INTO floats VALUES (1, 'NaN', 'NaN'), (2, 'Infinity', '-Infinity'), (3, '-0', '-0'), (4, 0.1, 0.1), (5, 1e-45, 5e-324),
  (6, 3.4028235e38, 1.7976931348623157e308), (7, 1.17549435e-38, 2.2250738585072014e-308), (8, 16777217, 9007199254740993),
  (9, 0.3::float4, 0.1::float8 + 0.2::float8), (10, 1e15, 1e23), (11, 123456789.123456789, 123456789.123456789);
INSERT INTO numerics VALUES (1, 'NaN', 'NaN', NULL), (2, 'Infinity', 99999999.99, 1), (3, '-Infinity', -99999999.99, -1),
  (4, ('1' || repeat('0', 131071))::numeric, 0.005, 1e499), (5, ('0.' || repeat('0', 16382) || '1')::numeric, 0.004, 1e-500),
  (6, repeat('9', 131072)::numeric, 0, 0), (7, (repeat('9', 500) || '.' || repeat('7', 16383))::numeric, -0.0, -0.0), (8, 1.10, 1.1, 1.1), (9, 1.1000, 1, 1), (10, 0.00, 0.00, 0.00);
--- on west
UPDATE integers SET a = -a, i = NOT i WHERE id IN (2, 4);
UPDATE floats SET f4 = -f4, f8 = -f8;
UPDATE numerics SET n = -n;
