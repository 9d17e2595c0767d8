-- init refuses what the file names and is no table, and columns of types that servers do not read back.
-- alone: init is what is judged
-- tables: include: ["limits_unfit_others.t*", limits_unfit_others.view, limits_unfit_others.kept, limits_unfit_others.elsewhere, limits_unfit_others.counter, limits_unfit_others.absent]
-- expect: refused-at-init limits_unfit_others.t_trees unreadable_type column tree has a type that servers write and do not read back
-- expect: refused-at-init limits_unfit_others.view not_a_table it is a view
-- expect: refused-at-init limits_unfit_others.kept not_a_table it is a materialized view
-- expect: refused-at-init limits_unfit_others.elsewhere not_a_table it is a foreign table
-- expect: refused-at-init limits_unfit_others.counter not_a_table it is a sequence

CREATE FOREIGN DATA WRAPPER wrapper;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER wrapper;
CREATE TABLE t (id int PRIMARY KEY);
CREATE TABLE t_trees (id int PRIMARY KEY, tree pg_node_tree);
CREATE VIEW t_view AS SELECT 1;
CREATE VIEW view AS SELECT 1;
CREATE MATERIALIZED VIEW kept AS SELECT 1;
CREATE FOREIGN TABLE elsewhere (id int) SERVER elsewhere;
CREATE SEQUENCE counter;
