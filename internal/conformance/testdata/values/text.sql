-- Text arrives byte for byte: empty, NULL, the word NULL, controls, quotes, four-byte characters, padding.

CREATE TABLE t (id int PRIMARY KEY, v text, vc varchar(5), c char(6), n name, ct char, va varchar);
--- on east
INSERT INTO t VALUES (1, NULL, NULL, NULL, NULL, NULL, NULL), (2, '', '', '', '', '', ''), (3, 'NULL', 'NULL', 'NULL', 'NULL', 'N', 'null'),
  (4, E'\t\n\r\b\f\x01\x7f', E'\t', E'a\n', E'n\t', E'\n', E'\r'), (5, '''"\ $1 :x ?', '\.', '\N', 'a "b"', '\', '\\x'), (6, '☃ 😀 é é', '☃☃☃☃☃', '😀', 'naïve', 'é', '日本語'),
  (7, '  padded  ', '     ', ' x ', '  lead', ' ', '   '), (8, repeat('x', 8000), 'abcde', 'abcdef', repeat('n', 63), 'z', repeat('y', 3000)),
  (9, U&'\FEFF\200B\202E', U&'\FFFD', 'e', U&'\0301', U&'\0301', U&'\+01F468\200D\+01F469'), (10, '{}', '()', '[]', '""', ',', '{,"}');
INSERT INTO t (id, v) SELECT 100 + g, chr(g) FROM generate_series(1, 255) g;
INSERT INTO t (id, v) SELECT 1000 + g, 'x' || chr(g) || 'y' FROM unnest(ARRAY[55295, 57344, 65535, 65536, 131071, 1114111]) WITH ORDINALITY u(g, i);
--- on west
UPDATE t SET v = v || v, vc = NULL WHERE id < 9;
UPDATE t SET c = 'é' WHERE id = 1;
