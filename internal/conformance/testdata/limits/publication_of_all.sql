-- init refuses a publication of our name that is for all tables.
-- alone: init is what is judged
-- expect: refused-at-init for all tables

CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE PUBLICATION pgfed_test FOR ALL TABLES;
