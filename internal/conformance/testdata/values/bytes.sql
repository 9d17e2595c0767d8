-- bytea of every byte, bit strings and uuids arrive.

CREATE TABLE t (id int PRIMARY KEY, b bytea, bt bit(4), vb varbit, u uuid, vb5 varbit(5));
--- on east
INSERT INTO t SELECT g, decode(lpad(to_hex(g), 2, '0'), 'hex') FROM generate_series(0, 255) g;
INSERT INTO t VALUES (300, '', B'0000', B'', '00000000-0000-0000-0000-000000000000', B''), (301, '\x5c5c27000a', B'1010', B'1', 'ffffffff-ffff-ffff-ffff-ffffffffffff', B'10101'),
  (302, (SELECT string_agg(decode(lpad(to_hex(g), 2, '0'), 'hex'), '' ORDER BY g) FROM generate_series(0, 255) g), NULL, repeat('10', 5000)::varbit, 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', NULL);
--- on west
UPDATE t SET b = b || b || '\x00'::bytea;
