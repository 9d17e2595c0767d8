-- A character that the target's encoding lacks is reported, not mangled, and nothing of its transaction is applied.
-- alone: the encoding of a database is chosen when it is made
-- encoding: west=LATIN1
-- expect: halt apply_error

CREATE TABLE t (id int PRIMARY KEY, v text);
--- on east
INSERT INTO t VALUES (1, 'é');
BEGIN;
INSERT INTO t VALUES (2, 'fine');
INSERT INTO t VALUES (3, 'snow ☃');
COMMIT;
--- halted
--- check west `SELECT * FROM t` = 1|é
