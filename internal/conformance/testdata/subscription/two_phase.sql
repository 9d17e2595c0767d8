-- 021 twophase: prepared transactions, with TRUNCATE, with savepoints, and one that is prepared while the peer is away.

CREATE TABLE tab_full (a int PRIMARY KEY);
--- on east
BEGIN; INSERT INTO tab_full VALUES (11); SAVEPOINT sp; INSERT INTO tab_full VALUES (12); ROLLBACK TO sp; PREPARE TRANSACTION 'sub021_a';
COMMIT PREPARED 'sub021_a';
--- stop replicator west
--- on east
BEGIN; TRUNCATE tab_full; INSERT INTO tab_full VALUES (21); PREPARE TRANSACTION 'sub021_b';

--- start replicator west
--- on east
COMMIT PREPARED 'sub021_b';
