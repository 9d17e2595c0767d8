-- Transactions arrive in commit order whatever order they began in, and long open ones hold nothing back.

CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE log (n int PRIMARY KEY, v text);
--- on east session first
BEGIN;
INSERT INTO t VALUES (1, 'began first');
INSERT INTO log VALUES (1, 'first');
--- on east session second
BEGIN;
INSERT INTO t VALUES (2, 'began second');
--- on east session third
INSERT INTO t VALUES (3, 'between');
UPDATE t SET v = v || '!' WHERE id = 3;
--- on east session second
UPDATE t SET v = v || ' third: ' || (SELECT v FROM t WHERE id = 3) WHERE id = 2;
COMMIT;
--- settle
--- check west `SELECT id FROM t ORDER BY id` = 2;3
--- on east session first
UPDATE t SET v = 'by the first, after the second' WHERE id = 2;
DELETE FROM t WHERE id = 3;
COMMIT;
--- on east session third
INSERT INTO t VALUES (3, 'again');
--- on west
UPDATE t SET v = v || ' west';
