-- 001 rep_changes: tables with a key, with FULL, with an index, without identity and with included columns; an identity that comes later.
-- insert_only: tab_ins tab_nothing

CREATE TABLE tab_ins (a int);
CREATE TABLE tab_full (a int);
ALTER TABLE tab_full REPLICA IDENTITY FULL;
CREATE TABLE tab_full2 (x text);
ALTER TABLE tab_full2 REPLICA IDENTITY FULL;
CREATE TABLE tab_rep (a int PRIMARY KEY);
CREATE TABLE tab_include (a int, b text, CONSTRAINT covering PRIMARY KEY (a) INCLUDE (b));
CREATE TABLE tab_full_pk (a int PRIMARY KEY, b text);
ALTER TABLE tab_full_pk REPLICA IDENTITY FULL;
CREATE TABLE tab_nothing (a int);
ALTER TABLE tab_nothing REPLICA IDENTITY NOTHING;
--- on east
INSERT INTO tab_ins SELECT generate_series(1, 50);
INSERT INTO tab_full SELECT generate_series(1, 10);
INSERT INTO tab_full2 VALUES ('a'), ('b'), ('b');
INSERT INTO tab_rep SELECT generate_series(1, 50);
DELETE FROM tab_rep WHERE a > 20;
UPDATE tab_rep SET a = -a;
INSERT INTO tab_include SELECT generate_series(1, 50);
DELETE FROM tab_include WHERE a > 20;
UPDATE tab_include SET a = -a;
INSERT INTO tab_full_pk VALUES (1, 'foo'), (2, 'baz');
INSERT INTO tab_nothing VALUES (generate_series(1, 20));
--- on west
UPDATE tab_full SET a = a * a;
UPDATE tab_full2 SET x = 'bb' WHERE x = 'b';
UPDATE tab_full_pk SET b = 'bar' WHERE a = 1;
DELETE FROM tab_full_pk WHERE a = 2;
--- on all
ALTER TABLE tab_ins REPLICA IDENTITY FULL;
ALTER TABLE tab_nothing REPLICA IDENTITY FULL;
--- on east
INSERT INTO tab_ins SELECT generate_series(1, 60);
DELETE FROM tab_ins WHERE a > 40;
UPDATE tab_nothing SET a = -a WHERE a < 5;
--- on west
UPDATE tab_ins SET a = a + 100 WHERE ctid = (SELECT min(ctid) FROM tab_ins WHERE a = 7);
