-- Event triggers and notifications of the target are left alone.

CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_notify('t', NEW.v); RETURN NEW; END $$;
CREATE TRIGGER tell AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION tell();
--- on east
INSERT INTO t VALUES (1, 'a');
--- on west
INSERT INTO t VALUES (2, 'b');
