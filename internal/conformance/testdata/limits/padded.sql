-- A target column that would pad a value, or cut its blanks, is reported before the value is another one; values that it leaves alone arrive.
-- expect: halt column_type

CREATE DOMAIN rounded AS numeric(10,1);
CREATE TABLE local_x (id int);
--- setup east oracle
CREATE TABLE t (id int PRIMARY KEY, v text, c text, n numeric, ns numeric[]);
--- setup west
CREATE TABLE t (id int PRIMARY KEY, v varchar(3), c char(3), n numeric, ns numeric[]);
--- on east
INSERT INTO t VALUES (1, 'a  ', 'äöü', 1.25, '{1.25}');
--- settle
--- on east
INSERT INTO t VALUES (2, 'abc ', 'abc', 1.25, NULL);
--- repair
--- on west only
ALTER TABLE t ALTER v TYPE text;
--- on east
UPDATE t SET c = 'de' WHERE id = 2;
--- repair
--- on west only
ALTER TABLE t ALTER c TYPE text;
--- settle
--- on west only
ALTER TABLE t ALTER n TYPE rounded;
--- on east
UPDATE t SET n = 2.25;
--- repair
--- on west only
ALTER TABLE t ALTER n TYPE numeric;
--- settle
--- on west only
ALTER TABLE t ALTER ns TYPE rounded[];
--- on east
UPDATE t SET ns = '{3.35}';
--- repair
--- on west only
ALTER TABLE t ALTER ns TYPE numeric[];
--- on east
UPDATE t SET n = 2.75, ns = '{}' WHERE id = 1;
