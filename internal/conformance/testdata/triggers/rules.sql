-- Rules of the target rest, but for those ENABLE REPLICA and ENABLE ALWAYS, which act as such triggers do: one may keep a row out, and nothing stops.

CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE u (id int PRIMARY KEY, v text);
CREATE TABLE kept (id int PRIMARY KEY, v text);
CREATE TABLE local_log (what text);
GRANT ALL ON local_log TO PUBLIC;
GRANT USAGE ON SCHEMA triggers_rules TO PUBLIC;
--- setup west
CREATE RULE a AS ON INSERT TO t DO ALSO INSERT INTO triggers_rules.local_log VALUES ('origin');
CREATE RULE b AS ON INSERT TO t DO INSTEAD NOTHING;
CREATE RULE c AS ON UPDATE TO t DO INSTEAD NOTHING;
CREATE RULE d AS ON DELETE TO t DO INSTEAD NOTHING;
CREATE RULE a AS ON INSERT TO u DO ALSO INSERT INTO triggers_rules.local_log VALUES ('insert ' || NEW.id);
CREATE RULE b AS ON UPDATE TO u DO ALSO INSERT INTO triggers_rules.local_log VALUES ('update ' || NEW.id || OLD.v);
CREATE RULE c AS ON DELETE TO u DO ALSO INSERT INTO triggers_rules.local_log VALUES ('delete ' || OLD.id);
ALTER TABLE u ENABLE REPLICA RULE a, ENABLE ALWAYS RULE b, ENABLE ALWAYS RULE c;
CREATE RULE out AS ON INSERT TO kept WHERE NEW.id = 2 DO INSTEAD NOTHING;
ALTER TABLE kept ENABLE ALWAYS RULE out;
--- on east
INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c');
UPDATE t SET v = 'z' WHERE id = 2;
DELETE FROM t WHERE id = 3;
INSERT INTO u VALUES (1, 'a'), (2, 'b');
UPDATE u SET v = 'z' WHERE id = 2;
DELETE FROM u WHERE id = 1;
INSERT INTO kept VALUES (1, 'a'), (2, 'b'), (3, 'c');
--- check west `SELECT string_agg(what, ', ' ORDER BY what) FROM local_log` = delete 1, insert 1, insert 2, update 2b
--- check west `SELECT string_agg(id::text, ', ' ORDER BY id) FROM kept` = 1, 3
--- compare
SELECT * FROM t
SELECT * FROM u
