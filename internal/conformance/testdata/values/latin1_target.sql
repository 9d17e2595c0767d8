-- Nodes with different encodings hold the same characters.
-- alone: the encoding of a database is chosen when it is made
-- encoding: west=LATIN1

CREATE TABLE t (id int PRIMARY KEY, v text, "näme" text);
--- on east
INSERT INTO t VALUES (1, 'naïve café', 'ÿ'), (2, 'plain', NULL);
--- on west
UPDATE t SET "näme" = 'Ångström £' WHERE id = 2;
INSERT INTO t VALUES (3, 'ñ', 'ß');
