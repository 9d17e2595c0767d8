-- ENABLE REPLICA and ENABLE ALWAYS triggers fire at the target too, disabled ones nowhere.

CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE local_fired (name text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO triggers_replica_and_always.local_fired VALUES (TG_NAME || ' ' || TG_OP); RETURN NEW; END $$;
CREATE TRIGGER ordinary AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER always AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER replica AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER off AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note();
ALTER TABLE t ENABLE ALWAYS TRIGGER always, ENABLE REPLICA TRIGGER replica, DISABLE TRIGGER off;
GRANT ALL ON local_fired TO PUBLIC;
GRANT USAGE ON SCHEMA triggers_replica_and_always TO PUBLIC;
--- on east
INSERT INTO t VALUES (1, 'a');
UPDATE t SET v = 'b';
DELETE FROM t;
--- check east,oracle `SELECT string_agg(name, ', ' ORDER BY name) FROM local_fired` = always DELETE, always INSERT, always UPDATE, ordinary DELETE, ordinary INSERT, ordinary UPDATE
--- check west `SELECT string_agg(name, ', ' ORDER BY name) FROM local_fired` = always DELETE, always INSERT, always UPDATE, replica DELETE, replica INSERT, replica UPDATE
