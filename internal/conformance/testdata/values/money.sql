-- Money is the same amount whatever lc_monetary is, at the role (yen have no fraction, German comma and point) and in the session that writes.

CREATE TABLE t (id int PRIMARY KEY, m money, list money[]);
CREATE TABLE f (m money);
ALTER TABLE f REPLICA IDENTITY FULL;
--- on east
INSERT INTO t VALUES (1, '$1,234.56', ARRAY['-0.01', '-$92,233,720,368,547,758.08', '92233720368547758.07']::money[]), (2, NULL, '{NULL,0}');
SET lc_monetary = 'de_DE.UTF-8';
INSERT INTO t VALUES (3, '1.234,56 €', ARRAY['-0,01 €'::money]);
INSERT INTO f VALUES ('1,23'), ('1,23'), (NULL);
UPDATE f SET m = '-7,5' WHERE m IS NULL;
SET lc_monetary = 'ja_JP.UTF-8';
INSERT INTO t VALUES (4, '1,234', NULL);
INSERT INTO f VALUES (12345);
--- on west
SET lc_monetary = 'ja_JP.UTF-8';
UPDATE t SET m = m + '1' WHERE id <> 2;
DELETE FROM f WHERE m = '123';
--- check all `SELECT id, m FROM t ORDER BY id` = 1|$1,234.57;2|NULL;3|$1,234.57;4|$12.35
