-- init refuses a publication of our name with row filters or column lists: peers would get parts of tables.
-- min_version: 15
-- alone: init is what is judged
-- expect: refused-at-init row filters or column lists

CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE PUBLICATION pgfed_test FOR TABLE t WHERE (id > 5);
