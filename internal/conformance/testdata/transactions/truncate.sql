-- TRUNCATE arrives in all its forms, and leaves the target's sequences alone (PITFALLS D8).
-- insert_only: nokey

CREATE TABLE a (id serial PRIMARY KEY, v text);
CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);
CREATE TABLE c (id int PRIMARY KEY, self int REFERENCES c);
CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);
CREATE TABLE nokey (v text);
--- setup west
SELECT nextval('a_id_seq') FROM generate_series(1, 10);
--- on east
INSERT INTO a (v) SELECT 'v' FROM generate_series(1, 5);
INSERT INTO b SELECT g, g FROM generate_series(1, 5) g;
INSERT INTO c VALUES (1, 1), (2, 1);
INSERT INTO p SELECT generate_series(0, 19);
INSERT INTO nokey VALUES ('a'), ('a');
TRUNCATE a, b;
INSERT INTO a (v) VALUES ('sixth');
INSERT INTO b VALUES (9, 6);
BEGIN; TRUNCATE c; INSERT INTO c VALUES (3, 3); TRUNCATE c CONTINUE IDENTITY; INSERT INTO c VALUES (4, 4), (5, 4); COMMIT;
TRUNCATE p1;
TRUNCATE nokey;
--- check west `SELECT nextval('a_id_seq')` = 11
--- on west
TRUNCATE a CASCADE;
INSERT INTO a VALUES (77, 'west');
BEGIN; INSERT INTO p VALUES (3); TRUNCATE p; INSERT INTO p VALUES (4), (14); ROLLBACK;
--- on east
TRUNCATE p, nokey, c, b, a;
INSERT INTO p VALUES (5);
