package applier

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/change"
)

// PITFALLS D3: constraints that are deferrable at the origin alone. A row that
// gives way to one change of a transaction is there again for the next.
func TestPermutationsMeetImmediateConstraints(t *testing.T) {
	b := newBench(t, `CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE DEFERRABLE, v text); ALTER TABLE t ALTER v SET STORAGE EXTERNAL;
		CREATE TABLE f (id int PRIMARY KEY DEFERRABLE, v text); ALTER TABLE f REPLICA IDENTITY FULL`,
		`CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE, v text, extra int); ALTER TABLE t ALTER v SET STORAGE EXTERNAL;
		CREATE TABLE f (id int PRIMARY KEY, v text, seq int GENERATED ALWAYS AS IDENTITY); ALTER TABLE f REPLICA IDENTITY FULL`).owned("east")
	b.replicate("INSERT INTO t SELECT g, g, repeat('v' || g, 5000) FROM generate_series(1, 10) g", "INSERT INTO f SELECT g, 'v' || g FROM generate_series(1, 10) g")
	b.on(b.target, "UPDATE t SET extra = id")
	b.replicate(
		"UPDATE t SET u = u + 1",
		"UPDATE t SET u = 12 - u",
		"BEGIN; SET CONSTRAINTS ALL DEFERRED; UPDATE t SET u = 2 WHERE id = 8; UPDATE t SET u = 3, v = 'x' WHERE id = 9; COMMIT",
		"BEGIN; SET CONSTRAINTS ALL DEFERRED; INSERT INTO t VALUES (20, 5, 'new'); DELETE FROM t WHERE u = 5 AND id <> 20; COMMIT",
		"BEGIN; SET CONSTRAINTS ALL DEFERRED; INSERT INTO t VALUES (21, 6, 'new'); UPDATE t SET u = 60 WHERE u = 6 AND id <> 21; COMMIT",
		"UPDATE f SET id = id + 1",
		"BEGIN; SET CONSTRAINTS ALL DEFERRED; INSERT INTO f VALUES (2, 'new'); UPDATE f SET id = 1 WHERE v = 'v1'; COMMIT",
		"BEGIN; SET CONSTRAINTS ALL DEFERRED; UPDATE f SET id = 8 - id WHERE id BETWEEN 3 AND 5; DELETE FROM f WHERE id = 5; COMMIT",
		"BEGIN; SET CONSTRAINTS ALL DEFERRED; UPDATE t SET u = 8 WHERE id = 3; UPDATE t SET u = 80 WHERE id = 3; COMMIT",
		"BEGIN; SET CONSTRAINTS ALL DEFERRED; UPDATE f SET id = 11 WHERE id = 10; UPDATE f SET id = 100 WHERE id = 11 AND v = 'v9'; COMMIT",
		"BEGIN; SET CONSTRAINTS ALL DEFERRED; UPDATE f SET id = 7 WHERE id = 6; DELETE FROM f WHERE v = 'v6'; COMMIT",
	)
	sorted := "SELECT id, u, md5(v) FROM t ORDER BY id"
	require.Equal(t, b.rows(b.source, sorted), b.rows(b.target, sorted))
	require.Empty(t, b.rows(b.target, "SELECT id FROM t WHERE id <= 10 AND extra IS DISTINCT FROM id"), "what only this node has stays")
	sorted = "SELECT id, v FROM f ORDER BY id"
	require.Equal(t, b.rows(b.source, sorted), b.rows(b.target, sorted))
	require.Empty(t, b.rows(b.target, "SELECT id FROM f WHERE v <> 'new' AND v <> 'v' || seq"))
	require.NotEmpty(t, b.conflicts(), "the schemas differ, which is on record")
}

// The same over the pieces of a large transaction.
func TestPermutationsInPieces(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE DEFERRABLE)", "CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE, extra text DEFAULT 'x')").owned("east")
	b.replicate("INSERT INTO t SELECT g, g FROM generate_series(1, 40) g")
	b.on(b.target, "UPDATE t SET extra = 'kept'")
	b.exec("UPDATE t SET u = 41 - u")
	require.NoError(t, b.run(b.pieces(b.parts()[0], 7)))
	require.Equal(t, []string{"40|t|kept"}, b.rows(b.target, "SELECT count(*), bool_and(u = 41 - id), min(extra) FROM t"))
}

// What was not the origin's row, or is in the way to the end, stays away.
func TestDisplacedForGood(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE)").owned("east")
	b.on(b.target, "INSERT INTO t VALUES (1, 101), (2, 102), (3, 103), (4, 104)")
	b.replicate(
		"BEGIN; INSERT INTO t VALUES (1, 1); DELETE FROM t WHERE id = 1; COMMIT",           // its key was the origin's to delete
		"INSERT INTO t VALUES (20, 102)",                                                   // in the way
		"BEGIN; INSERT INTO t VALUES (30, 103); UPDATE t SET u = 30 WHERE id = 30; COMMIT", // not any more
	)
	require.Equal(t, []string{"3|103", "4|104", "20|102", "30|30"}, b.rows(b.target, "SELECT * FROM t ORDER BY id"))
}

// Of two displaced rows that exclude each other the origin's comes back.
func TestDisplacedLastComesBackFirst(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE DEFERRABLE)", "CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE)").owned("east")
	b.on(b.target, "INSERT INTO t SELECT 90 + g, g FROM generate_series(1, 9) g")
	b.replicate("BEGIN; SET CONSTRAINTS ALL DEFERRED; INSERT INTO t SELECT g, g FROM generate_series(1, 9) g;" +
		"INSERT INTO t SELECT 10 + g, g FROM generate_series(1, 9) g; UPDATE t SET u = u + 10 WHERE id > 10; COMMIT")
	b.equal("t")
}

// A TRUNCATE means what an earlier change displaced as well.
func TestDisplacedAndTruncated(t *testing.T) {
	const deferrable = "CREATE TABLE t (id int, region char(10), u int UNIQUE DEFERRABLE, PRIMARY KEY (id, region))"
	b := newBench(t, deferrable, strings.ReplaceAll(deferrable, "DEFERRABLE", ""))
	const displacing = "BEGIN; SET CONSTRAINTS ALL DEFERRED; UPDATE t SET u = 2 WHERE id = 1; UPDATE t SET u = 3 WHERE id = 1; SET CONSTRAINTS ALL IMMEDIATE; "
	for _, rule := range []conflict.RuleSpec{{Node: "east"}, {Column: "region"}} {
		rule.Tables = []string{"t"}
		b.cfg.Rules = b.rules(conflict.Spec{rule})
		b.open()
		b.replicate("INSERT INTO t VALUES (1, 'east', 1), (2, 'east', 2)")
		b.replicate(displacing + "TRUNCATE t; INSERT INTO t VALUES (5, 'east', 5); COMMIT")
		b.equal("t")
		b.replicate("TRUNCATE t")
	}
	b.replicate("INSERT INTO t VALUES (1, 'east', 1)")
	b.on(b.target, "INSERT INTO t VALUES (2, 'west', 102)")
	b.replicate("BEGIN; INSERT INTO t VALUES (3, 'east', 102); UPDATE t SET u = 3 WHERE id = 3; TRUNCATE t; COMMIT")
	require.Equal(t, []string{"2|west|102"}, b.rows(b.target, "SELECT id, rtrim(region), u FROM t"), "not the origin's to truncate")
}

// The identity of a displaced row is found where a column here says it
// otherwise than the origin's.
func TestDisplacedUnderOtherTypes(t *testing.T) {
	b := newBench(t, `CREATE TABLE t (id date PRIMARY KEY, u int UNIQUE DEFERRABLE);
		CREATE TABLE f (id int PRIMARY KEY DEFERRABLE, v json, n text); ALTER TABLE f REPLICA IDENTITY FULL`,
		`CREATE TABLE t (id timestamp PRIMARY KEY, u int UNIQUE);
		CREATE TABLE f (id int PRIMARY KEY, v jsonb, n text); ALTER TABLE f REPLICA IDENTITY FULL`).owned("east")
	b.replicate("INSERT INTO t VALUES ('2026-01-01', 1), ('2026-01-02', 2), ('2026-01-03', 3)", `INSERT INTO f SELECT g, format('{"a":%s}', g)::json FROM generate_series(1, 4) g`)
	b.replicate(
		"BEGIN; SET CONSTRAINTS ALL DEFERRED; UPDATE t SET u = 2 WHERE u = 1; DELETE FROM t WHERE id = '2026-01-02'; UPDATE t SET u = 4 WHERE u = 2; COMMIT",
		"UPDATE f SET id = id + 1")
	require.Equal(t, []string{"2026-01-01|4", "2026-01-03|3"}, b.rows(b.target, "SELECT id::date, u FROM t ORDER BY id"))
	sorted := "SELECT id, v::jsonb FROM f ORDER BY id"
	require.Equal(t, b.rows(b.source, sorted), b.rows(b.target, sorted))
}

// Beyond its bounds the memory says so, and never that a row is gone.
func TestDisplacedRowsAreBounded(t *testing.T) {
	p := &plan{source: &change.Table{Schema: "public", Name: "t"}, key: []match{{}}, places: []int{0}, columns: []int{0}, target: &target{}}
	row := localRow{values: []change.Value{{Kind: change.Text, Bytes: []byte("7")}}}
	means := func(d displacedRows) (*localRow, error) {
		e := &encounter{x: &transaction{displaced: d}, it: &item{plan: p}, img: &image{old: row.values}}
		e.it.Change = &change.Change{OldKind: change.OldKey}
		return e.displaced(t.Context())
	}
	var d displacedRows
	kept, err := means(d)
	require.NoError(t, err)
	require.Nil(t, kept)
	d.remember(p, []localRow{row})
	kept, err = means(d)
	require.NoError(t, err)
	require.Equal(t, &row, kept)
	for _, full := range []displacedRows{{count: deferredLimit}, {bytes: deferredBytes}} {
		full.remember(p, []localRow{row})
		_, err = means(full)
		var halt *Halt
		require.ErrorAs(t, err, &halt)
	}
}
