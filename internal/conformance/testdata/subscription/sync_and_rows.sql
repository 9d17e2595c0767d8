-- 004 sync: an origin that has many rows in one statement and a peer that catches up later.

CREATE TABLE tab_rep (a int PRIMARY KEY);
--- stop replicator west
--- on east
INSERT INTO tab_rep SELECT generate_series(1, 10);
DELETE FROM tab_rep;
INSERT INTO tab_rep SELECT generate_series(1, 20);
--- start replicator west
