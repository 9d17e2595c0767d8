-- A row written where its table has columns that a peer lacks, and that the file does not call local, is reported there, and arrives once the peer has them.
-- expect: halt missing_column

CREATE TABLE t (id int PRIMARY KEY, v text);
--- setup west oracle
ALTER TABLE t ADD extra text DEFAULT 'default';
--- on west
INSERT INTO t VALUES (1, 'a'), (2, 'b');
--- repair
--- check east `SELECT count(*) FROM t` = 0
--- on east only
ALTER TABLE t ADD extra text;
