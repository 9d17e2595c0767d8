-- 003 constraints: foreign keys and ordinary triggers of the target do not act; triggers for replicas do, those of one column at every update, for all columns are sent.

CREATE TABLE tab_fk (bid int PRIMARY KEY);
CREATE TABLE tab_fk_ref (id int PRIMARY KEY, junk text, bid int);
--- setup west
ALTER TABLE tab_fk_ref ADD FOREIGN KEY (bid) REFERENCES tab_fk;
CREATE FUNCTION filter_basic() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF TG_OP = 'INSERT' AND NEW.id < 10 THEN RETURN NEW; END IF; IF TG_OP = 'UPDATE' THEN RETURN NULL; END IF; RETURN NULL; END $$;
CREATE TRIGGER filter_basic BEFORE INSERT OR UPDATE OF bid ON tab_fk_ref FOR EACH ROW EXECUTE FUNCTION filter_basic();
--- on east
INSERT INTO tab_fk VALUES (1);
INSERT INTO tab_fk_ref VALUES (1, repeat('x', 5000), 1), (2, 'two', 2);
--- on all
ALTER TABLE tab_fk_ref ADD added int;
--- on west only
ALTER TABLE tab_fk_ref ENABLE REPLICA TRIGGER filter_basic;
--- on east only
INSERT INTO tab_fk_ref VALUES (10, 'kept out', 1);
UPDATE tab_fk_ref SET bid = 2 WHERE id = 1;
UPDATE tab_fk_ref SET junk = 'other', id = 6 WHERE id = 1;
--- check west `SELECT id, bid FROM tab_fk_ref ORDER BY id` = 1|1;2|2
--- compare
SELECT id, junk, added FROM tab_fk_ref WHERE id = 2
SELECT bid FROM tab_fk
