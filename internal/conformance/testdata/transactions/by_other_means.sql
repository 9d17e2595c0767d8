-- Whatever commits is carried: chains, procedures, DO blocks, replica sessions of users, other tools' origins, COPY FREEZE, transaction names used again.

CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE local_t (id int PRIMARY KEY, v text);
CREATE TABLE derived (id int PRIMARY KEY, v text);
CREATE FUNCTION derive() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO derived VALUES (NEW.id, NEW.v); RETURN NULL; END $$;
CREATE TRIGGER derive AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION derive();
CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN FOR n IN 100..110 LOOP INSERT INTO t VALUES (n, 'p'); IF n % 3 = 0 THEN ROLLBACK; ELSE COMMIT; END IF; END LOOP; END $$;
CREATE TABLE frozen (id int PRIMARY KEY, v text);
CREATE TABLE big (id int PRIMARY KEY, v text);
ALTER TABLE big ALTER v SET STORAGE EXTERNAL;
--- on east
BEGIN; INSERT INTO t VALUES (1, 'a'); COMMIT AND CHAIN; INSERT INTO t VALUES (2, 'b'); ROLLBACK AND CHAIN; INSERT INTO t VALUES (3, 'c'); COMMIT;
CALL p();
DO $$ BEGIN INSERT INTO t VALUES (200, 'd'); COMMIT; INSERT INTO t VALUES (201, 'd'); ROLLBACK; INSERT INTO t VALUES (202, 'd'); END $$;
BEGIN; SET LOCAL session_replication_role = replica; INSERT INTO t VALUES (300, 'no trigger'); COMMIT;
INSERT INTO t VALUES (301, 'trigger');
SET synchronous_commit = off;
INSERT INTO t VALUES (400, 'async');
RESET synchronous_commit;
SELECT pg_advisory_lock(5);
BEGIN; TRUNCATE frozen; COPY frozen FROM STDIN WITH (FREEZE);
1	a
2	b
\.
COMMIT;
BEGIN;
INSERT INTO big VALUES (1, repeat('a', 30000));
SAVEPOINT s;
INSERT INTO big VALUES (2, repeat('b', 30000)), (3, repeat('c', 30000));
UPDATE big SET v = repeat('d', 30000) WHERE id = 1;
ROLLBACK TO s;
INSERT INTO big VALUES (2, repeat('e', 30000));
UPDATE big SET id = id + 10;
COMMIT;
BEGIN; INSERT INTO t VALUES (500, 'x'); PREPARE TRANSACTION 'again gid';
COMMIT PREPARED 'again gid';
BEGIN; INSERT INTO t VALUES (501, 'x'); PREPARE TRANSACTION 'again gid';
ROLLBACK PREPARED 'again gid';
BEGIN; INSERT INTO t VALUES (502, 'x'); PREPARE TRANSACTION 'again gid';
COMMIT PREPARED 'again gid';
BEGIN; TRUNCATE derived; TRUNCATE derived; COMMIT;
BEGIN; ALTER TABLE t REPLICA IDENTITY FULL; UPDATE t SET v = 'full' WHERE id = 1; ALTER TABLE t REPLICA IDENTITY DEFAULT; UPDATE t SET v = v || ' default' WHERE id = 1; COMMIT;
SELECT lo_create(0); NOTIFY x;
SELECT pg_replication_origin_create('other_tool');
SELECT pg_replication_origin_session_setup('other_tool');
BEGIN;
SELECT pg_replication_origin_xact_setup('1/1', '2001-01-01');
INSERT INTO t VALUES (600, 'by a tool');
COMMIT;
SELECT pg_replication_origin_session_reset();
SELECT pg_replication_origin_drop('other_tool');
INSERT INTO t VALUES (601, 'ours');
