-- Row security hides nothing from replication, forced or not.

CREATE TABLE t (id int PRIMARY KEY, owner text, v text);
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY nobody ON t USING (owner = current_user);
CREATE TABLE forced (id int PRIMARY KEY, v text);
ALTER TABLE forced ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY never ON forced USING (false) WITH CHECK (false);
--- on east
INSERT INTO t VALUES (1, 'alice', 'a'), (2, 'bob', 'b');
INSERT INTO forced VALUES (1, 'a');
UPDATE t SET v = 'c' WHERE id = 1;
--- on west
DELETE FROM t WHERE id = 2;
UPDATE forced SET v = 'b';
