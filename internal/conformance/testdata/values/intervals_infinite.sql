-- Infinite intervals arrive, from Postgres 17 on.
-- min_version: 17

CREATE TABLE t (id int PRIMARY KEY, i interval, d interval day to second, a interval[]);
CREATE TABLE f (i interval);
ALTER TABLE f REPLICA IDENTITY FULL;
--- on east
INSERT INTO t VALUES (1, 'infinity', '-infinity', '{infinity,NULL,-infinity}'), (2, '1 day', NULL, '{}');
INSERT INTO f VALUES ('infinity'), ('-infinity'), ('-infinity'), ('178956970 years 7 mons 2147483647 days 2562047788:00:54.775807');
UPDATE t SET i = -i;
--- on west
UPDATE f SET i = i + '1 day' WHERE i < '1 day';
DELETE FROM f WHERE i = 'infinity';
