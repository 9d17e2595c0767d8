package conflict_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/pgfed/pgfed/conflict"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, schema, table string
		want                   bool
	}{
		{"public.hippos", "public", "hippos", true},
		{"hippos", "public", "hippos", true},
		{"hippos", "zoo", "hippos", false},
		{"*", "public", "anything", true},
		{"*", "zoo", "anything", false},
		{"*.*", "zoo", "anything", true},
		{"public.hippo_*", "public", "hippo_east", true},
		{"public.hippo_*", "public", "hippo_", true},
		{"public.hippo_*", "public", "hippos", false},
		{"public.*_log", "public", "a_log_log", true},
		{"public.*_log", "public", "a_log_", false},
		{"public.a*b*c", "public", "axxbyyc", true},
		{"public.a*b*c", "public", "axxcyyb", false},
		{"public.t?", "public", "t1", true},
		{"public.t?", "public", "t", false},
		{"public.t?", "public", "t12", false},
		{"public.t?", "public", "tü", true},
		{"z??.t", "zoo", "t", true},
		{"public.Hippos", "public", "hippos", false}, // names as the database stores them
		{"public.*", "public", "with.dot", true},
		{"", "public", "", false},
		{"public.", "public", "", false},
		{".hippos", "", "hippos", false},
		{"a.b.c", "a", "b.c", false},
	} {
		require.Equal(t, c.want, conflict.Match(c.pattern, c.schema, c.table), "%q on %s.%s", c.pattern, c.schema, c.table)
	}
}

func TestMatchColumn(t *testing.T) {
	for _, c := range []struct {
		pattern, schema, table, column string
		want                           bool
	}{
		{"public.hippos.note", "public", "hippos", "note", true},
		{"hippos.note", "public", "hippos", "note", true},
		{"hippos.note", "zoo", "hippos", "note", false},
		{"hippos.note", "public", "hippos", "notes", false},
		{"*.*.local_*", "zoo", "hippos", "local_note", true},
		{"*.local_*", "zoo", "hippos", "local_note", false},
		{"zoo.*.n?te", "zoo", "hippos", "note", true},
		{"zoo.hippos.a?b", "zoo", "hippos", "a.b", true}, // ? and * stand for a dot in a name
		{"zoo.hip?pos.a", "zoo", "hip.pos", "a", true},
		{"note", "public", "hippos", "note", false},
		{"a.b.c.d", "a", "b", "c.d", false},
		{"a.b.", "a", "b", "", false},
		{".b.c", "", "b", "c", false},
		{"a.b.c d", "a", "b", "c d", false},
		{"", "", "", "", false},
	} {
		require.Equal(t, c.want, conflict.MatchColumn(c.pattern, c.schema, c.table, c.column), "%q on %s.%s.%s", c.pattern, c.schema, c.table, c.column)
	}
	require.ErrorContains(t, conflict.CheckColumnPattern("note"), "names no table")
	require.ErrorContains(t, conflict.CheckColumnPattern("a.b.c.d"), "more than two dots")
	require.ErrorContains(t, conflict.CheckColumnPattern("a..c"), "lacks a name")
	require.ErrorContains(t, conflict.CheckColumnPattern(""), "is empty")
	require.NoError(t, conflict.CheckColumnPattern("*.*.*"))
}

// A pattern means what the same regular expression means.
func TestMatchLikeRegexp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[abü*?]{1,8}`).Draw(t, "pattern")
		name := rapid.StringMatching(`[abü]{1,10}`).Draw(t, "name")
		same := regexp.QuoteMeta(pattern)
		same = strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(same)
		want := regexp.MustCompile(`\A(?:` + same + `)\z`).MatchString(name)
		require.Equal(t, want, conflict.Match(pattern, "public", name))
	})
}

func FuzzMatch(f *testing.F) {
	f.Add("public.a*b?", "public", "aab\xff")
	f.Fuzz(func(t *testing.T, pattern, schema, table string) {
		if conflict.CheckPattern(pattern) != nil {
			require.False(t, conflict.Match(pattern, schema, table))
			return
		}
		conflict.Match(pattern, schema, table)
	})
}
