-- A trigger that the target enables for replicas may keep a row out or change it there; that is its owner's wish, and nothing stops.

CREATE TABLE t (id int PRIMARY KEY, v text);
--- setup west
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 2 THEN RETURN NULL; END IF; NEW.v = NEW.v || ' seen'; RETURN NEW; END $$;
CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
ALTER TABLE t ENABLE REPLICA TRIGGER f;
--- on east
INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c');
--- check west `SELECT id, v FROM t ORDER BY id` = 1|a seen;3|c seen
--- compare
SELECT count(*) > 0 FROM t
