package conformance

import (
	"regexp"
	"strings"
)

// Statement is one statement of a section, with the lines of COPY FROM STDIN.
type Statement struct {
	SQL  string
	Data string
	Copy bool
}

var copyFromStdin = regexp.MustCompile(`(?is)^\s*copy\s.*\sfrom\s+stdin`)

// Split cuts SQL at its semicolons, as psql does: each statement is sent by
// itself.
func Split(sql string) []Statement {
	var list []Statement
	for strings.TrimSpace(sql) != "" {
		end := statementEnd(sql)
		one := Statement{SQL: strings.TrimSpace(sql[:end])}
		sql = strings.TrimPrefix(sql[end:], ";")
		if copyFromStdin.MatchString(one.SQL) {
			one.Copy = true
			sql = strings.TrimPrefix(sql, "\n")
			one.Data, sql, _ = strings.Cut(sql, "\\.\n")
		}
		if meaning(one.SQL) {
			list = append(list, one)
		}
	}
	return list
}

// meaning: there is more than comments.
func meaning(sql string) bool {
	for _, line := range strings.Split(sql, "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "--") {
			return true
		}
	}
	return false
}

var dollarTag = regexp.MustCompile(`^\$[A-Za-z_0-9]*\$`)

// statementEnd is where the first semicolon outside of quotes, comments and
// dollar quotes is, or the end.
func statementEnd(sql string) int {
	for i := 0; i < len(sql); i++ {
		switch rest := sql[i:]; {
		case sql[i] == ';':
			return i
		case strings.HasPrefix(rest, "--"):
			i += skip(rest, "\n")
		case strings.HasPrefix(rest, "/*"):
			i += skip(rest, "*/")
		case sql[i] == '"':
			i += 1 + skip(rest[1:], `"`)
		case sql[i] == '\'':
			i += quoted(rest, i > 0 && (sql[i-1] == 'E' || sql[i-1] == 'e'))
		case sql[i] == '$' && dollarTag.MatchString(rest):
			tag := dollarTag.FindString(rest)
			i += len(tag) + skip(rest[len(tag):], tag)
		}
	}
	return len(sql)
}

// skip is the index of the last byte of what ends here.
func skip(text, end string) int {
	at := strings.Index(text, end)
	if at < 0 {
		return len(text)
	}
	return at + len(end) - 1
}

// quoted is the index of the closing quote of text, which begins with one.
func quoted(text string, escapes bool) int {
	for i := 1; i < len(text); i++ {
		if escapes && text[i] == '\\' {
			i++
		} else if text[i] == '\'' {
			return i
		}
	}
	return len(text)
}
