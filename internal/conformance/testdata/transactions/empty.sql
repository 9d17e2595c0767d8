-- Empty, read-only and rolled back transactions, and those of local tables, arrive as nothing; foreign logical messages harm nobody.

CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE local_t (id int PRIMARY KEY);
--- on east
BEGIN; COMMIT;
BEGIN; SELECT pg_current_xact_id(); COMMIT;
BEGIN; SELECT * FROM t FOR UPDATE; COMMIT;
INSERT INTO local_t VALUES (1);
SELECT pg_logical_emit_message(true, 'somebody', 'transactional');
SELECT pg_logical_emit_message(false, 'somebody', 'at once');
SELECT pg_logical_emit_message(true, 'pgfed', E'\\x00ff'::bytea);
BEGIN;
SELECT pg_logical_emit_message(true, 'pgfed_test', 'in between');
INSERT INTO t VALUES (1, 'a');
SELECT pg_logical_emit_message(true, '', '');
SELECT pg_logical_emit_message(false, 'x', repeat('y', 100000));
UPDATE t SET v = 'b';
COMMIT;
CREATE TABLE local_ddl (id int); DROP TABLE local_ddl;
NOTIFY channel, 'payload';
UPDATE t SET v = 'c' WHERE false;
