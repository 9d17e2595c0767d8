-- TRUNCATE RESTART IDENTITY empties the tables everywhere and restarts the sequences of its own node alone.

CREATE TABLE t (id serial PRIMARY KEY, v text);
CREATE TABLE i (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t int REFERENCES t);
--- setup west
SELECT nextval('t_id_seq'), nextval('i_id_seq') FROM generate_series(1, 10);
--- on east
INSERT INTO t (v) VALUES ('a'), ('b');
INSERT INTO i (t) VALUES (1), (2);
--- settle
--- on east
TRUNCATE t, i RESTART IDENTITY;
INSERT INTO t (v) VALUES ('c');
BEGIN; TRUNCATE t RESTART IDENTITY CASCADE; INSERT INTO t (v) VALUES ('d'); INSERT INTO i (t) VALUES (1); COMMIT;
--- check east,oracle `SELECT * FROM t` = 1|d
--- check west `SELECT nextval('t_id_seq'), nextval('i_id_seq')` = 11|11
--- on west
TRUNCATE i RESTART IDENTITY;
INSERT INTO i OVERRIDING SYSTEM VALUE VALUES (7, 1);
--- check west `SELECT nextval('t_id_seq'), nextval('i_id_seq')` = 12|1
--- check east `SELECT nextval('t_id_seq'), nextval('i_id_seq')` = 2|2
