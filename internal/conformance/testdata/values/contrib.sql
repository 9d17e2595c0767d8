-- Types of extensions arrive as text, and their operators are found though no search path names them.
-- contrib: hstore, citext, ltree, cube, isn, seg

CREATE TABLE t (id citext PRIMARY KEY, h hstore, l ltree, c cube, i isbn, s seg, hs hstore[], q lquery);
CREATE TABLE by_path (path ltree PRIMARY KEY, v int);
CREATE TABLE by_full (id citext, h hstore);
ALTER TABLE by_full REPLICA IDENTITY FULL;
--- on east
INSERT INTO t VALUES ('One', 'a=>1, "b c"=>NULL, "q\"uote"=>""', 'top.child_1', '(1,2),(3,4)', '978-0-393-04002-9', '1.50 .. 2', '{"a=>1","\"x y\"=>z"}', '*.foo{1,2}.!bar'), ('two', '', '', '(0)', NULL, '~1', '{}', NULL);
INSERT INTO by_path VALUES ('a', 1), ('a.b', 2), ('a.b.c', 3);
INSERT INTO by_full VALUES ('X', 'k=>v'), ('x', 'k=>v'), ('x', 'k=>v'), (NULL, NULL);
--- on west
UPDATE t SET h = h || 'z=>9' WHERE id = 'ONE';
UPDATE t SET id = 'TWO' WHERE id = 'two';
UPDATE by_path SET path = 'a.c', v = 5 WHERE path = 'a.b';
DELETE FROM by_path WHERE path = 'a.b.c';
DELETE FROM by_full WHERE ctid = (SELECT min(ctid) FROM by_full WHERE id::text = 'x');
