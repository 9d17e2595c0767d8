-- REPLICA IDENTITY FULL of a table with virtual generated columns, under which the server itself refuses its updates, is refused by init.
-- min_version: 18
-- alone: init is what is judged
-- expect: refused-at-init generated_identity
-- expect: refused-at-init column twice of the replica identity is generated
-- limit: REPLICA IDENTITY FULL and virtual generated columns exclude each other; init refuses the table

CREATE TABLE g (n int, twice int GENERATED ALWAYS AS (n * 2) VIRTUAL, v text);
ALTER TABLE g REPLICA IDENTITY FULL;
