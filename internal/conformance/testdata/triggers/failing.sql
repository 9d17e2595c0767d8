-- A trigger that fails at the target stops its origin with a reason and no values in it; nothing of the transaction is applied.
-- expect: halt apply_error

CREATE TABLE t (id int PRIMARY KEY, v text);
--- setup west
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 2 THEN RAISE 'no'; END IF; RETURN NEW; END $$;
CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
ALTER TABLE t ENABLE ALWAYS TRIGGER f;
--- on east
BEGIN; INSERT INTO t VALUES (1, 'a'); INSERT INTO t VALUES (2, 'b'); COMMIT;
--- repair
--- check west `SELECT count(*) FROM t` = 0
--- on west only
ALTER TABLE t DISABLE TRIGGER f;
--- on east
INSERT INTO t VALUES (3, 'c');
