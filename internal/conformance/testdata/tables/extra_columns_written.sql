-- A row written where its table has columns that a peer lacks is reported there, and arrives once the peer has them.
-- expect: halt missing_column
-- limit: a table with extra columns is written at the nodes without them only; elsewhere peers halt until they have the columns

CREATE TABLE t (id int PRIMARY KEY, v text);
--- setup west oracle
ALTER TABLE t ADD extra text DEFAULT 'default';
--- on west
INSERT INTO t VALUES (1, 'a'), (2, 'b');
--- repair
--- check east `SELECT count(*) FROM t` = 0
--- on east only
ALTER TABLE t ADD extra text;
