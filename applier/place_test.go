package applier

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/conflict"
)

const byRegion = `CREATE TABLE t (id int, region text, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
	CREATE TABLE t_eu PARTITION OF t FOR VALUES IN ('eu');
	CREATE TABLE t_us PARTITION OF t FOR VALUES IN ('us')`

const byID = `CREATE TABLE t (v text, region text, id int, PRIMARY KEY (region, id)) PARTITION BY RANGE (id);
	CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (10);
	CREATE TABLE t_high PARTITION OF t FOR VALUES FROM (10) TO (100)`

const sameRows = "SELECT id, region, v FROM t ORDER BY id, region"

// Whatever partitions a table has here, its rows find their places.
func TestPartitionsOfOtherLayouts(t *testing.T) {
	for name, here := range map[string]string{
		"other partitions":  byID,
		"none":              "CREATE TABLE t (id int, region text, v text, PRIMARY KEY (id, region))",
		"by the key alone":  "CREATE TABLE t (id int PRIMARY KEY, region text, v text)",
		"same names, moved": "CREATE TABLE t (id int, region text, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region); CREATE TABLE t_eu PARTITION OF t FOR VALUES IN ('us'); CREATE TABLE t_us PARTITION OF t FOR VALUES IN ('eu')",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, byRegion, here)
			b.replicate("INSERT INTO t SELECT g, CASE g % 2 WHEN 0 THEN 'eu' ELSE 'us' END, 'v' FROM generate_series(1, 20) g",
				"UPDATE t SET v = 'updated' WHERE id % 3 = 0", "UPDATE t SET id = id + 30 WHERE id < 8", "DELETE FROM t WHERE id IN (9, 10)",
				"UPDATE t SET region = CASE region WHEN 'eu' THEN 'us' ELSE 'eu' END WHERE id > 15",
				"ALTER TABLE t_eu REPLICA IDENTITY FULL; ALTER TABLE t_us REPLICA IDENTITY FULL",
				"UPDATE t SET v = 'full', id = id + 1000 WHERE false", "UPDATE t SET v = 'full' WHERE id < 18", "DELETE FROM t WHERE id = 18")
			require.Equal(t, b.rows(b.source, sameRows), b.rows(b.target, sameRows))
			require.Empty(t, b.conflicts())
		})
	}
}

// An ordinary table of the origin may be partitioned here, also by what its
// updates change.
func TestOrdinaryTableIsPartitionedHere(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int, region text, v text, PRIMARY KEY (id, region)); ALTER TABLE t REPLICA IDENTITY FULL", byID)
	b.replicate("INSERT INTO t VALUES (1, 'eu', 'a'), (1, 'us', 'a'), (12, 'eu', 'a')", "UPDATE t SET id = id + 10 WHERE region = 'us'", "DELETE FROM t WHERE id = 12")
	require.Equal(t, b.rows(b.source, sameRows), b.rows(b.target, sameRows))
	require.Equal(t, []string{"a|us|11"}, b.rows(b.target, "SELECT * FROM t_high"))
	b.replicate("TRUNCATE t")
	require.Empty(t, b.rows(b.target, "SELECT * FROM t"))
}

// Equal rows without a key: one of them is meant, in whatever partition.
func TestEqualRowsInPartitions(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int, region text, v text); ALTER TABLE t REPLICA IDENTITY FULL",
		"CREATE TABLE t (id int, region text, v text) PARTITION BY LIST (region); CREATE TABLE t_eu PARTITION OF t FOR VALUES IN ('eu'); CREATE TABLE t_us PARTITION OF t FOR VALUES IN ('us')")
	b.replicate("INSERT INTO t VALUES (1, 'eu', 'a'), (1, 'eu', 'a'), (1, 'us', 'a'), (1, 'us', 'a')",
		"UPDATE t SET region = 'us' WHERE ctid = '(0,2)'", "DELETE FROM t WHERE ctid = '(0,3)'", "UPDATE t SET v = 'b' WHERE ctid = '(0,4)'")
	require.Equal(t, b.rows(b.source, "SELECT * FROM t ORDER BY region, v"), b.rows(b.target, "SELECT * FROM t ORDER BY region, v"))
}

// Rows in the way are found and removed one by one, although rows of two
// partitions have one ctid.
func TestClashesInPartitions(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, region text, v text); ALTER TABLE t REPLICA IDENTITY FULL",
		`CREATE TABLE t (id int PRIMARY KEY, region text, v text) PARTITION BY RANGE (id);
		CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (10); CREATE TABLE t_high PARTITION OF t FOR VALUES FROM (10) TO (100)`).owned("east")
	b.replicate("INSERT INTO t VALUES (3, 'eu', 'a')")
	b.on(b.target, "TRUNCATE t; INSERT INTO t VALUES (1, 'mine', 'low'), (11, 'mine', 'high'), (2, 'mine', 'low'), (12, 'mine', 'high'), (3, 'mine', 'low')")
	b.replicate("INSERT INTO t VALUES (1, 'eu', 'a')", "INSERT INTO t VALUES (4, 'eu', 'a')", "UPDATE t SET id = 12 WHERE id = 4", "UPDATE t SET id = 13 WHERE id = 3", "DELETE FROM t WHERE id = 1")
	require.Equal(t, []string{"2|mine|low", "11|mine|high", "12|eu|a", "13|eu|a"}, b.rows(b.target, "SELECT * FROM t ORDER BY id"))
	require.Equal(t, []string{
		`t|INSERT|insert_exists|overwrite|{"v": "a", "id": "1", "region": "eu"}`,
		`t|UPDATE|update_exists|displace|{"v": "a", "id": "4", "region": "eu"}`,
		`t|UPDATE|update_origin_differs|overwrite|{"v": "a", "id": "3", "region": "eu"}`,
	}, b.conflicts())
}

// Where rows of the root cannot be found, a partition of the name goes on as it
// did, and one that is missing is missing.
func TestRootWithoutKey(t *testing.T) {
	herd := `CREATE TABLE hippos (id int, node_name text) PARTITION BY LIST (node_name);
		CREATE TABLE hippo_east PARTITION OF hippos (PRIMARY KEY (id)) FOR VALUES IN ('east');
		CREATE TABLE hippo_default PARTITION OF hippos (PRIMARY KEY (id)) DEFAULT;`
	b := newBench(t, herd)
	b.replicate("INSERT INTO hippos VALUES (1, 'east'), (2, NULL)")
	north := "CREATE TABLE hippo_north PARTITION OF hippos (PRIMARY KEY (id)) FOR VALUES IN ('north')"
	b.replicate(north, "UPDATE hippos SET id = 3 WHERE id = 2") // what the default takes differs now
	list := b.exec("INSERT INTO hippos VALUES (4, 'north')").capture()
	halt := b.halts(b.run(list), CodeNoKey)
	require.Equal(t, "public.hippo_north", halt.Table)
	require.Contains(t, halt.Remedy, "public.hippos")
	b.on(b.target, north)
	require.NoError(t, b.run(list))
	b.equal("hippo_east", "hippo_default", "hippo_north")
}

func TestPartitionIsMissing(t *testing.T) {
	b := newBench(t, byRegion, "CREATE TABLE other (id int)")
	list := b.exec("INSERT INTO t VALUES (1, 'eu', 'a')").capture()
	halt := b.halts(b.run(list), CodeMissingTable)
	require.Contains(t, halt.Remedy, "public.t")
	b.on(b.target, "CREATE TABLE t_eu (id int, region text, v text, PRIMARY KEY (id, region))")
	require.NoError(t, b.run(list), "a table of the name will do")
	b.equal("t_eu")
}

// A choice is made again when tables come, go or move here.
func TestPartitionsChangeHere(t *testing.T) {
	b := newBench(t, byRegion, byID)
	later := func(sql string) {
		b.on(b.target, sql)
		b.a.plans.checked = time.Time{}
	}
	b.replicate("INSERT INTO t VALUES (1, 'eu', 'a'), (2, 'us', 'a')")
	later("ALTER TABLE t RENAME TO t_was; " + "CREATE TABLE t (id int, region text, v text, PRIMARY KEY (id, region)); INSERT INTO t SELECT id, region, v FROM t_was")
	b.replicate("UPDATE t SET v = 'b'", "INSERT INTO t VALUES (3, 'eu', 'b')")
	later("CREATE TABLE t_eu (id int, region text, v text, PRIMARY KEY (id, region)); INSERT INTO t_eu SELECT * FROM t WHERE region = 'eu'; DELETE FROM t WHERE region = 'eu'")
	b.replicate("UPDATE t SET v = 'c'")
	require.Equal(t, []string{"1|eu|c", "3|eu|c"}, b.rows(b.target, "SELECT * FROM t_eu ORDER BY id"))
	later(`ALTER TABLE t RENAME TO t_us; CREATE TABLE t (id int, region text, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
		ALTER TABLE t ATTACH PARTITION t_us FOR VALUES IN ('us'); ALTER TABLE t ATTACH PARTITION t_eu FOR VALUES IN ('eu', 'uk')`)
	b.replicate("UPDATE t SET v = 'd'", "UPDATE t SET region = 'us' WHERE id = 3", "DELETE FROM t WHERE id = 1")
	b.equal("t")
}

func TestTruncateOfPartitions(t *testing.T) {
	refill := "INSERT INTO t VALUES (1, 'eu', 'a'), (2, 'us', 'a'), (11, 'eu', 'a')"
	b := newBench(t, byRegion, byID)
	b.replicate(refill, "TRUNCATE t")
	require.Empty(t, b.rows(b.target, "SELECT * FROM t"))
	b.replicate(refill, "TRUNCATE t_us, t_eu")
	require.Empty(t, b.rows(b.target, "SELECT * FROM t"))
	b.replicate(refill)
	list := b.exec("TRUNCATE t_eu").capture()
	halt := b.halts(b.run(list), CodeTruncatePartition)
	require.Equal(t, "public.t_eu", halt.Table)
	require.Len(t, b.rows(b.target, "SELECT * FROM t"), 3)
	b.on(b.target, "DROP TABLE t; "+byRegion, refill)
	require.NoError(t, b.run(list))
	b.equal("t")
}

func TestTruncateOfPartitionsByOthers(t *testing.T) {
	fill := "INSERT INTO t (id, region, v) VALUES (1, 'eu', 'a'), (2, 'us', 'a'), (11, 'eu', 'a')"
	b := newBench(t, byRegion, byID)
	b.cfg.Rules = b.rules(conflict.Spec{{Tables: []string{"t_*"}, Column: "region", Values: map[string]string{"eu": "east", "us": "west"}}})
	b.on(b.target, fill)
	b.replicate("TRUNCATE t")
	require.Equal(t, []string{"2|us|a"}, b.rows(b.target, sameRows))
	require.Equal(t, []string{`t_eu|TRUNCATE|truncate_refused|own_rows_only|{"tables": ["public.t_eu", "public.t_us"]}`}, b.conflicts())
	b.halts(b.run(b.exec("TRUNCATE t_eu").capture()), CodeTruncatePartition)

	// What the origin may do to one partition only, is not done to all.
	b = newBench(t, byRegion, byID)
	b.cfg.Rules = b.rules(conflict.Spec{{Tables: []string{"t_*"}, ByTable: map[string]string{"t_eu": "east", "t_us": "west"}}})
	b.on(b.target, fill)
	b.halts(b.run(b.exec("TRUNCATE t").capture()), CodeTruncatePartition)
	require.Len(t, b.rows(b.target, "SELECT * FROM t"), 3)
	b.open()

	b = newBench(t, byRegion, byID)
	b.cfg.Rules = b.rules(conflict.Spec{{Tables: []string{"t_*"}, Node: "west"}})
	b.on(b.target, fill)
	b.replicate("TRUNCATE t")
	require.Len(t, b.rows(b.target, "SELECT * FROM t"), 3)
	require.Equal(t, []string{`t_eu|TRUNCATE|not_owner|refuse|{"tables": ["public.t_eu", "public.t_us"]}`}, b.conflicts())
}

// A partition that the federation file leaves to this node keeps its rows.
func TestTruncateSparesExcludedPartitions(t *testing.T) {
	for name, spec := range map[string]conflict.Spec{"whole": nil, "by column": {{Tables: []string{"t*"}, Column: "v"}}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, byRegion, `CREATE TABLE t (id int, region text, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
				CREATE TABLE t_all PARTITION OF t FOR VALUES IN ('eu', 'us'); CREATE TABLE t_mine PARTITION OF t DEFAULT`)
			b.cfg.Included = func(_, table string) bool { return table != "t_mine" }
			b.cfg.Rules = b.rules(spec)
			b.on(b.target, "INSERT INTO t VALUES (7, 'private', 'east')")
			b.replicate("INSERT INTO t VALUES (1, 'eu', 'east'), (2, 'us', 'east')", "TRUNCATE t", "INSERT INTO t VALUES (3, 'us', 'east')")
			require.Equal(t, []string{"3|us|east", "7|private|east"}, b.rows(b.target, sameRows))
		})
	}
}

// What is written through a root is prepared once for all partitions of the
// origin: each costs the server a plan over all partitions here.
func TestStatementsOfARootAreShared(t *testing.T) {
	b := newBench(t, byRegion, byID)
	b.replicate("INSERT INTO t VALUES (1, 'eu', 'a'), (2, 'us', 'a')", "UPDATE t SET v = 'b'", "DELETE FROM t WHERE id = 2")
	twice := func() (twice []string) {
		rows, err := b.a.conn.Query(b.ctx, "SELECT statement FROM pg_prepared_statements GROUP BY statement, parameter_types::text HAVING count(*) > 1")
		require.NoError(t, err)
		twice, err = pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return twice
	}
	require.Empty(t, twice())
	b.on(b.target, "ALTER TABLE t ALTER v TYPE varchar(100)")
	b.replicate("INSERT INTO t VALUES (3, 'eu', 'a'), (4, 'us', 'a')", "UPDATE t SET v = 'c'", "DELETE FROM t WHERE id > 3")
	require.Empty(t, twice())
	require.Equal(t, []string{"1|eu|c", "3|eu|c"}, b.rows(b.target, sameRows))
}

// A DEFERRABLE constraint that one partition has is not enforced for a replica
// session, whatever the row is written through.
func TestDeferrableConstraintOfOnePartition(t *testing.T) {
	b := newBench(t, byRegion, byID+`; ALTER TABLE t DETACH PARTITION t_low; DROP TABLE t_low;
		CREATE TABLE t_low (id int NOT NULL, v text UNIQUE DEFERRABLE, region text NOT NULL);
		ALTER TABLE t ATTACH PARTITION t_low FOR VALUES FROM (0) TO (10)`)
	b.on(b.target, "INSERT INTO t VALUES ('x', 'eu', 5)")
	b.replicate("INSERT INTO t VALUES (11, 'eu', 'x'), (2, 'us', 'y')")
	b.halts(b.run(b.exec("INSERT INTO t VALUES (1, 'eu', 'x')").capture()), CodeConflict)
	require.Equal(t, []string{"2|us|y", "5|eu|x", "11|eu|x"}, b.rows(b.target, sameRows))
}
