-- init refuses a server that writes no logical information.
-- alone: init is what is judged
-- server: wal_level=replica
-- expect: refused-at-init wal_level is replica

CREATE TABLE t (id int PRIMARY KEY, v text);
