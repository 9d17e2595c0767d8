package conflict_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/change"
)

// These hashes are in databases and scripts: they never change.
func TestKeyHashVectors(t *testing.T) {
	text := func(s string) change.Value { return change.Value{Kind: change.Text, Bytes: []byte(s)} }
	null := change.Value{Kind: change.Null}
	for _, c := range []struct {
		schema, table string
		key           []change.Value
		want          string
	}{
		{"public", "hippos", nil, "7db3f1b4c4a3e6bd665c0ba213ecbab2"},
		{"public", "hippos", []change.Value{text("")}, "db0b26b38adfa84f0421717d2dbf3509"},
		{"public", "hippos", []change.Value{null}, "a959b727f083d8a1b40b8c9617ffd8d5"},
		{"public", "hippos", []change.Value{text("1")}, "584f4f18f88c38caabc0a8c711022b21"},
		{"public", "hippos", []change.Value{text("1"), text("2")}, "a49b9e82d2a00adc0a3dc3453ca39d15"},
		{"public", "hippos", []change.Value{text("12")}, "4eeb7c66ba8824488532ff0ea6e9c9fc"},
		{"publich", "ippos", []change.Value{text("1")}, "4cb14f19878ddac0e2debb0edd356347"},
		{"zoo", "Flußpferde", []change.Value{text("Ä"), null, {Kind: change.Binary, Bytes: []byte{0, 1}}}, "3d4b02ee781994696a6023fb3057aca4"},
	} {
		require.Equal(t, c.want, conflict.KeyHash(c.schema, c.table, c.key), "%s.%s %v", c.schema, c.table, c.key)
	}
}

func TestKey(t *testing.T) {
	var (
		twoKeys = table("t", "b*", "v", "a*")
		noKey   = table("t", "b", "a")
	)
	for _, c := range []struct {
		about   string
		change  change.Change
		columns []string
		values  []string
	}{
		{"insert", insert(twoKeys, row("B", "V", "A")), []string{"a", "b"}, []string{"A", "B"}},
		{"update without an old key", update(twoKeys, none, nil, row("B", "V", "A")), []string{"a", "b"}, []string{"A", "B"}},
		{"update of the key: the old one", update(twoKeys, key, row("B", null, "A"), row("B", "V", "A2")), []string{"a", "b"}, []string{"A", "B"}},
		{"delete", remove(twoKeys, key, row("B", null, "A")), []string{"a", "b"}, []string{"A", "B"}},
		{"delete under FULL: the whole row", remove(full(noKey), old, row("B", "A")), []string{"a", "b"}, []string{"A", "B"}},
		{"insert without any identity: the whole row", insert(noKey, row("B", "A")), []string{"a", "b"}, []string{"A", "B"}},
		{"truncate", truncate(noKey), nil, nil},
	} {
		t.Run(c.about, func(t *testing.T) {
			columns, values, err := conflict.Key(&c.change)
			require.NoError(t, err)
			require.Equal(t, c.columns, columns)
			var words []string
			for _, v := range values {
				words = append(words, string(v.Bytes))
			}
			require.Equal(t, c.values, words)
		})
	}
	_, _, err := conflict.Key(&change.Change{Op: change.Insert, Table: twoKeys, New: row("B")})
	require.ErrorIs(t, err, change.ErrTuple)
}

func TestComplete(t *testing.T) {
	described := table("t", "id*", "v")
	for _, c := range []struct {
		about  string
		change change.Change
		want   bool
	}{
		{"insert", insert(described, row("1", null)), true},
		{"update, all sent", update(described, none, nil, row("1", "a")), true},
		{"update, one not sent", update(described, none, nil, row("1", unchanged)), false},
		{"update, one not sent, old key only", update(described, key, row("0", null), row("1", unchanged)), false},
		{"update, one not sent, but in the full old row", update(full(described), old, row("0", "a"), row("1", unchanged)), true},
		{"delete", remove(described, key, row("1", null)), false},
	} {
		got, err := conflict.Complete(&c.change)
		require.NoError(t, err, c.about)
		require.Equal(t, c.want, got, c.about)
	}
	_, err := conflict.Complete(&change.Change{Op: change.Insert, Table: described, New: []byte{0}})
	require.ErrorIs(t, err, change.ErrTuple)
}
