package random

import (
	"fmt"
	"strings"
)

// keyColumn is a column of a key.
type keyColumn struct {
	name, kind string
	of         string // its value, an expression over the number %[1]s
	copied     string // the same for COPY, where that can be written
	again      string // an equal value of other bytes, an expression over the column
}

// key is a type of key. Its columns are functions of one number, column k, so
// two rows have equal keys only if they have one number.
type key struct {
	columns []keyColumn
	hashed  bool // the type can be hashed, equally everywhere
	// overlaps: the last column is WITHOUT OVERLAPS, from 18 on.
	overlaps bool
}

func one(kind, of, copied, again string) key {
	return key{columns: []keyColumn{{"id", kind, of, copied, again}}, hashed: true}
}

func unhashed(k key) key {
	k.hashed = false
	return k
}

var keys = []key{
	one("int", "%[1]s", "%[1]d", ""),
	one("int", "%[1]s", "%[1]d", ""),
	one("bigint", "%[1]s * 4294967296", "", ""),
	one("numeric", "(%[1]s || '.' || repeat('0', %[1]s %% 4))::numeric", "%[1]d.00", "id + 0.000000"),
	one("numeric(12,2)", "%[1]s / 100.0", "", ""),
	one("float8", "%[1]s / 8.0::float8", "", ""),
	one("text", "'k' || %[1]s", "k%[1]d", ""),
	one("varchar(20)", "' ' || %[1]s || '  '", "", ""),
	one("char(12)", "'k' || %[1]s", "k%[1]d", ""),
	unhashed(one("text COLLATE nocase", "(ARRAY['key', 'KEY', 'Key'])[1 + %[1]s %% 3] || %[1]s", "kEy%[1]d", "upper(id)")),
	one("citext", "(ARRAY['key', 'KEY'])[1 + %[1]s %% 2] || %[1]s", "", "lower(id::text)::citext"),
	one("name", "'k' || %[1]s", "", ""),
	one("bytea", "int8send(%[1]s)", "", ""),
	one("date", "date '2000-01-01' + %[1]s", "", ""),
	one("timestamp", "timestamp '1999-01-01 00:00' + %[1]s * interval '1 minute 1 microsecond'", "", ""),
	one("timestamptz", "timestamptz '1999-12-31 23:00+00' + %[1]s * interval '1 second 1 microsecond'", "", ""),
	one("interval", "make_interval(days => %[1]s)", "", "justify_days(id)"),
	one("uuid", "md5('k' || %[1]s)::uuid", "", ""),
	one("int4range", "int4range(%[1]s, %[1]s + 1)", "", ""),
	one("numrange", "numrange(%[1]s, %[1]s + 0.50, '[]')", "", "numrange(lower(id) + 0.0000, upper(id), '[]')"),
	one("tstzrange", "tstzrange('2000-01-01 00:00+00', timestamptz '2000-01-01 00:00:01+00' + %[1]s * interval '1 second')", "", ""),
	one("int4multirange", "int4multirange(int4range(%[1]s, %[1]s + 1))", "", ""),
	one("inet", "inet '10.0.0.1/8' + %[1]s", "", ""),
	one("jsonb", "jsonb_build_object('k', %[1]s)", `{"k": %[1]d.00}`, "jsonb_build_object('k', (id->>'k')::numeric + 0.0)"),
	one("int[]", "ARRAY[%[1]s, NULL]", "", ""),
	one("pair", "ROW(%[1]s, NULL)::pair", "", ""),
	unhashed(one("bit(32)", "(%[1]s)::bit(32)", "", "")),
	unhashed(one("money", "(%[1]s)::money", "$%[1]d", "")),
	one("pg_lsn", "('0/' || to_hex(%[1]s))::pg_lsn", "", ""),
	one("xid8", "(%[1]s)::text::xid8", "", ""),
	one("oid", "(%[1]s)::oid", "", ""),
	one("positive", "%[1]s", "%[1]d", ""),
	unhashed(key{columns: []keyColumn{
		{"amount", "numeric", "(%[1]s || '.' || repeat('0', %[1]s %% 3))::numeric", "", "amount + 0.00000"},
		{`"Order"`, "text COLLATE nocase", "(ARRAY['a', 'A'])[1 + %[1]s %% 2]", "", `upper("Order")`},
		{"at", "timestamptz", "timestamptz '2024-01-01 00:00+00' + %[1]s %% 7 * interval '1 hour'", "", ""},
	}}),
	unhashed(key{columns: []keyColumn{
		{"feeling", "mood", "(ARRAY['sad', 'so so', ''])[1 + %[1]s %% 3]::mood", "", ""},
		{"yes", "bool", "%[1]s %% 2 = 0", "", ""},
		{`"select"`, "bigint", "%[1]s", "", ""},
	}}),
	unhashed(key{columns: []keyColumn{
		{"tenant", "uuid", "md5((%[1]s %% 3)::text)::uuid", "", ""},
		{"span", "daterange", "daterange(date '2024-01-01' + %[1]s, date '2024-01-02' + %[1]s)", "", ""},
	}}),
	temporal(
		keyColumn{"tenant", "int", "%[1]s %% 3", "", ""},
		keyColumn{"valid", "int4range", "int4range(%[1]s, %[1]s + 1)", "", ""},
	),
	temporal(
		keyColumn{"tenant", "text", "'t' || %[1]s %% 2", "", ""},
		keyColumn{"valid", "tstzmultirange", "tstzmultirange(tstzrange(timestamptz '2000-01-01 00:00+00' + %[1]s * interval '1 second', timestamptz '2000-01-01 00:00:01+00' + %[1]s * interval '1 second'))", "", ""},
	),
}

func temporal(columns ...keyColumn) key { return key{columns: columns, overlaps: true} }

// names lists the key's columns.
func (k key) names() string {
	var list []string
	for _, c := range k.columns {
		list = append(list, c.name)
	}
	return strings.Join(list, ", ")
}

// assignment is a column with the expression that it gets.
type assignment struct{ column, value string }

// keyed is what a row with a number gets: the number, its key, and the range
// that must not overlap another row's.
func (t *table) keyed(number string) []assignment {
	list := []assignment{{"k", number}}
	for _, c := range t.key.columns {
		list = append(list, assignment{c.name, fmt.Sprintf(c.of, "("+number+")")})
	}
	if t.exclusion != "" {
		list = append(list, assignment{"slot", fmt.Sprintf("int4range(%[1]s, (%[1]s) + 1)", number)})
	}
	return list
}

func sets(list []assignment) string {
	var parts []string
	for _, a := range list {
		parts = append(parts, a.column+" = "+a.value)
	}
	return strings.Join(parts, ", ")
}
