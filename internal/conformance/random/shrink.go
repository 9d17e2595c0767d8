package random

import (
	"regexp"
	"slices"
	"strings"

	"github.com/pgfed/pgfed/internal/conformance"
)

// Shrink leaves out of a case what it can fail without: whole transactions
// first, then statements, always in the largest heaps that can go. fails judges
// variants side by side; each is a case of its own name.
func Shrink(text string, fails func(variants []string) []bool) string {
	for _, units := range []func(string) []unit{transactions, statements} {
		for size := (len(units(text)) + 1) / 2; size > 0; size /= 2 {
			for {
				list := units(text)
				var variants []string
				for at := 0; at < len(list); at += size {
					variants = append(variants, without(list, at, min(at+size, len(list))))
				}
				variants = slices.DeleteFunc(variants, func(v string) bool { return v == text })
				found := slices.Index(fails(variants), true)
				if found < 0 {
					break
				}
				text = variants[found]
			}
		}
	}
	return text
}

// unit is a part of a case that can be left out, unless it is fixed.
type unit struct {
	text  string
	fixed bool
}

func without(list []unit, from, to int) string {
	var b strings.Builder
	for i, u := range list {
		if u.fixed || i < from || i >= to {
			b.WriteString(u.text)
		}
	}
	return b.String()
}

var (
	begins = regexp.MustCompile(`^BEGIN\b`)
	ends   = regexp.MustCompile(`^(COMMIT|ROLLBACK|PREPARE TRANSACTION)(;| PREPARED|\s*')|^(COMMIT|ROLLBACK)$`)
)

// statements of all sections but setup; what begins or ends a transaction is
// fixed.
func statements(text string) []unit {
	var list []unit
	head, body, found := strings.Cut(text, "--- on ")
	list = append(list, unit{head, true})
	for found {
		var section string
		section, body, found = strings.Cut(body, "--- on ")
		line, sql, _ := strings.Cut(section, "\n")
		sql, settle := strings.CutSuffix(sql, "--- settle\n")
		list = append(list, unit{"--- on " + line + "\n", true})
		for _, s := range conformance.Split(sql) {
			one := unit{text: s.SQL + ";\n", fixed: begins.MatchString(s.SQL) || ends.MatchString(s.SQL)}
			if s.Copy {
				one.text += s.Data + "\\.\n"
			}
			list = append(list, one)
		}
		if settle {
			list = append(list, unit{"--- settle\n", true})
		}
	}
	return list
}

// transactions are whole ones; those that other sessions interrupt are left to
// statements.
func transactions(text string) []unit {
	var list []unit
	open := false
	for _, u := range statements(text) {
		switch {
		case strings.HasPrefix(u.text, "--- "), len(list) == 0:
			open = false
			list = append(list, u)
		case open:
			list[len(list)-1].text += u.text
			open = !ends.MatchString(u.text) || strings.HasPrefix(u.text, "PREPARE")
		default:
			open = begins.MatchString(u.text)
			list = append(list, unit{text: u.text})
		}
	}
	for i := range list {
		if begins.MatchString(list[i].text) && !ends.MatchString(lastLine(list[i].text)) || ends.MatchString(list[i].text) {
			list[i].fixed = true
		}
	}
	return list
}

func lastLine(text string) string {
	text = strings.TrimSuffix(text, "\n")
	return text[strings.LastIndex(text, "\n")+1:]
}
