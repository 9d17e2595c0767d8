package applier

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/conflict"
)

// A statement prepared for the old type would go on without an error and write
// what the old type makes of the new values.
func TestColumnsChangeTheirTypes(t *testing.T) {
	b := newBench(t, "CREATE DOMAIN whole AS int; CREATE TABLE t (id int PRIMARY KEY, a int, f float8, d date, w whole)")
	b.replicate("INSERT INTO t VALUES (1, 1, 1, '2020-01-01', 1)", "UPDATE t SET a = 2, f = 2", "DELETE FROM t WHERE id = 0")
	b.on(b.target, "ALTER TABLE t ADD n numeric(10,1)") // by its modifier alone
	b.on(b.source, "ALTER TABLE t ADD n numeric(10,1)")
	b.replicate("UPDATE t SET n = 0.5")
	b.on(b.target, "ALTER TABLE t ALTER n TYPE numeric(10,0)")
	list := b.exec("UPDATE t SET n = 1.5").capture()
	b.halts(b.run(list), CodeColumnType)
	b.on(b.target, "ALTER TABLE t ALTER n TYPE numeric(10,1) USING 0.5")
	b.open()
	require.NoError(t, b.run(list))
	alter := "ALTER TABLE t ALTER a TYPE text, ALTER f TYPE numeric, ALTER d TYPE timestamp, ALTER w TYPE text"
	b.on(b.target, alter)
	b.on(b.source, alter)
	b.replicate("INSERT INTO t VALUES (2, '007', 0.12345678901234567890123, '2020-01-01 12:34:56', '08')", "UPDATE t SET a = '0042' WHERE id = 1")
	b.equal("t")
	require.Empty(t, b.conflicts())
	runs := b.a.pipes
	b.replicate("UPDATE t SET a = '0043' WHERE id = 1")
	require.Equal(t, runs+2, b.a.pipes, "once is enough: one pipe for the changes, one for COMMIT")
}

func TestColumnIsNoLongerGenerated(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, a int GENERATED ALWAYS AS (id) STORED)")
	b.replicate("INSERT INTO t VALUES (1)")
	b.on(b.source, "ALTER TABLE t ALTER a DROP EXPRESSION")
	b.replicate("INSERT INTO t VALUES (2, 2)")
	b.on(b.target, "ALTER TABLE t ALTER a DROP EXPRESSION")
	b.replicate("INSERT INTO t VALUES (3, 33)", "UPDATE t SET a = 11 WHERE id = 1")
	b.equal("t")
}

// Types that round or cut without an error halt; others show their own errors.
func TestTypesThatWouldLoseValues(t *testing.T) {
	cases := []struct{ origin, here, value, code string }{
		{"numeric(10,4)", "numeric(10,2)", "1.2345", CodeColumnType},
		{"numeric", "numeric(10,2)", "1.2345", CodeColumnType},
		{"numeric(10,2)", "numeric(12,4)", "1.23", ""},
		{"numeric(10,2)", "numeric", "1.23", ""},
		{"int", "numeric(10,-2)", "123", CodeColumnType},
		{"timestamp", "date", "2020-01-01 12:34:56", CodeColumnType},
		{"timestamp", "timestamp(0)", "2020-01-01 12:34:56.7", CodeColumnType},
		{"timestamp(0)", "timestamp(3)", "2020-01-01 12:34:56", ""},
		{"float8", "float4", "0.1234567890123", CodeColumnType},
		{"float4", "float8", "0.1", ""},
		{"bigint", "float8", "9007199254740993", CodeColumnType},
		{"text", "name", "x", CodeColumnType},
		{"bigint", "int", "3000000000", CodeApplyError},
		{"text", "varchar(3)", "long", CodeApplyError},
		{"interval", "interval(0)", "1.5 s", CodeColumnType},
		{"int", "bigint", "7", ""}, {"varchar(3)", "text", "abc", ""}, {"json", "jsonb", "{}", ""},
		{"numeric", "rounded", "1.25", CodeColumnType},
		{"numeric[]", "numeric(10,1)[]", "{1.25}", CodeColumnType},
		{"numeric[]", "rounded[]", "{1.25}", CodeColumnType},
		{"timestamp[]", "date[]", "{2020-01-01 12:34:56}", CodeColumnType},
		{"tsrange", "daterange", "[2020-01-01 12:34:56,2020-01-02 00:00:01]", CodeColumnType},
		{"numeric(10,4)", "money", "1.2345", CodeColumnType},
		{"text", "varchar(3)", "abc ", CodeColumnType}, {"text", "varchar(3)", "ab ", ""}, {"varchar(3)", "varchar(3)", "äöü", ""},
		{"text", "char(3)", "ab", CodeColumnType}, {"text", "char(3)", "äbc", ""}, {"char(3)", "char(5)", "ab", ""}, {"char(5)", "varchar(3)", "ab", CodeColumnType},
		{"text[]", "char(3)[]", "{ab}", CodeColumnType}, {"varchar(3)[]", "varchar(4)[]", "{ab}", ""},
	}
	schema := func(of func(n int) string) string {
		sql := "CREATE DOMAIN rounded AS numeric(10,1)"
		for n := range cases {
			sql += fmt.Sprintf("; CREATE TABLE t%d (id int PRIMARY KEY, v %s)", n, of(n))
		}
		return sql
	}
	b := newBench(t, schema(func(n int) string { return cases[n].origin }), schema(func(n int) string { return cases[n].here }))
	for n, c := range cases {
		table := fmt.Sprintf("t%d", n)
		list := b.exec(fmt.Sprintf("INSERT INTO %s VALUES (1, '%s')", table, c.value)).capture()
		err := b.run(list)
		if c.code == "" {
			require.NoError(t, err, c)
			continue
		}
		halt := b.halts(err, c.code)
		require.Empty(t, b.rows(b.target, "SELECT * FROM "+table), c)
		if c.code == CodeColumnType {
			require.Contains(t, halt.Reason, "column v (", c)
		}
		b.on(b.target, fmt.Sprintf("ALTER TABLE %s DROP v, ADD v %s", table, c.origin))
		b.open()
		require.NoError(t, b.run(list), c)
		b.equal(table)
	}
}

// What no statement shows is looked up now and then: a partition attached
// later is a sibling, a deferrable constraint added later is checked.
func TestPlansAreRefreshed(t *testing.T) {
	b := newBench(t, `CREATE TABLE t (id int PRIMARY KEY, u int);
		CREATE TABLE hippos (id int, node_name text) PARTITION BY LIST (node_name);
		CREATE TABLE hippo_east (id int PRIMARY KEY, node_name text);
		CREATE TABLE hippo_west PARTITION OF hippos (PRIMARY KEY (id)) FOR VALUES IN ('west')`)
	b.cfg.Rules = b.rules(conflict.Spec{{Tables: []string{"hippo*"}, ByTable: map[string]string{"hippo_east": "east", "hippo_west": "west"}}})
	b.replicate("INSERT INTO hippo_east VALUES (1, 'east')", "INSERT INTO t VALUES (1, 1)")
	ddl := "ALTER TABLE hippos ATTACH PARTITION hippo_east FOR VALUES IN ('east'); ALTER TABLE t ADD UNIQUE (u) DEFERRABLE"
	b.on(b.source, ddl)
	b.on(b.target, ddl, "INSERT INTO t VALUES (100, 77)")
	b.a.plans.checked = time.Time{}
	b.replicate("UPDATE hippos SET node_name = 'west' WHERE id = 1")
	b.equal("hippos")
	require.Empty(t, b.conflicts())
	b.halts(b.run(b.exec("INSERT INTO t VALUES (2, 77)").capture()), CodeConflict)
}

// jsonb takes no string of 256 MB: a refused change that large is on record
// without its row.
func TestRecordOfAHugeRow(t *testing.T) {
	require.Equal(t, `{}`, string(bounded([]byte(`{}`))))
	require.Equal(t, `{"pgfed": "a row of 67108865 bytes, not kept"}`, string(bounded(make([]byte, recordedBytes+1))))
}
