-- 010 truncate: of one, of several, of tables that reference each other, twice in a transaction, of an empty one.

CREATE TABLE tab1 (a int PRIMARY KEY);
CREATE TABLE tab2 (a int PRIMARY KEY);
CREATE TABLE tab3 (a int PRIMARY KEY);
CREATE TABLE tab4 (x int PRIMARY KEY, y int REFERENCES tab3);
CREATE SEQUENCE seq1 OWNED BY tab1.a;
--- on east
INSERT INTO tab1 VALUES (1), (2), (3);
INSERT INTO tab2 VALUES (1);
TRUNCATE tab1;
TRUNCATE tab2;
INSERT INTO tab3 VALUES (1), (2);
INSERT INTO tab4 VALUES (11, 1), (22, 2);
TRUNCATE tab3, tab4;
TRUNCATE tab3, tab4;
INSERT INTO tab3 VALUES (1);
BEGIN; INSERT INTO tab1 VALUES (5); TRUNCATE tab1; INSERT INTO tab1 VALUES (6); TRUNCATE tab1, tab2; INSERT INTO tab1 VALUES (7); COMMIT;
--- on west
TRUNCATE tab3 CASCADE;
