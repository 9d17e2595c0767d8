-- Statement triggers that are ENABLE ALWAYS or REPLICA fire at the target once a row, for rows arrive one by one; those of TRUNCATE once a TRUNCATE.

CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE local_fired (name text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO triggers_statement.local_fired SELECT TG_NAME || ' ' || TG_OP || ' ' || count(*) FROM n; RETURN NULL; END $$;
CREATE TRIGGER a AFTER INSERT ON t REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION note();
CREATE TRIGGER b AFTER UPDATE ON t REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION note();
CREATE FUNCTION cleared() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO triggers_statement.local_fired VALUES (TG_NAME || ' ' || TG_OP); RETURN NULL; END $$;
CREATE TRIGGER c AFTER TRUNCATE ON t FOR EACH STATEMENT EXECUTE FUNCTION cleared();
GRANT ALL ON local_fired TO PUBLIC;
GRANT USAGE ON SCHEMA triggers_statement TO PUBLIC;
ALTER TABLE t ENABLE ALWAYS TRIGGER a, ENABLE ALWAYS TRIGGER b, ENABLE REPLICA TRIGGER c;
--- on east
INSERT INTO t SELECT g, 'a' FROM generate_series(1, 3) g;
UPDATE t SET v = 'b';
TRUNCATE t;
--- check east `SELECT string_agg(name, ', ' ORDER BY name) FROM local_fired` = a INSERT 3, b UPDATE 3
--- check west `SELECT string_agg(name, ', ' ORDER BY name) FROM local_fired` = a INSERT 1, a INSERT 1, a INSERT 1, b UPDATE 1, b UPDATE 1, b UPDATE 1, c TRUNCATE
