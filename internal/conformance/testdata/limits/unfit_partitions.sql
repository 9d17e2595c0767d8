-- init refuses partitions whose rows are in no WAL, partitions without identity, and roots that would hand an unfit key down to later partitions.
-- alone: init is what is judged
-- expect: refused-at-init limits_unfit_partitions.elsewhere foreign_partition a foreign table: rows that limits_unfit_partitions.p routes here
-- expect: refused-at-init limits_unfit_partitions.p_unlogged unlogged_partition an unlogged partition: rows that limits_unfit_partitions.p routes here
-- expect: refused-at-init limits_unfit_partitions.p_bare no_identity no primary key
-- expect: refused-at-init limits_unfit_partitions.d deferrable_key the primary key is deferrable
-- expect: refused-at-init limits_unfit_partitions.d_1 deferrable_key the primary key is deferrable

CREATE FOREIGN DATA WRAPPER wrapper;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER wrapper;
CREATE TABLE p (id int, v text) PARTITION BY LIST (v);
CREATE TABLE p_fit PARTITION OF p (PRIMARY KEY (id)) FOR VALUES IN ('fit');
CREATE TABLE p_bare PARTITION OF p FOR VALUES IN ('bare');
CREATE UNLOGGED TABLE p_unlogged PARTITION OF p (PRIMARY KEY (id)) FOR VALUES IN ('unlogged');
CREATE FOREIGN TABLE elsewhere PARTITION OF p FOR VALUES IN ('elsewhere') SERVER elsewhere;
CREATE TABLE d (id int PRIMARY KEY DEFERRABLE) PARTITION BY LIST (id);
CREATE TABLE d_1 PARTITION OF d DEFAULT;
