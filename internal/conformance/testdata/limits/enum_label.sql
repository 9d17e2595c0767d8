-- An enum label that a peer's type lacks is reported, and arrives once the label is added.
-- expect: halt apply_error

CREATE TYPE mood AS ENUM ('sad');
CREATE TABLE t (id int PRIMARY KEY, m mood);
--- setup east oracle
ALTER TYPE mood ADD VALUE 'glad';
--- on east
INSERT INTO t VALUES (1, 'sad'), (2, 'glad');
--- repair
--- check west `SELECT count(*) FROM t` = 0
--- on west only
ALTER TYPE mood ADD VALUE 'glad';
