package conflict

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Match reports whether the pattern "schema.name" selects the table. In both
// halves * stands for any characters, none included, and ? for exactly one;
// a pattern without a dot means schema public. Names are compared as the
// database stores them, case included. A malformed pattern selects nothing:
// CheckPattern says what is wrong with it.
func Match(pattern, schema, table string) bool {
	schemaPattern, tablePattern, err := splitPattern(pattern)
	return err == nil && glob(schemaPattern, schema) && glob(tablePattern, table)
}

// CheckPattern says what is wrong with a table pattern, or nil.
func CheckPattern(pattern string) error {
	_, _, err := splitPattern(pattern)
	return err
}

// MatchColumn reports whether the pattern "schema.table.column" selects the
// column, with the wildcards of Match; without a second dot the schema is
// public. A malformed pattern selects nothing: CheckColumnPattern says what is
// wrong with it.
func MatchColumn(pattern, schema, table, column string) bool {
	of, name, err := SplitColumn(pattern)
	return err == nil && Match(of, schema, table) && glob(name, column)
}

// CheckColumnPattern says what is wrong with a pattern of columns, or nil.
func CheckColumnPattern(pattern string) error {
	_, _, err := SplitColumn(pattern)
	return err
}

// SplitColumn cuts a pattern of columns into that of their tables and that of
// their names.
func SplitColumn(pattern string) (table, column string, err error) {
	dot := strings.LastIndexByte(pattern, '.')
	switch {
	case pattern == "":
		return "", "", fmt.Errorf("a column pattern is empty")
	case dot < 0:
		return "", "", fmt.Errorf("column pattern %q names no table, want schema.table.column", pattern)
	case strings.Count(pattern, ".") > 2:
		return "", "", fmt.Errorf("column pattern %q has more than two dots, want schema.table.column", pattern)
	}
	table, column = pattern[:dot], pattern[dot+1:]
	if _, _, err := splitPattern(table); err != nil || column == "" || strings.ContainsAny(column, blanks) {
		return "", "", fmt.Errorf("column pattern %q lacks a name beside a dot, or has a blank or a quote in it, want schema.table.column as the database stores it", pattern)
	}
	return table, column, nil
}

// blanks are what no pattern has.
const blanks = " \t\r\n\""

func splitPattern(pattern string) (schema, table string, err error) {
	schema, table, qualified := strings.Cut(pattern, ".")
	if !qualified {
		schema, table = "public", pattern
	}
	switch {
	case pattern == "":
		return "", "", fmt.Errorf("a table pattern is empty")
	case strings.Contains(table, "."):
		return "", "", fmt.Errorf("table pattern %q has more than one dot, want schema.name", pattern)
	case schema == "" || table == "":
		return "", "", fmt.Errorf("table pattern %q lacks a name beside its dot, want schema.name", pattern)
	case strings.ContainsAny(pattern, blanks):
		return "", "", fmt.Errorf("table pattern %q has a blank or a quote in it, want schema.name as the database stores it", pattern)
	}
	return schema, table, nil
}

// glob matches greedily and goes back to the last * only, so it takes at most
// len(pattern) * len(name) steps.
func glob(pattern, name string) bool {
	star, resume := -1, 0
	p, n := 0, 0
	for n < len(name) {
		_, width := utf8.DecodeRuneInString(name[n:])
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, n
			p++
		case p < len(pattern) && pattern[p] == '?':
			p++
			n += width
		case p < len(pattern) && pattern[p] == name[n]:
			p++
			n++
		case star >= 0:
			_, width = utf8.DecodeRuneInString(name[resume:])
			resume += width
			p, n = star+1, resume
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
