-- Ordinary triggers fire once, where the user wrote: what they derive arrives and is not derived again (PITFALLS D12).

CREATE TABLE t (id int PRIMARY KEY, v text, changes int DEFAULT 0);
CREATE TABLE audit (n int GENERATED ALWAYS AS IDENTITY (START 1) PRIMARY KEY, what text);
CREATE TABLE totals (name text PRIMARY KEY, n int);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changes = NEW.changes + 1; NEW.v = upper(NEW.v); RETURN NEW; END $$;
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit (what) VALUES (TG_OP || ' ' || TG_LEVEL || ' ' || TG_WHEN); RETURN NULL; END $$;
CREATE FUNCTION total() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO totals VALUES ('t', 1) ON CONFLICT (name) DO UPDATE SET n = totals.n + 1; RETURN NULL; END $$;
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE TRIGGER audit_row AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION audit();
CREATE TRIGGER audit_statement AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON t FOR EACH STATEMENT EXECUTE FUNCTION audit();
CREATE CONSTRAINT TRIGGER total AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION total();
--- on east
INSERT INTO t (id, v) VALUES (1, 'a'), (2, 'b');
UPDATE t SET v = 'c' WHERE id = 1;
DELETE FROM t WHERE id = 2;
--- on west only
ALTER TABLE audit ALTER n RESTART WITH 1000;
--- on oracle
ALTER TABLE audit ALTER n RESTART WITH 1000;
--- on west
UPDATE t SET v = 'd';
TRUNCATE t;
