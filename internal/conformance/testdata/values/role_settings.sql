-- Timeouts and defaults that an administrator sets for the replicator's role change nothing.
-- alone: such settings of the role would slow every other case
-- role: statement_timeout = '20ms'
-- role: lock_timeout = '1ms'
-- role: idle_in_transaction_session_timeout = '20ms'
-- role: idle_session_timeout = '20ms'
-- role: default_transaction_read_only = on
-- role: default_transaction_deferrable = on
-- role: row_security = off
-- role: client_encoding = LATIN1
-- role: standard_conforming_strings = off

CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END $$;
--- setup west
CREATE TRIGGER slow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION slow();
ALTER TABLE t ENABLE ALWAYS TRIGGER slow;
--- on east
INSERT INTO t SELECT g, 'v' FROM generate_series(1, 5) g;
--- on west
UPDATE t SET v = 'w';
