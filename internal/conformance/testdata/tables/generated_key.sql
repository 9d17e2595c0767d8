-- A replica identity on a generated column, which a server before 18 does not send, is refused by init.
-- max_version: east=17
-- alone: init is what is judged
-- expect: refused-at-init generated_identity
-- expect: refused-at-init column id of the replica identity is generated
-- limit: before Postgres 18 a replica identity must not contain a generated column; init refuses the table

CREATE TABLE t (n int NOT NULL, id int GENERATED ALWAYS AS (n * 10) STORED PRIMARY KEY, v text);
