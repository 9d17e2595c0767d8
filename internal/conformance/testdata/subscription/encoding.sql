-- 005 encoding: LATIN1 at one node, UTF8 at the other.
-- alone: the encoding of a database is chosen when it is made
-- encoding: west=LATIN1

CREATE TABLE test1 (a int PRIMARY KEY, b text);
--- on east
INSERT INTO test1 VALUES (1, E'Mot\xc3\xb6rhead');
--- check west `SELECT octet_length(b), length(b) FROM test1` = 9|9
