package applier

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/change"
)

func textValues(texts ...string) (values []change.Value) {
	for _, text := range texts {
		values = append(values, change.Value{Kind: change.Text, Bytes: []byte(text)})
	}
	return values
}

func (b *bench) halts(err error, code string) *Halt {
	b.t.Helper()
	var halt *Halt
	require.ErrorAs(b.t, err, &halt)
	require.Equal(b.t, code, halt.Code, halt.Reason)
	require.Equal(b.t, "east", halt.Origin)
	require.True(b.t, Lasting(err))
	return halt
}

// PITFALLS D3: the order inside a transaction is kept, also where a unique
// value moves from row to row.
func TestUniqueValuesAreSwapped(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE)")
	b.replicate("INSERT INTO t VALUES (1, 10), (2, 20)",
		"BEGIN; UPDATE t SET u = -1 WHERE id = 1; UPDATE t SET u = 10 WHERE id = 2; UPDATE t SET u = 20 WHERE id = 1; COMMIT",
		"BEGIN; DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (3, 20); UPDATE t SET id = 1 WHERE id = 2; COMMIT")
	b.equal("t")
	require.Empty(t, b.conflicts())
}

// PITFALLS D3: a deferrable constraint is not enforced in a replica session.
func TestDeferrableConstraints(t *testing.T) {
	schema := "CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE DEFERRABLE)"
	b := newBench(t, schema)
	b.replicate("INSERT INTO t VALUES (1, 10), (2, 20), (3, NULL), (4, NULL)",
		"BEGIN; SET CONSTRAINTS ALL DEFERRED; UPDATE t SET u = 30 - u WHERE u IS NOT NULL; COMMIT")
	b.equal("t")
	require.Empty(t, b.conflicts())

	b.on(b.target, "INSERT INTO t VALUES (100, 77)")
	halt := b.halts(b.run(b.exec("INSERT INTO t VALUES (5, 77)").capture()), CodeConflict)
	require.Equal(t, "public.t", halt.Table)
	require.Equal(t, []string{`t|INSERT|multiple_unique_conflicts|halt|{"id": "5"}`}, b.conflicts())
	require.Equal(t, []string{"1"}, b.rows(b.target, "SELECT count(*) FROM t WHERE u = 77"))
}

func TestOwnerOverwritesAndDisplaces(t *testing.T) {
	b := newBench(t, `CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE, v text);
		CREATE UNIQUE INDEX t_lower ON t (lower(v)) WHERE v <> ''`).owned("east")
	b.on(b.target, `INSERT INTO t VALUES (1, 100, 'local'), (2, 200, 'Other'), (3, 300, 'x'), (4, 400, 'y'), (5, 500, 'stays')`)
	b.replicate(
		"INSERT INTO t VALUES (1, 1, 'remote')",   // a row with its key: overwritten
		"INSERT INTO t VALUES (20, 200, 'OTHER')", // one row in the way by two constraints: displaced
		"INSERT INTO t VALUES (3, 400, 'new')",    // its key and another's value: both
	)
	require.Equal(t, []string{"1|1|remote", "20|200|OTHER", "3|400|new", "5|500|stays"}, b.rows(b.target, "SELECT * FROM t ORDER BY id::text"))
	require.Equal(t, []string{
		`t|INSERT|insert_exists|overwrite|{"id": "1"}`,
		`t|INSERT|multiple_unique_conflicts|displace|{"id": "20"}`,
		`t|INSERT|insert_exists|overwrite|{"id": "3"}`,
	}, b.conflicts())
	require.Equal(t, []string{
		`{"u": "100", "v": "local", "id": "1"}`, `{"u": "200", "v": "Other", "id": "2"}`,
		`[{"u": "300", "v": "x", "id": "3"}, {"u": "400", "v": "y", "id": "4"}]`,
	}, b.rows(b.target, "SELECT local_row FROM pgfed.conflict_history ORDER BY position"))
}

// What looks for rows in the way makes the new row with NULLs for columns of
// ours, also where a column's domain allows none.
func TestOwnerOverwritesWhereADomainAllowsNoNull(t *testing.T) {
	b := newBench(t, "CREATE DOMAIN code AS text DEFAULT 'domain' NOT NULL; CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE)",
		"CREATE DOMAIN code AS text DEFAULT 'domain' NOT NULL; CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE, extra code DEFAULT 'mine')").owned("east")
	b.on(b.target, "INSERT INTO t VALUES (1, 10, 'kept'), (2, 20, 'gone')")
	b.replicate("INSERT INTO t VALUES (1, 11)", "INSERT INTO t VALUES (3, 20)")
	require.Equal(t, []string{"1|11|kept", "3|20|mine"}, b.rows(b.target, "SELECT * FROM t ORDER BY id"))
}

func TestOwnersUpdatesAndDeletesPrevail(t *testing.T) {
	b := newBench(t, `CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE, v text)`).owned("east")
	b.replicate("INSERT INTO t SELECT g, g, 'v' FROM generate_series(1, 6) g")
	b.on(b.target, "DELETE FROM t WHERE id IN (1, 2)", "INSERT INTO t VALUES (100, 100, 'local'), (50, 50, 'key')")
	b.replicate(
		"UPDATE t SET v = 'new' WHERE id = 1",       // gone here: inserted
		"DELETE FROM t WHERE id = 2",                // gone here: nothing to do
		"UPDATE t SET u = 100 WHERE id = 3",         // its new value is taken
		"UPDATE t SET id = 50, u = 60 WHERE id = 4", // its new key is taken
		"BEGIN; UPDATE t SET v = 'a' WHERE id = 5; UPDATE t SET v = 'b' WHERE id = 6; DELETE FROM t WHERE id = 5; COMMIT",
	)
	b.equal("t")
	require.Equal(t, []string{
		`t|UPDATE|update_missing|insert_instead|{"id": "1"}`,
		`t|DELETE|delete_missing|skip|{"id": "2"}`,
		`t|UPDATE|multiple_unique_conflicts|displace|{"id": "3"}`,
		`t|UPDATE|update_exists|displace|{"id": "4"}`,
	}, b.conflicts())
}

func TestIdentityAlwaysIsOverwritten(t *testing.T) {
	b := newBench(t, `CREATE TABLE t (k text PRIMARY KEY, n bigint GENERATED ALWAYS AS IDENTITY, v text)`,
		`CREATE TABLE t (k text PRIMARY KEY, n bigint GENERATED ALWAYS AS IDENTITY, v text, extra int DEFAULT 1)`).owned("east")
	b.on(b.target, "INSERT INTO t OVERRIDING SYSTEM VALUE VALUES ('a', 900, 'local', 42)")
	b.replicate("INSERT INTO t (k, v) VALUES ('a', 'remote')")
	require.Equal(t, []string{"a|1|remote|42"}, b.rows(b.target, "SELECT * FROM t"))
}

func TestDisplacementByExclusion(t *testing.T) {
	b := newBench(t, `CREATE TABLE t (id int PRIMARY KEY, r int4range, EXCLUDE USING gist (r WITH &&))`).owned("east")
	b.on(b.target, "INSERT INTO t VALUES (1, '[1,5)'), (2, '[5,9)'), (3, '[20,30)')")
	b.replicate("INSERT INTO t VALUES (10, '[4,6)')", "UPDATE t SET r = '[25,26)' WHERE id = 10")
	b.equal("t")
	require.Equal(t, []string{
		`t|INSERT|multiple_unique_conflicts|displace|{"id": "10"}`, `t|UPDATE|multiple_unique_conflicts|displace|{"id": "10"}`,
	}, b.conflicts())
}

func TestOthersChangesAreRefusedAndRecordedOnce(t *testing.T) {
	b := newBench(t, `CREATE TABLE mine (id int PRIMARY KEY, v text); CREATE TABLE theirs (id int PRIMARY KEY, v text)`)
	b.cfg.Rules = b.rules(conflict.Spec{{Tables: []string{"mine"}, Node: "west"}, {Tables: []string{"theirs"}, Node: "east"}})
	registry := prometheus.NewRegistry()
	b.cfg.Metrics = NewMetrics(registry)
	refused := func() (sum float64) {
		families, err := registry.Gather()
		require.NoError(t, err)
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				if family.GetName() == "pgfed_conflicts_total" {
					sum += metric.GetCounter().GetValue()
				}
			}
		}
		return sum
	}
	b.on(b.target, "INSERT INTO mine VALUES (1, 'mine')")
	list := b.exec("INSERT INTO mine VALUES (1, 'x')",
		"BEGIN; INSERT INTO theirs VALUES (1, 'a'); UPDATE mine SET v = 'y\n\"quoted\"' WHERE id = 1; DELETE FROM mine; INSERT INTO theirs VALUES (2, 'b'); COMMIT").capture()
	require.NoError(t, b.run(list))
	require.Equal(t, []string{"1|mine"}, b.rows(b.target, "SELECT * FROM mine"))
	b.equal("theirs")
	want := []string{
		`mine|INSERT|not_owner|refuse|{"id": "1"}`, `mine|UPDATE|not_owner|refuse|{"id": "1"}`, `mine|DELETE|not_owner|refuse|{"id": "1"}`,
	}
	require.Equal(t, want, b.conflicts())
	require.Equal(t, []string{`{"v": "y\n\"quoted\"", "id": "1"}|west|2`},
		b.rows(b.target, "SELECT remote_new, owner, ordinal + 1 FROM pgfed.conflict_history WHERE operation = 'UPDATE'"))
	require.Equal(t, []string{conflict.KeyHash("public", "mine", textValues("1"))},
		b.rows(b.target, "SELECT DISTINCT key_hash FROM pgfed.conflict_history"))
	require.Equal(t, uint64(3), b.progress[len(b.progress)-1].Conflicts)
	require.Equal(t, float64(3), refused())

	// The same batches again, and again after the checkpoint was set back as a
	// restored database's would be: on record once.
	require.NoError(t, b.run(list))
	require.Equal(t, want, b.conflicts())
	b.on(b.target, "UPDATE pgfed.checkpoint SET lsn = '0/0'; DELETE FROM theirs")
	b.open()
	require.NoError(t, b.run(list))
	require.Equal(t, want, b.conflicts())
	b.equal("theirs")
}

func TestUnownedClashHaltsAndNothingIsVisible(t *testing.T) {
	for name, clash := range map[string]struct{ here, there, kind, repair string }{
		"insert_exists":             {"INSERT INTO t VALUES (5, 55, 'local')", "INSERT INTO t VALUES (5, 5, 'remote')", "insert_exists", "DELETE FROM t WHERE id = 5"},
		"multiple_unique_conflicts": {"INSERT INTO t VALUES (6, 5, 'local')", "INSERT INTO t VALUES (5, 5, 'remote')", "multiple_unique_conflicts", "DELETE FROM t WHERE id = 6"},
		"update_missing":            {"DELETE FROM t WHERE id = 1", "UPDATE t SET v = 'w' WHERE id = 1", "update_missing", "INSERT INTO t VALUES (1, 1, 'v')"},
		"delete_missing":            {"DELETE FROM t WHERE id = 1", "DELETE FROM t WHERE id = 1", "delete_missing", "INSERT INTO t VALUES (1, 1, 'v')"},
		"update_exists":             {"INSERT INTO t VALUES (9, 9, 'local')", "UPDATE t SET id = 9 WHERE id = 1", "update_exists", "DELETE FROM t WHERE id = 9"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE, v text)")
			b.replicate("INSERT INTO t VALUES (1, 1, 'v')")
			b.on(b.target, clash.here)
			before := b.rows(b.target, "SELECT * FROM t ORDER BY id")
			at := b.frontier.Applied("east")
			list := b.exec("BEGIN; INSERT INTO t VALUES (70, 70, 'other'); "+clash.there+"; COMMIT", "INSERT INTO t VALUES (80, 80, 'later')").capture()
			for range 3 { // the caller tries again and again
				halt := b.halts(b.run(list), CodeConflict)
				require.Equal(t, list[0].Last, halt.Position.LSN)
				require.Equal(t, "public.t", halt.Table)
				require.Equal(t, before, b.rows(b.target, "SELECT * FROM t ORDER BY id"))
				require.Equal(t, at, b.frontier.Applied("east"))
				require.Len(t, b.conflicts(), 1)
				require.Equal(t, []string{clash.kind + "|halt"}, b.rows(b.target, "SELECT kind, resolution FROM pgfed.conflict_history"))
				b.open()
			}
			b.on(b.target, clash.repair)
			require.NoError(t, b.run(list))
			b.equal("t")
			require.Len(t, b.conflicts(), 1)
		})
	}
}

func TestEqualRowIsNoClash(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE, v text)")
	b.on(b.target, "INSERT INTO t VALUES (1, 1, NULL)")
	b.replicate("INSERT INTO t VALUES (1, 1, NULL)", "INSERT INTO t VALUES (2, 2, '')")
	b.equal("t")
	require.Empty(t, b.conflicts())
}

func TestFullIdentityTellsAnUnownedUpdateOfADifferingRow(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, v text); ALTER TABLE t REPLICA IDENTITY FULL")
	b.replicate("INSERT INTO t VALUES (1, 'a'), (2, 'a')")
	b.on(b.target, "UPDATE t SET v = 'local'")
	b.halts(b.run(b.exec("UPDATE t SET v = 'remote' WHERE id = 1").capture()), CodeConflict)
	require.Equal(t, []string{"1|local", "2|local"}, b.rows(b.target, "SELECT * FROM t ORDER BY 1"))
}

func TestOwnershipByColumn(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (region text, id int, u int UNIQUE, v text, PRIMARY KEY (region, id))")
	b.cfg.Rules = b.rules(conflict.Spec{{Tables: []string{"t"}, Column: "region", Values: map[string]string{"eu": "east", "us": "west", "xx": "north"}}})
	b.on(b.target, "INSERT INTO t VALUES ('us', 1, 1, 'west'), ('xx', 1, 2, 'north')")
	b.replicate(
		"INSERT INTO t VALUES ('eu', 1, 10, 'mine')", "INSERT INTO t VALUES ('us', 9, 90, 'not mine')", "INSERT INTO t VALUES ('eu', 2, 1, 'blocked by west')",
		"UPDATE t SET v = 'changed' WHERE region = 'eu' AND id = 1",
		"UPDATE t SET region = 'us' WHERE region = 'eu' AND id = 1", // handed over by its owner
	)
	require.Equal(t, []string{"eu|2|1|blocked by west", "us|1|10|changed"},
		b.rows(b.target, "SELECT * FROM t WHERE region <> 'xx' ORDER BY 1, 2"))
	require.Equal(t, []string{
		`t|INSERT|not_owner|refuse|{"id": "9", "region": "us"}`,
		`t|INSERT|multiple_unique_conflicts|displace|{"id": "2", "region": "eu"}`,
	}, b.conflicts())
}

func TestOwnerUnknownHalts(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, region text)")
	b.cfg.Rules = b.rules(conflict.Spec{{Tables: []string{"t"}, Column: "region"}})
	list := b.exec("INSERT INTO t VALUES (1, 'east')", "UPDATE t SET id = 2").capture()
	b.halts(b.run(list), CodeOwnerUnknown)
}

// A row that moves between partitions is a delete and an insert; when the
// delete is by the owner both count.
func TestRowsMoveBetweenPartitions(t *testing.T) {
	b := newBench(t, `CREATE TABLE hippos (id int, node_name text) PARTITION BY LIST (node_name);
		CREATE TABLE hippo_east PARTITION OF hippos (PRIMARY KEY (id)) FOR VALUES IN ('east');
		CREATE TABLE hippo_west PARTITION OF hippos (PRIMARY KEY (id)) FOR VALUES IN ('west');
		CREATE TABLE hippo_default PARTITION OF hippos (PRIMARY KEY (id)) DEFAULT`)
	b.cfg.Rules = b.rules(conflict.Spec{{Tables: []string{"hippo*"}, ByTable: map[string]string{"hippo_east": "east", "hippo_west": "west"}}})
	b.replicate("INSERT INTO hippos VALUES (1, 'east'), (2, 'east'), (3, NULL)", "UPDATE hippos SET node_name = 'west' WHERE id = 1",
		"UPDATE hippos SET node_name = 'east' WHERE id = 3", "DELETE FROM hippos WHERE id = 2")
	b.equal("hippos")
	require.Empty(t, b.conflicts())
	b.replicate("UPDATE hippos SET node_name = 'east' WHERE id = 1")
	require.Equal(t, []string{"1|west", "3|east"}, b.rows(b.target, "SELECT * FROM hippos ORDER BY id"))
	require.Len(t, b.conflicts(), 2, fmt.Sprint(b.conflicts()))
}

// An update that loses a tie takes its row along: at the winner's node the
// winner's change displaces it.
func TestUpdateThatLosesATieTakesItsRow(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (region text, id int, u int UNIQUE, v text, PRIMARY KEY (region, id))")
	b.cfg.Rules = b.byRegion("central", "east", "west")
	b.replicate("INSERT INTO t VALUES ('east', 1, 1, 'old'), ('east', 2, 2, 'old')")
	b.on(b.target, "INSERT INTO t VALUES ('central', 1, 10, 'first'), ('west', 1, 20, 'last')")
	b.replicate("UPDATE t SET u = 10 WHERE id = 1", "UPDATE t SET u = 20 WHERE id = 2")
	require.Equal(t, []string{"central|1|10|first", "east|2|20|old"}, b.rows(b.target, "SELECT * FROM t ORDER BY region"))
	require.Equal(t, []string{
		`t|UPDATE|multiple_unique_conflicts|skip|{"id": "1", "region": "east"}`,
		`t|UPDATE|multiple_unique_conflicts|displace|{"id": "2", "region": "east"}`,
	}, b.conflicts())
}

func (b *bench) byRegion(nodes ...string) *conflict.Rules {
	b.t.Helper()
	rules, err := conflict.Compile(conflict.Spec{{Tables: []string{"t"}, Column: "region"}}, nodes, conflict.PolicyError)
	require.NoError(b.t, err)
	return rules
}

// At east the row that it handed over yields to the one that west made: so it
// does here.
func TestHandedOverRowYieldsToTheNewOwners(t *testing.T) {
	b := newBench(t, `CREATE TABLE hippos (id int, node_name text, v text) PARTITION BY LIST (node_name);
		CREATE TABLE hippo_east PARTITION OF hippos (PRIMARY KEY (id)) FOR VALUES IN ('east');
		CREATE TABLE hippo_west PARTITION OF hippos (PRIMARY KEY (id)) FOR VALUES IN ('west')`)
	b.cfg.Rules = b.rules(conflict.Spec{{Tables: []string{"hippo*"}, ByTable: map[string]string{"hippo_east": "east", "hippo_west": "west"}}})
	b.replicate("INSERT INTO hippos VALUES (1, 'east', 'of east'), (2, 'east', 'of east')")
	b.on(b.target, "INSERT INTO hippos VALUES (1, 'west', 'of west')")
	b.replicate("UPDATE hippos SET node_name = 'west'")
	require.Equal(t, []string{"1|west|of west", "2|west|of east"}, b.rows(b.target, "SELECT * FROM hippos ORDER BY id"))
	require.Equal(t, []string{`hippo_west|INSERT|insert_exists|skip|{"id": "1"}`}, b.conflicts())
}

// The blanks of character(n) are no part of a node's name, in a tie and in a
// TRUNCATE too.
func TestOwnerColumnWithBlanks(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (region char(9), id int, u int UNIQUE, PRIMARY KEY (region, id))")
	b.cfg.Rules = b.byRegion("central", "east", "west")
	b.on(b.target, "INSERT INTO t VALUES ('central', 1, 10), ('west', 1, 20)")
	b.replicate("INSERT INTO t VALUES ('east', 1, 10), ('east', 2, 20), ('east', 3, 30)")
	require.Equal(t, []string{"central  |1", "east     |2", "east     |3"}, b.rows(b.target, "SELECT region, id FROM t ORDER BY id"))
	b.replicate("TRUNCATE t")
	require.Equal(t, []string{"central  |1"}, b.rows(b.target, "SELECT region, id FROM t ORDER BY id"))
}

// What halted and was decided later is on record as it was decided, and is no
// obstacle to its transaction.
func TestRecordOfAHaltIsSuperseded(t *testing.T) {
	for _, piece := range []int{1000, 10} {
		b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, v text)")
		b.on(b.target, "INSERT INTO t VALUES (15, 'local')")
		b.exec("INSERT INTO t SELECT g, 'remote' FROM generate_series(1, 30) g")
		list := b.pieces(b.parts()[0], piece)
		b.halts(b.run(list), CodeConflict)
		require.Equal(t, []string{`t|INSERT|insert_exists|halt|{"id": "15"}`}, b.conflicts())
		b.owned("east").open()
		require.NoError(t, b.run(list))
		b.equal("t")
		require.Equal(t, []string{`t|INSERT|insert_exists|overwrite|{"id": "15"}`}, b.conflicts())
	}
}

// Records hold whole rows: few large ones are remembered, not thousands.
func TestDeferrableConstraintsOfLargeRows(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE DEFERRABLE, v text)")
	b.replicate("INSERT INTO t SELECT g, g, repeat('x', 1000000) FROM generate_series(1, 12) g")
	b.equal("t")
	b.on(b.target, "INSERT INTO t VALUES (100, 200)")
	b.halts(b.run(b.exec("INSERT INTO t SELECT g, 190 + g, repeat('x', 1000000) FROM generate_series(20, 32) g", "UPDATE t SET u = 200 WHERE id = 32").capture()), CodeConflict)
}
