-- TRUNCATE RESTART IDENTITY halts where the replicator's role does not own the sequence, and restarts it where it does.
-- expect: halt privilege
-- limit: TRUNCATE ... RESTART IDENTITY restarts the peers' own sequences too, so it needs a role that may do it there

CREATE TABLE t (id serial PRIMARY KEY, v text);
--- setup west
SELECT nextval('t_id_seq') FROM generate_series(1, 10);
--- on east
INSERT INTO t (v) VALUES ('a'), ('b');
--- settle
--- on east
TRUNCATE t RESTART IDENTITY;
INSERT INTO t (v) VALUES ('c');
--- repair
--- check west `SELECT v FROM t ORDER BY id` = a;b
--- on west only
ALTER TABLE t OWNER TO pgfed_replicator;
--- check west `SELECT nextval('t_id_seq')` = 1
