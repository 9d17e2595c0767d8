-- What is unfit stays at its node once the file excludes it, and everything beside it is carried: the other partitions too.
-- alone: the federation file is what is judged
-- tables: include: ["*.*"]
-- tables: exclude: ["*.local_*", "*.bare", "*.silent", "*.p_unlogged", "*.elsewhere"]
-- tables: insert_only: ["*.entries"]

CREATE FOREIGN DATA WRAPPER wrapper;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER wrapper;
CREATE TABLE fit (id int PRIMARY KEY, v text);
CREATE TABLE entries (v text);
CREATE TABLE bare (v text);
CREATE TABLE silent (id int PRIMARY KEY, v text);
ALTER TABLE silent REPLICA IDENTITY NOTHING;
CREATE TABLE p (id int, v text) PARTITION BY LIST (v);
CREATE TABLE p_fit PARTITION OF p (PRIMARY KEY (id)) FOR VALUES IN ('fit');
CREATE UNLOGGED TABLE p_unlogged PARTITION OF p (PRIMARY KEY (id)) FOR VALUES IN ('unlogged');
CREATE TABLE q (id int, v text) PARTITION BY LIST (v);
CREATE TABLE q_fit PARTITION OF q (PRIMARY KEY (id)) FOR VALUES IN ('fit');
CREATE FOREIGN TABLE elsewhere PARTITION OF q FOR VALUES IN ('elsewhere') SERVER elsewhere;
--- on east
BEGIN;
INSERT INTO fit VALUES (1, 'a');
INSERT INTO entries VALUES ('a'), ('a');
INSERT INTO bare VALUES ('a');
UPDATE bare SET v = 'b';
INSERT INTO silent VALUES (1, 'a');
DELETE FROM silent;
INSERT INTO silent VALUES (2, 'b');
INSERT INTO p VALUES (1, 'fit'), (2, 'unlogged'), (3, 'fit');
INSERT INTO q VALUES (1, 'fit'), (2, 'fit');
COMMIT;
UPDATE p SET v = 'unlogged' WHERE id = 1;
UPDATE p SET v = 'fit' WHERE id = 2;
TRUNCATE bare;
INSERT INTO p_unlogged VALUES (9, 'unlogged');
DELETE FROM q WHERE v = 'fit' AND id = 1;
--- on all
CREATE TABLE q_later PARTITION OF q (PRIMARY KEY (id)) FOR VALUES IN ('later');
--- on west
UPDATE q SET v = 'later' WHERE v = 'fit' AND id = 2;
UPDATE fit SET v = 'b';
INSERT INTO entries VALUES ('b');
--- check west `SELECT (SELECT count(*) FROM bare), (SELECT count(*) FROM silent), (SELECT count(*) FROM p_unlogged)` = 0|0|0
--- compare
SELECT * FROM fit
SELECT * FROM entries
SELECT * FROM p_fit
SELECT * FROM q_fit
SELECT * FROM q_later
