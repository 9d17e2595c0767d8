-- Writes through views, INSTEAD OF triggers and rules arrive as the rows they became.

CREATE TABLE base (id int PRIMARY KEY, v text);
CREATE TABLE side (id int PRIMARY KEY, v text);
CREATE VIEW simple AS SELECT * FROM base;
CREATE VIEW joined AS SELECT b.id, b.v, s.v AS w FROM base b LEFT JOIN side s USING (id);
CREATE FUNCTION in_both() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO base VALUES (NEW.id, NEW.v); INSERT INTO side VALUES (NEW.id, NEW.w); RETURN NEW; END $$;
CREATE TRIGGER in_both INSTEAD OF INSERT ON joined FOR EACH ROW EXECUTE FUNCTION in_both();
CREATE RULE copy AS ON UPDATE TO base DO ALSO INSERT INTO side VALUES (NEW.id + 1000, 'rule');
--- on east
INSERT INTO simple VALUES (1, 'a');
INSERT INTO joined VALUES (2, 'b', 'c');
--- on west
UPDATE base SET v = 'x' WHERE id = 1;
DELETE FROM simple WHERE id = 2;
