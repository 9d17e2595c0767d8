-- Extra columns at the target keep their defaults and local values.

CREATE TABLE t (id int PRIMARY KEY, v text);
--- setup west
ALTER TABLE t ADD extra text DEFAULT 'default', ADD counted serial, ADD note text;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note = 'local'; RETURN NEW; END $$;
CREATE TRIGGER note BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.id = 1) EXECUTE FUNCTION note();
ALTER TABLE t ENABLE REPLICA TRIGGER note;
--- on east
INSERT INTO t VALUES (1, 'a'), (2, 'b');
--- settle
--- on east
UPDATE t SET v = 'changed';
UPDATE t SET id = id + 10;
--- check west `SELECT id, v, extra, counted, note FROM t ORDER BY id` = 11|changed|default|1|local;12|changed|default|2|NULL
--- compare
SELECT id, v FROM t
