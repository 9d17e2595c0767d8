-- What an administrator sets for the replicator's role, its database, or the role in that database, changes nothing: neither timeouts nor defaults nor how values look.
-- alone: such settings of role and database would slow every other case
-- role: statement_timeout = '20ms'
-- role: lock_timeout = '1ms'
-- role: idle_in_transaction_session_timeout = '20ms'
-- role: idle_session_timeout = '20ms'
-- role: 17+ transaction_timeout = '100ms'
-- role: default_transaction_deferrable = on
-- role: standard_conforming_strings = off
-- role: client_min_messages = debug5
-- role: exit_on_error = on
-- role: log_parameter_max_length_on_error = -1
-- database: default_transaction_read_only = on
-- database: default_transaction_isolation = serializable
-- database: session_replication_role = replica
-- database: statement_timeout = '5ms'
-- database: idle_session_timeout = '20ms'
-- database: client_encoding = LATIN1
-- database: standard_conforming_strings = off
-- database: client_min_messages = debug5
-- database: check_function_bodies = off
-- database: jit = on
-- database: jit_above_cost = 0
-- database: log_statement = 'all'
-- role_in_database: default_transaction_read_only = on
-- role_in_database: statement_timeout = '10ms'
-- role_in_database: row_security = off
-- role_in_database: client_encoding = LATIN1
-- role_in_database: lc_monetary = 'ja_JP.UTF-8'
-- role_in_database: synchronous_commit = off
-- role_in_database: DateStyle = 'German, DMY'

CREATE TABLE t (id int PRIMARY KEY, v text, m money, d date);
CREATE TABLE local_seen (name text, setting text);
GRANT USAGE ON SCHEMA values_role_settings TO PUBLIC;
GRANT INSERT ON local_seen TO PUBLIC;
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO values_role_settings.local_seen SELECT name, setting FROM pg_settings;
    PERFORM pg_sleep(0.1);
    BEGIN RAISE 'caught'; EXCEPTION WHEN raise_exception THEN NULL; END;
    RETURN NEW;
END $$;
--- setup east west
CREATE TRIGGER slow BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION slow();
ALTER TABLE t ENABLE REPLICA TRIGGER slow;
--- on east
INSERT INTO t SELECT g, 'é ☃ \ '' ', g * 1.01, '2026-02-03' FROM generate_series(1, 5) g;
--- on west
UPDATE t SET v = v || 'w', m = m * 1.5, d = d + 40;
--- check east,west `SELECT name, min(setting), max(setting) FROM local_seen WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_read_only', 'transaction_isolation', 'transaction_deferrable', 'row_security', 'client_encoding', 'lc_monetary', 'DateStyle', 'jit', 'session_replication_role', 'client_min_messages', 'log_parameter_max_length_on_error', 'standard_conforming_strings') GROUP BY name ORDER BY name COLLATE "C"` = DateStyle|ISO, MDY|ISO, MDY;client_encoding|UTF8|UTF8;client_min_messages|error|error;idle_in_transaction_session_timeout|0|0;idle_session_timeout|0|0;jit|off|off;lc_monetary|C|C;lock_timeout|0|0;log_parameter_max_length_on_error|0|0;row_security|off|off;session_replication_role|replica|replica;standard_conforming_strings|on|on;statement_timeout|0|0;transaction_deferrable|off|off;transaction_isolation|read committed|read committed;transaction_read_only|off|off
--- check east,west `SELECT count(*) FROM local_seen WHERE name = 'transaction_timeout' AND setting <> '0'` = 0
