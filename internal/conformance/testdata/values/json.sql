-- json arrives verbatim, with its blanks and duplicate keys; jsonb, jsonpath and xml as they are stored.

CREATE TABLE t (id int PRIMARY KEY, j json, b jsonb, p jsonpath, x xml);
ALTER TABLE t REPLICA IDENTITY FULL;
--- on east
INSERT INTO t VALUES (1, E' { "a" :  1, "a": 2,\n\t "b":[1e400, 0.10] } ', '{"z": 1e400, "a": [null, "☃", "\\u0000 is not allowed"], "": {}}', '$.a[*] ? (@ > 1)', '<a>x &amp; y</a>'),
  (2, 'null', 'null', 'strict $', ''), (3, '"\u0000\ud83d\ude00"', '"\u00e9"', 'lax $."key with \" quote"', 'text <b/> more'), (4, '0', '-0.00', NULL, '<?xml version="1.0"?><r><![CDATA[ ]]> </r>'),
  (5, NULL, NULL, NULL, NULL), (6, '[]', '[]', '$.**', '<!-- c -->'), (7, '1E+5', '123456789012345678901234567890.123456789', NULL, NULL);
--- on west
UPDATE t SET b = jsonb_build_array(b, b);
DELETE FROM t WHERE id = 1;
UPDATE t SET x = NULL WHERE id = 2;
