-- Two databases without an encoding of their own hold the same bytes as long as those are UTF-8.
-- alone: the encoding of a database is chosen when it is made
-- encoding: east=SQL_ASCII
-- encoding: west=SQL_ASCII

CREATE TABLE t (id int PRIMARY KEY, v text);
--- on east
INSERT INTO t VALUES (1, 'é ☃'), (2, 'x');
--- on west
UPDATE t SET v = v || '😀';
