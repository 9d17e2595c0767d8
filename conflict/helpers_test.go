package conflict_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/change"
)

var members = []string{"central", "east", "west"}

// The words for values in these tests; every other word is itself.
const (
	null      = "NULL"
	unchanged = "~" // out of line and not sent
	binary    = "\x00binary"
)

// row makes a tuple from words.
func row(words ...string) change.Tuple {
	values := make([]change.Value, len(words))
	for i, word := range words {
		switch word {
		case null:
			values[i] = change.Value{Kind: change.Null}
		case unchanged:
			values[i] = change.Value{Kind: change.Unchanged}
		case binary:
			values[i] = change.Value{Kind: change.Binary, Bytes: []byte{1}}
		default:
			values[i] = change.Value{Kind: change.Text, Bytes: []byte(word)}
		}
	}
	return change.AppendTuple(nil, values...)
}

// table describes a table of schema public; a column with a star belongs to
// the replica identity.
func table(name string, columns ...string) *change.Table {
	t := &change.Table{Schema: "public", Name: name, Identity: change.IdentityDefault}
	for _, column := range columns {
		bare, key := strings.CutSuffix(column, "*")
		t.Columns = append(t.Columns, change.Column{Name: bare, Key: key, TypeOID: 25})
	}
	return t
}

// full describes the table under REPLICA IDENTITY FULL, where Postgres marks
// every column as part of the key.
func full(t *change.Table) *change.Table {
	f := *t
	f.Identity = change.IdentityFull
	f.Columns = append([]change.Column(nil), t.Columns...)
	for i := range f.Columns {
		f.Columns[i].Key = true
	}
	return &f
}

func insert(t *change.Table, after change.Tuple) change.Change {
	return change.Change{Op: change.Insert, Table: t, New: after}
}

func update(t *change.Table, kind byte, before, after change.Tuple) change.Change {
	return change.Change{Op: change.Update, Table: t, OldKind: kind, Old: before, New: after}
}

func remove(t *change.Table, kind byte, before change.Tuple) change.Change {
	return change.Change{Op: change.Delete, Table: t, OldKind: kind, Old: before}
}

func truncate(tables ...*change.Table) change.Change {
	return change.Change{Op: change.Truncate, Truncated: tables}
}

func compile(t require.TestingT, spec conflict.Spec) *conflict.Rules {
	if h, ok := t.(testing.TB); ok {
		h.Helper()
	}
	rules, err := conflict.Compile(spec, members, conflict.PolicyError)
	require.NoError(t, err)
	return rules
}

// say puts a verdict into a few words.
func say(v conflict.Verdict) string {
	var words []string
	switch {
	case !v.Accept:
		words = append(words, "refuse", string(v.Kind))
	case v.Own != nil:
		words = append(words, "own rows", strings.Join(v.Own.Values, " "))
	case v.Free:
		words = append(words, "free")
	default:
		words = append(words, "accept")
	}
	if v.Owner != "" {
		words = append(words, "of "+v.Owner)
	}
	if v.Handover {
		words = append(words, "as one")
	}
	return strings.Join(words, " ")
}
