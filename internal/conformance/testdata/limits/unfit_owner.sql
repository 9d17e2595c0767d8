-- init refuses tables whose changes would not say whose row they touch.
-- alone: init is what is judged
-- ownership: - {tables: ["limits_unfit_owner.*"], owner: {column: region, values: {e: east, w: west}}}
-- expect: refused-at-init limits_unfit_owner.missing owner_column_missing column region, which names the owner, does not exist
-- expect: refused-at-init limits_unfit_owner.outside owner_column_outside_identity column region, which names the owner, is not part of the replica identity

CREATE TABLE fit (id int, region text, PRIMARY KEY (id, region));
CREATE TABLE whole (id int, region text);
ALTER TABLE whole REPLICA IDENTITY FULL;
CREATE TABLE missing (id int PRIMARY KEY);
CREATE TABLE outside (id int PRIMARY KEY, region text);
