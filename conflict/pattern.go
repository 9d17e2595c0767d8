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
	case strings.ContainsAny(pattern, " \t\r\n\""):
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
