// Package random makes conformance cases from a seed: tables of random types,
// keys, identities and partitions, and random transactions with savepoints and
// key changes at both nodes.
//
// What a case does must not depend on the order in which rows lie in a table,
// because the oracle's may lie otherwise: keys move by steps that can never
// meet, and of several equal rows any may be meant.
package random

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/pgfed/pgfed/internal/conformance"
)

// kind is a column type and values for it, as SQL text; NULL is added.
type kind struct {
	name   string
	values []string
}

var kinds = []kind{
	{"int", []string{"0", "-1", "2147483647", "-2147483648"}},
	{"bigint", []string{"9223372036854775807", "7"}},
	{"numeric", []string{"NaN", "1.10", "1.1", "-0.000", "1e-30", "123456789012345678901234567890"}},
	{"numeric(8,3)", []string{"1.5", "-99999.999", "0"}},
	{"float8", []string{"NaN", "-0", "Infinity", "1e-320", "0.1"}},
	{"float4", []string{"-Infinity", "3.4028235e38", "0.3"}},
	{"bool", []string{"t", "f"}},
	{"text", []string{"", "NULL", "a''b", `back\\slash`, "☃ 😀", "  padded  ", "{}"}},
	{"varchar(6)", []string{"", "abcdef", "é"}},
	{"char(4)", []string{"", "ab", "abcd"}},
	{"bytea", []string{`\x`, `\x00ff5c27`}},
	{"date", []string{"infinity", "0044-03-15 BC", "2024-02-29"}},
	{"timestamp", []string{"-infinity", "1999-12-31 23:59:59.999999", "294276-12-31 00:00"}},
	{"timestamptz", []string{"infinity", "2024-10-27 01:30:00+02", "0001-01-01 00:00+00 BC"}},
	{"interval", []string{"-1 mon +2 days -03:04:05.000006", "0", "178000000 years"}},
	{"time", []string{"24:00", "00:00:00.000001"}},
	{"uuid", []string{"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}},
	{"json", []string{`{"a" :  1, "a": 2}`, "null", "[]"}},
	{"jsonb", []string{`{"b": [1, null], "a": "x"}`, "1e400"}},
	{"int[]", []string{"{}", "{1,NULL,3}", "[0:1][-1:0]={{1,2},{3,4}}"}},
	{"text[]", []string{`{"a,b",NULL,"NULL",""}`, "{}"}},
	{"int4range", []string{"empty", "[1,10)", "(,)"}},
	{"tstzrange", []string{"[2020-01-01 00:00+00,)", "empty"}},
	{"inet", []string{"10.0.0.1/8", "::1"}},
	{"money", []string{"-1234.56", "0"}},
	{"bit(4)", []string{"1010"}},
	{"varbit", []string{"", "101"}},
	{"point", []string{"(1.5,-0)", "(NaN,Infinity)"}},
	{"tsvector", []string{"a:1A b:2", ""}},
	{"xml", []string{"<a>x</a>", ""}},
	{"mood", []string{"sad", "so so", ""}},
	{"pair", []string{`(1,"x, y")`, "(,)"}},
	{"positive", []string{"1", "2147483647"}},
	{"mood[]", []string{`{sad,NULL,"so so"}`, "{}"}},
}

// keys: how a key of number g looks, and how it moves by a step of its own.
var keys = []struct{ name, of, move string }{
	{"int", "g", "id + %d"},
	{"bigint", "g", "id + %d"},
	{"numeric", "g * 1.0", "id + %d"},
	{"text", "'k' || g", "id || '+%d'"},
	{"date", "date '2000-01-01' + g", "id + %d"},
	{"uuid", "md5('k' || g)::uuid", "md5(id::text || '%d')::uuid"},
	{"int4range", "int4range(g, g + 1)", "int4range(lower(id) + %[1]d, upper(id) + %[1]d)"},
}

// column is one beside key, n and u.
type column struct {
	name string
	kind kind
}

type table struct {
	name    string
	key     int // in keys, -1 for none
	region  bool
	unique  bool
	columns []column
}

type maker struct {
	*rand.Rand
	tables []*table
	next   int // the next unused g
	step   int // the next step of keys
	setup  strings.Builder
}

// Case makes the case of a seed.
func Case(seed uint64) *conformance.Case {
	m := &maker{Rand: rand.New(rand.NewPCG(seed, 7)), next: 1}
	m.setup.WriteString("CREATE TYPE mood AS ENUM ('sad', 'so so', '');\nCREATE TYPE pair AS (a int, b text);\nCREATE DOMAIN positive AS int CHECK (VALUE > 0);\n")
	for i := range 1 + m.IntN(4) {
		m.table(i)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "-- Random tables and transactions of seed %d.\n\n%s", seed, m.setup.String())
	for range 2 + m.IntN(4) {
		fmt.Fprintf(&text, "--- on %s\n", conformance.Nodes[m.IntN(len(conformance.Nodes))])
		for range 1 + m.IntN(6) {
			m.transaction(&text)
		}
		text.WriteString("--- settle\n")
	}
	c, err := conformance.Parse(fmt.Sprintf("random/s%d.sql", seed), text.String())
	if err != nil {
		panic(err) // of this package's own making
	}
	return c
}

// Text is a case as a file, to keep what a seed found.
func Text(c *conformance.Case) string {
	var b strings.Builder
	fmt.Fprintf(&b, "-- %s\n\n", c.Promise)
	for _, s := range c.Steps {
		fmt.Fprintf(&b, "--- %s %s\n%s", s.Verb, strings.Join(s.Where, " "), s.SQL)
	}
	return b.String()
}

func (m *maker) chance(percent int) bool { return m.IntN(100) < percent }

func (m *maker) table(i int) {
	t := &table{name: fmt.Sprintf("t%d", i), key: m.IntN(len(keys)), unique: m.chance(30)}
	if m.chance(20) {
		t.name = fmt.Sprintf(`"T %d"`, i)
	}
	var columns, tail []string
	full := m.chance(25)
	if m.chance(15) {
		t.key, t.unique, full = -1, false, true
	}
	partitioned := m.chance(30)
	t.region = partitioned && m.chance(50)
	if t.key >= 0 {
		columns = append(columns, "id "+keys[t.key].name+" NOT NULL")
	}
	columns = append(columns, "n int")
	if t.region {
		columns = append(columns, "region text NOT NULL DEFAULT 'a'")
	}
	if t.unique = t.unique && !partitioned; t.unique {
		columns = append(columns, "u int UNIQUE")
	}
	for k := range 1 + m.IntN(8) {
		c := column{fmt.Sprintf("c%d", k), kinds[m.IntN(len(kinds))]}
		t.columns = append(t.columns, c)
		columns = append(columns, c.name+" "+c.kind.name)
	}
	if m.chance(25) {
		columns = append(columns, "gen int GENERATED ALWAYS AS (coalesce(n, 0) * 3) STORED")
	}
	byIndex := false
	if t.key >= 0 {
		key := "id"
		if t.region {
			key = "id, region"
		}
		if byIndex = !partitioned && !full && m.chance(20); byIndex {
			tail = append(tail, "CONSTRAINT "+strings.Trim(strings.ReplaceAll(t.name, " ", ""), `"`)+"_ident UNIQUE ("+key+")")
		} else {
			tail = append(tail, "PRIMARY KEY ("+key+")")
		}
	}
	m.Shuffle(len(columns), func(a, b int) { columns[a], columns[b] = columns[b], columns[a] })
	fmt.Fprintf(&m.setup, "CREATE TABLE %s (%s)", t.name, strings.Join(append(columns, tail...), ", "))
	leaves := m.partition(t, partitioned)
	for _, leaf := range leaves {
		switch {
		case full:
			fmt.Fprintf(&m.setup, "ALTER TABLE %s REPLICA IDENTITY FULL;\n", leaf)
		case byIndex:
			fmt.Fprintf(&m.setup, "ALTER TABLE %s REPLICA IDENTITY USING INDEX %s_ident;\n", leaf, strings.Trim(strings.ReplaceAll(t.name, " ", ""), `"`))
		}
	}
	m.tables = append(m.tables, t)
}

// partition ends the CREATE TABLE and lists what holds rows.
func (m *maker) partition(t *table, partitioned bool) []string {
	plain := strings.Trim(strings.ReplaceAll(t.name, " ", ""), `"`)
	switch {
	case !partitioned:
		m.setup.WriteString(";\n")
		return []string{t.name}
	case t.region:
		fmt.Fprintf(&m.setup, " PARTITION BY LIST (region);\nCREATE TABLE %[1]s_a PARTITION OF %[2]s FOR VALUES IN ('a');\n"+
			"CREATE TABLE %[1]s_rest PARTITION OF %[2]s DEFAULT;\n", plain, t.name)
		return []string{plain + "_a", plain + "_rest"}
	}
	by := "id"
	if t.key < 0 {
		by = "n"
	}
	fmt.Fprintf(&m.setup, " PARTITION BY HASH (%[3]s);\nCREATE TABLE %[1]s_0 PARTITION OF %[2]s FOR VALUES WITH (MODULUS 2, REMAINDER 0);\n"+
		"CREATE TABLE %[1]s_1 PARTITION OF %[2]s FOR VALUES WITH (MODULUS 2, REMAINDER 1);\n", plain, t.name, by)
	return []string{plain + "_0", plain + "_1"}
}

// value is an expression over g or n that picks one of a kind's values.
func (m *maker) value(k kind, over string) string {
	quoted := make([]string, len(k.values))
	for i, v := range k.values {
		quoted[i] = "'" + strings.ReplaceAll(v, `\\`, `\`) + "'"
	}
	if m.chance(10) && k.name == "text" {
		return fmt.Sprintf("repeat(md5((%s)::text), 200)", over) // stored out of line
	}
	return fmt.Sprintf("(ARRAY[%s, NULL])[1 + abs(coalesce(%s, 0) * %d + %d) %% %d]::%s",
		strings.Join(quoted, ", "), over, 1+m.IntN(7), m.IntN(7), len(k.values)+1, k.name)
}

func (m *maker) transaction(b *strings.Builder) {
	if m.chance(30) {
		m.statement(b)
		return
	}
	b.WriteString("BEGIN;\n")
	for range 1 + m.IntN(8) {
		if !m.chance(25) {
			m.statement(b)
			continue
		}
		b.WriteString("SAVEPOINT s;\n")
		for range 1 + m.IntN(3) {
			m.statement(b)
		}
		b.WriteString([]string{"ROLLBACK TO s;\n", "RELEASE s;\n"}[m.IntN(2)])
	}
	b.WriteString([]string{"COMMIT;\n", "COMMIT;\n", "COMMIT;\n", "COMMIT;\n", "ROLLBACK;\n"}[m.IntN(5)])
}

func (m *maker) statement(b *strings.Builder) {
	t := m.tables[m.IntN(len(m.tables))]
	switch pick := m.IntN(100); {
	case pick < 35:
		m.insert(b, t)
	case pick < 65:
		m.update(b, t)
	case pick < 78 && t.key >= 0:
		m.step++
		fmt.Fprintf(b, "UPDATE %s SET id = %s WHERE %s;\n", t.name, fmt.Sprintf(keys[t.key].move, 1000<<(m.step%18)), m.some(t))
	case pick < 82 && t.region:
		fmt.Fprintf(b, "UPDATE %s SET region = CASE region WHEN 'a' THEN 'b' WHEN 'b' THEN 'c' ELSE 'a' END WHERE %s;\n", t.name, m.some(t))
	case pick < 86 && t.unique:
		fmt.Fprintf(b, "UPDATE %s SET u = NULL WHERE %s;\n", t.name, m.some(t))
	case pick < 96:
		fmt.Fprintf(b, "DELETE FROM %s WHERE %s;\n", t.name, m.some(t))
	case pick < 98:
		fmt.Fprintf(b, "TRUNCATE %s;\n", t.name)
	default:
		m.insert(b, t)
	}
}

// some picks rows by what they hold; of equal rows without a key one.
func (m *maker) some(t *table) string {
	if t.key < 0 && m.chance(50) {
		return fmt.Sprintf("(tableoid, ctid) = (SELECT tableoid, ctid FROM %[1]s ORDER BY %[1]s::text COLLATE \"C\" LIMIT 1)", t.name)
	}
	modulus := 2 + m.IntN(5)
	return fmt.Sprintf("abs(n) %% %d = %d", modulus, m.IntN(modulus))
}

// insert adds rows with new numbers, or some of those that were there before.
func (m *maker) insert(b *strings.Builder, t *table) {
	count := 1 + m.IntN(12)
	if m.chance(4) {
		count = 400
	}
	first, again := m.next, t.key >= 0 && m.next > 20 && m.chance(25)
	if again {
		first, count = 1+m.IntN(m.next-10), 5
	} else {
		m.next += count
	}
	var names, values []string
	add := func(name, value string) { names, values = append(names, name), append(values, value) }
	if t.key >= 0 {
		add("id", keys[t.key].of)
	}
	if t.key < 0 && m.chance(50) {
		add("n", "g % 3") // equal rows
	} else {
		add("n", "g")
	}
	if t.region {
		add("region", "(ARRAY['a', 'b', 'c'])[1 + g % 3]")
	}
	if t.unique && !again {
		add("u", "g")
	}
	for _, c := range t.columns {
		if !m.chance(15) {
			add(c.name, m.value(c.kind, "g"))
		}
	}
	fmt.Fprintf(b, "INSERT INTO %s (%s) SELECT %s FROM generate_series(%d, %d) g%s;\n", t.name, strings.Join(names, ", "),
		strings.Join(values, ", "), first, first+count-1, map[bool]string{true: " ON CONFLICT DO NOTHING"}[t.key >= 0])
}

func (m *maker) update(b *strings.Builder, t *table) {
	var sets []string
	for _, c := range t.columns {
		if m.chance(40) {
			sets = append(sets, c.name+" = "+m.value(c.kind, "n"))
		}
	}
	if len(sets) == 0 {
		sets = []string{"n = n"}
	}
	fmt.Fprintf(b, "UPDATE %s SET %s WHERE %s;\n", t.name, strings.Join(sets, ", "), m.some(t))
}
