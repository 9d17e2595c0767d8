-- Rows that overlap an owner's new row are displaced by it, however many; one with the same key is overwritten.
-- min_version: 18
-- alone: its tables have an owner
-- contrib: btree_gist
-- ownership: - {tables: ["tables_temporal_conflict.*"], owner: east}

CREATE TABLE t (id int, valid int4range, v text, PRIMARY KEY (id, valid WITHOUT OVERLAPS));
CREATE TABLE local_x (id int);
--- on west only
INSERT INTO t VALUES (1, '[1,3)', 'first'), (1, '[3,5)', 'second'), (1, '[5,9)', 'beside'), (2, '[1,5)', 'other'), (3, '[1,5)', 'same key'), (4, '[20,30)', 'in the way'), (5, '[1,9)', 'gone');
--- on east
INSERT INTO t VALUES (1, '[2,4)', 'wins'), (3, '[1,5)', 'over it'), (4, '[1,5)', 'moves');
UPDATE t SET valid = '[25,26)' WHERE id = 4;
INSERT INTO t VALUES (5, '[2,3)', 'later');
UPDATE t SET v = 'later still' WHERE id = 5;
--- check west `SELECT * FROM t ORDER BY id, valid` = 1|[2,4)|wins;1|[5,9)|beside;2|[1,5)|other;3|[1,5)|over it;4|[25,26)|moves;5|[2,3)|later still
--- check west `SELECT kind, resolution, count(*) FROM pgfed.conflict_history WHERE resolution <> 'refuse' GROUP BY 1, 2 ORDER BY 1, 2` = insert_exists|overwrite|1;multiple_unique_conflicts|displace|3
--- on west only
DELETE FROM t WHERE v IN ('beside', 'other');
