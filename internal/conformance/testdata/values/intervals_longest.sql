-- Intervals of the most hours there can be arrive.
-- min_version: 15

CREATE TABLE t (id int PRIMARY KEY, iv interval);
--- on east
INSERT INTO t VALUES (1, '2562047788:00:54.775807'), (2, '-2562047788:00:54.775807');
--- on west
UPDATE t SET iv = -iv;
