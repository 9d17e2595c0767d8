-- A table that becomes LOGGED is carried from the next init on; a published one cannot become UNLOGGED, says the server, until it is taken out.

CREATE UNLOGGED TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE p (id int PRIMARY KEY, v text);
--- on all
INSERT INTO t VALUES (1, 'before');
ALTER TABLE t SET LOGGED;
--- init
--- on east
INSERT INTO t VALUES (2, 'a');
INSERT INTO p VALUES (1, 'a');
--- on west
UPDATE t SET v = 'b';
UPDATE p SET v = 'b';
--- fails east 55000
ALTER TABLE t SET UNLOGGED;
ALTER TABLE p SET UNLOGGED;
--- on all
CREATE UNLOGGED TABLE local_u (id int);
ALTER TABLE local_u SET LOGGED;
ALTER TABLE local_u SET UNLOGGED;
