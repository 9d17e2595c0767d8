package random

import (
	"fmt"
	"strings"
)

// kind is a column type and values for it, as they are typed; NULL is added.
type kind struct {
	name   string
	values []string
	costly string // an expression over %s: long, or stored out of line
	since  int    // the first major version that has it
}

var kinds = []kind{
	{name: "smallint", values: []string{"-32768", "32767", "0"}},
	{name: "int", values: []string{"0", "-1", "2147483647", "-2147483648"}},
	{name: "bigint", values: []string{"9223372036854775807", "-9223372036854775808", "7"}},
	{name: "numeric", values: []string{"NaN", "Infinity", "-Infinity", "1.10", "1.1", "-0.000", "1e-30", "123456789012345678901234567890", "1e-1000", "0.00"},
		costly: "repeat('7', 3000 + abs(%s) %% 9)::numeric"},
	{name: "numeric", values: []string{"1e131071", "1e-16383", "-9.99e131071", "1"}},
	{name: "numeric(8,3)", values: []string{"1.5", "-99999.999", "0"}},
	{name: "numeric(4,-2)", values: []string{"150", "-999900", "0"}, since: 15},
	{name: "float8", values: []string{"NaN", "-0", "0", "Infinity", "1e-320", "0.1", "1.7976931348623157e308"}},
	{name: "float4", values: []string{"-Infinity", "3.4028235e38", "0.3", "-0", "1e-45"}},
	{name: "money", values: []string{"-1234.56", "0", "92233720368547758.07"}},
	{name: "bool", values: []string{"t", "f"}},
	{name: "text", values: []string{"", "NULL", "null", "a'b", `back\slash\n`, "☃ 😀", "  padded  ", "{}", "\\N", "tab\tand\nline", "\u0001\u007f", "e\u0301"}, costly: "big(%s)"},
	{name: "text COLLATE nocase", values: []string{"x", "X", "ß", "SS", ""}},
	{name: "varchar(6)", values: []string{"", "abcdef", "é", "NULL"}},
	{name: "char(4)", values: []string{"", "ab", "abcd", "é"}},
	{name: "char(400)", values: []string{"", "x"}},
	{name: `"char"`, values: []string{"", "a", `\`}},
	{name: `"char"`, values: []string{`\200`}, since: 16},
	{name: "name", values: []string{"", "some name"}},
	{name: "bytea", values: []string{`\x`, `\x00ff5c27`, `\x0a0d5c78`}, costly: "decode(big(%s), 'hex')"},
	{name: "date", values: []string{"infinity", "-infinity", "0044-03-15 BC", "2024-02-29", "4713-01-01 BC", "5874897-12-31"}},
	{name: "timestamp", values: []string{"-infinity", "1999-12-31 23:59:59.999999", "294276-12-31 00:00", "4713-01-01 00:00 BC"}},
	{name: "timestamp(0)", values: []string{"infinity", "1999-12-31 23:59:59"}},
	{name: "timestamptz", values: []string{"infinity", "2024-10-27 01:30:00+02", "0001-01-01 00:00+00 BC", "1900-01-01 00:00:00.000001-01"}},
	{name: "interval", values: []string{"-1 mon +2 days -03:04:05.000006", "0", "178000000 years", "30 days", "1 mon", "1 day -24:00:00", "-178000000 years"}},
	{name: "interval", values: []string{"infinity", "-infinity", "1 day"}, since: 17},
	{name: "interval day to second(3)", values: []string{"1 day 02:03:04.005", "-00:00:00.001"}},
	{name: "time", values: []string{"24:00", "00:00:00.000001"}},
	{name: "timetz", values: []string{"24:00-15:59", "00:00:00.000001+15:59:59"}},
	{name: "uuid", values: []string{"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"}},
	{name: "json", values: []string{`{"a" :  1, "a": 2}`, "null", "[]", ` {"n":1.10e5 , "u": "\u00e9"}`, `""`}, costly: "to_json(big(%s))"},
	{name: "jsonb", values: []string{`{"b": [1, null], "a": "x"}`, "1e400", "null", "1.10", `"☃"`}, costly: "jsonb_build_object('big', big(%s))"},
	{name: "jsonpath", values: []string{`$.a[*] ? (@ > 1)`, `strict $."x y"`}},
	{name: "xml", values: []string{"<a>x</a>", "", "text &amp; <b/>", `<?xml version="1.0"?><r a="1"/>`}, costly: "xmlelement(name a, big(%s))"},
	{name: "int[]", values: []string{"{}", "{1,NULL,3}", "[0:1][-1:0]={{1,2},{3,4}}", "{NULL}", "{{{1}}}"}},
	{name: "text[]", values: []string{`{"a,b",NULL,"NULL",""}`, "{}", `{"{","\"","\\"}`, `[5:5]={x}`}, costly: "ARRAY[big(%s), NULL]"},
	{name: "numeric[]", values: []string{"{NaN,1.10,-0.0}", "{}"}},
	{name: "bytea[]", values: []string{`{"\\x00ff",NULL}`, "{}"}},
	{name: "timestamptz[]", values: []string{`{"2024-10-27 01:30:00+02",infinity}`}},
	{name: "jsonb[]", values: []string{`{"{\"a\": 1}",NULL,"null"}`}},
	{name: "box[]", values: []string{"{(1,1),(0,0);(2,2),(1,1)}"}},
	{name: "int4range", values: []string{"empty", "[1,10)", "(,)", "[5,5]"}},
	{name: "int8range", values: []string{"[-9223372036854775808,0)", "empty"}},
	{name: "numrange", values: []string{"[1.10,1.1]", "(1.0,)", "[NaN,NaN]"}},
	{name: "daterange", values: []string{"[infinity,infinity]", "(,2024-02-29]"}},
	{name: "tsrange", values: []string{`["2024-01-01 00:00",infinity)`, "empty"}},
	{name: "tstzrange", values: []string{"[2020-01-01 00:00+00,)", "empty"}},
	{name: "int4multirange", values: []string{"{}", "{[1,3),[5,9)}", "{(,)}"}},
	{name: "nummultirange", values: []string{"{[1.0,1.00],(2,)}"}},
	{name: "tstzmultirange", values: []string{"{[2020-01-01 00:00+00,2021-01-01 00:00+00)}", "{}"}},
	{name: "floatrange", values: []string{"[-0,0.1)", "empty", "(,NaN]"}},
	{name: "int4range[]", values: []string{`{"[1,2)",empty,NULL}`}},
	{name: "inet", values: []string{"10.0.0.1/8", "::1", "::ffff:1.2.3.4/128"}},
	{name: "cidr", values: []string{"10.0.0.0/8", "2001:db8::/32"}},
	{name: "macaddr", values: []string{"08:00:2b:01:02:03"}},
	{name: "macaddr8", values: []string{"08:00:2b:01:02:03:04:05"}},
	{name: "bit(4)", values: []string{"1010", "0000"}},
	{name: "varbit", values: []string{"", "101"}, costly: "('x' || big(%s))::varbit"},
	{name: "varbit(8)", values: []string{"", "11111111"}},
	{name: "point", values: []string{"(1.5,-0)", "(NaN,Infinity)"}},
	{name: "line", values: []string{"{1,-1,0.1}"}},
	{name: "lseg", values: []string{"[(0,0),(1e-300,1e300)]"}},
	{name: "box", values: []string{"(1,1),(0,0)"}},
	{name: "path", values: []string{"((0,0),(1,1))", "[(0,0),(1,0.1)]"}},
	{name: "polygon", values: []string{"((0,0),(1,1),(2,0))"}},
	{name: "circle", values: []string{"<(1,2),0.1>"}},
	{name: "tsvector", values: []string{"a:1A b:2", "", "'it''s':3"}},
	{name: "tsquery", values: []string{"a & !b:A <2> c", ""}},
	{name: "pg_lsn", values: []string{"0/0", "FFFFFFFF/FFFFFFFF"}},
	{name: "xid8", values: []string{"18446744073709551615", "0"}},
	{name: "pg_snapshot", values: []string{"10:20:10,14,15"}},
	{name: "oid", values: []string{"0", "4294967295"}},
	{name: "regtype", values: []string{"int4", "text[]"}},
	{name: "regclass", values: []string{"pg_class"}},
	{name: "tid", values: []string{"(0,1)", "(4294967295,65535)"}},
	{name: "int2vector", values: []string{"1 2 3", ""}},
	{name: "mood", values: []string{"sad", "so so", ""}},
	{name: "mood[]", values: []string{`{sad,NULL,"so so"}`, "{}"}},
	{name: "pair", values: []string{`(1,"x, y")`, "(,)", `(,"")`, `(5,"q""uote\\")`}, costly: "ROW(%s, big(3))::pair"},
	{name: "nest", values: []string{`("(1,""a,b"")",sad,"{1,2}")`, "(,,)"}},
	{name: "pair[]", values: []string{`{"(1,x)",NULL,"(,\"\")"}`}},
	{name: "positive", values: []string{"1", "2147483647"}},
	{name: "words", values: []string{"{a,b}", "{}"}},
	{name: "hstore", values: []string{`a=>1, "b c"=>NULL, "q\"uote"=>""`, ""}, costly: "hstore('big', big(%s))"},
	{name: "citext", values: []string{"One", "one", ""}},
	{name: "ltree", values: []string{"top.child_1", ""}},
}

// types that kinds and keys need.
const types = `CREATE TYPE mood AS ENUM ('sad', 'so so', '');
CREATE TYPE pair AS (a int, b text);
CREATE TYPE nest AS (p pair, m mood, list int[]);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN words AS text[] CHECK (array_length(VALUE, 1) IS NULL OR array_length(VALUE, 1) < 5);
CREATE TYPE floatrange AS RANGE (subtype = float8);
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE FUNCTION big(int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT string_agg(md5($1 || '.' || g), '') FROM generate_series(1, 150) g $$;
`

// column is one beside those that the statements steer by.
type column struct {
	name     string // as SQL
	kind     kind
	required bool   // NOT NULL
	standard string // DEFAULT
	nulls    int    // how many more of the values are NULL
}

// definition is the column in CREATE TABLE.
func (c column) definition() string {
	text := c.name + " " + c.kind.name
	if c.standard != "" {
		text += " DEFAULT " + c.standard
	}
	if c.required {
		text += " NOT NULL"
	}
	return text
}

func literal(value string) string { return "'" + strings.ReplaceAll(value, "'", "''") + "'" }

// value is an expression over a number that gives one of a column's values.
func (m *maker) value(c column, over string) string {
	if c.kind.costly != "" && !c.required && m.chance(15) {
		return fmt.Sprintf(c.kind.costly, over)
	}
	var list []string
	for _, v := range c.kind.values {
		list = append(list, literal(v))
	}
	for range c.nulls {
		list = append(list, "NULL")
	}
	name, _, _ := strings.Cut(c.kind.name, " COLLATE")
	return fmt.Sprintf("(ARRAY[%s])[1 + abs(coalesce(%s, 0) %% 1000 * %d + %d) %% %d]::%s",
		strings.Join(list, ", "), over, 1+m.IntN(7), m.IntN(7), len(list), name)
}

// copied is a value for COPY.
func (m *maker) copied(c column) string {
	pick := m.IntN(len(c.kind.values) + c.nulls)
	if pick >= len(c.kind.values) {
		return `\N`
	}
	return strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\t", `\t`).Replace(c.kind.values[pick])
}
