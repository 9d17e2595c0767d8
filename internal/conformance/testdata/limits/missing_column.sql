-- A column that a peer lacks halts its origin there, and everything arrives once it is added.
-- expect: halt missing_column

CREATE TABLE t (id int PRIMARY KEY, v text);
--- on east
INSERT INTO t VALUES (1, 'a');
--- settle
--- on east
ALTER TABLE t ADD w int;
UPDATE t SET w = 5;
--- repair
--- on west only
ALTER TABLE t ADD w int;
