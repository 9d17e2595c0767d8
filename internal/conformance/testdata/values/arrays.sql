-- Arrays arrive with their dimensions, lower bounds, NULLs and quotes.

CREATE TABLE t (id int PRIMARY KEY, i int[], x text[], n numeric[], d timestamptz[], b bytea[], j json[], u uuid[], bx box[], iv interval[], iv2 int2vector, ov oidvector, c char(3)[], f float8[]);
--- on east
INSERT INTO t (id, i, x) VALUES (1, '{}', '{}'), (2, '{1,NULL,3}', '{NULL,"NULL",null,"null",""}'), (3, '[0:1][-1:0]={{1,2},{3,4}}', '[5:6]={a,b}'),
  (4, '{{{1,2},{3,4}},{{5,6},{7,8}}}', '{"a,b","q\"uote","back\\slash","{}"," lead","trail ","tab	"}'), (5, NULL, NULL), (6, '[2147483646:2147483646]={1}', '{☃,"😀 x"}'),
  (7, '{{{{{{1}}}}}}', ARRAY[E'a\nb', '''', ';']), (8, (SELECT array_agg(g) FROM generate_series(1, 20000) g), (SELECT array_agg(repeat('x', g)) FROM generate_series(1, 500) g));
INSERT INTO t (id, n, d, b, j, u, bx, iv, iv2, ov, c, f) VALUES (20, '{NaN,Infinity,-0.00,1e-50}', '{infinity,-infinity,"0044-03-15 00:00+00 BC"}', '{"\\x","\\x00ff"}', ARRAY['{"a": [1, "x"]}', ' null ']::json[],
  '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,NULL}', '{(1,1),(0,0);(2,2),(1,1)}', ARRAY['-1 day 02:00', '1 year']::interval[], '1 2 3', '4 5', '{a,bb,NULL}', '{-0,NaN,1e-320,-Infinity}');
--- on west
UPDATE t SET i = i || 4, x[1] = 'first' WHERE id IN (1, 2, 5);
