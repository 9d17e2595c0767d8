-- A trigger that the target enables for replicas may keep a row out or change it there, and keep it as it is; that is its owner's wish, and nothing stops.

CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE kept (id int PRIMARY KEY, v text);
--- setup west
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 2 THEN RETURN NULL; END IF; NEW.v = NEW.v || ' seen'; RETURN NEW; END $$;
CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
ALTER TABLE t ENABLE REPLICA TRIGGER f;
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER keep BEFORE UPDATE OR DELETE ON kept FOR EACH ROW EXECUTE FUNCTION keep();
ALTER TABLE kept ENABLE ALWAYS TRIGGER keep;
--- on east
INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c');
INSERT INTO kept TABLE t;
UPDATE kept SET v = 'x';
UPDATE kept SET id = 10 WHERE id = 2;
DELETE FROM kept WHERE id = 1;
--- check west `SELECT id, v FROM t ORDER BY id` = 1|a seen;3|c seen
--- check west `SELECT id, v FROM kept ORDER BY id` = 1|a;2|b;3|c
--- compare
SELECT count(*) > 0 FROM t
