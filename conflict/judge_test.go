package conflict_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/change"
)

const (
	none = change.OldNone
	key  = change.OldKey
	old  = change.OldFull
)

func TestJudge(t *testing.T) {
	rules := compile(t, conflict.Spec{
		{Tables: []string{"settings"}, Node: "east"},
		{Tables: []string{"hippo_*"}, ByTable: map[string]string{"hippo_west": "west"}},
		{Tables: []string{"accounts"}, Column: "region"},
		{Tables: []string{"orders"}, Column: "region", Values: map[string]string{"eu": "east", "af": "east", "us": "west"}},
	})
	var (
		settings = table("settings", "k*", "v")
		west     = table("hippo_west", "id*", "v")
		others   = table("hippo_default", "id*", "v")
		unowned  = table("notes", "id*", "v")
		inKey    = table("accounts", "id*", "region*", "v")
		inFull   = full(table("accounts", "id", "region", "v"))
		orders   = table("orders", "id*", "region*")
		padded   = table("accounts", "id*", "region*", "v")
	)
	padded.Columns[1].TypeOID = 1042 // character(n)

	for _, c := range []struct {
		about  string
		origin string
		change change.Change
		want   string
	}{
		{"a whole table: its owner", "east", insert(settings, row("a", "1")), "accept of east"},
		{"a whole table: somebody else's insert", "west", insert(settings, row("a", "1")), "refuse not_owner of east"},
		{"a whole table: somebody else's update", "west", update(settings, none, nil, row("a", "2")), "refuse not_owner of east"},
		{"a whole table: somebody else's delete", "west", remove(settings, key, row("a", null)), "refuse not_owner of east"},
		{"a whole table: its owner's TRUNCATE", "east", truncate(settings), "accept of east"},
		{"a whole table: somebody else's TRUNCATE", "west", truncate(settings), "refuse not_owner of east"},
		{"a listed partition: its owner", "west", insert(west, row("1", "a")), "accept of west"},
		{"a listed partition: somebody else", "east", insert(west, row("1", "a")), "refuse not_owner of west"},
		{"an unlisted partition is free", "east", insert(others, row("1", "a")), "free"},
		{"an unlisted partition is free later too, under the policy", "west", remove(others, key, row("1", null)), "free"},
		{"no rule matches", "west", update(unowned, none, nil, row("1", "b")), "free"},

		{"by column: insert of an own row", "east", insert(inKey, row("1", "east", "a")), "accept of east"},
		{"by column: insert of somebody else's row", "east", insert(inKey, row("1", "west", "a")), "refuse not_owner of west"},
		{"by column: NULL is free", "east", insert(inFull, row("1", null, "a")), "free"},
		{"by column: character(n) is padded with blanks", "east", insert(padded, row("1", "east    ", "a")), "accept of east"},
		{"by column: a text with a blank is another text", "east", insert(inKey, row("1", "east ", "a")), "refuse not_owner"},

		{"by column: the key did not change, so the new row's owner is the old one", "east", update(inKey, none, nil, row("1", "east", "b")), "accept of east"},
		{"by column: the same by somebody else", "west", update(inKey, none, nil, row("1", "east", "b")), "refuse not_owner of east"},
		{"by column: the owner gives a row away", "east", update(inKey, key, row("1", "east", null), row("1", "west", "a")), "accept of east"},
		{"by column: somebody takes a row", "west", update(inKey, key, row("1", "east", null), row("1", "west", "a")), "refuse not_owner of east"},
		{"by column: a full old row decides", "east", update(inFull, old, row("1", "east", "a"), row("1", "west", "a")), "accept of east"},
		{"by column: a full old row decides against", "west", update(inFull, old, row("1", "east", "a"), row("1", "west", "a")), "refuse not_owner of east"},
		{"by column: a free row can be claimed", "west", update(inFull, old, row("1", null, "a"), row("1", "west", "a")), "free"},
		{"by column: delete by the owner", "east", remove(inKey, key, row("1", "east", null)), "accept of east"},
		{"by column: delete by somebody else", "west", remove(inKey, key, row("1", "east", null)), "refuse not_owner of east"},
		{"by column: delete with a full old row", "west", remove(inFull, old, row("1", "west", "a")), "accept of west"},
		{"by column: TRUNCATE counts for the origin's rows", "east", truncate(inKey), "own rows east"},

		{"values: mapped", "east", insert(orders, row("1", "af")), "accept of east"},
		{"values: mapped to somebody else", "east", insert(orders, row("1", "us")), "refuse not_owner of west"},
		{"values: a node's name counts only if it is mapped", "east", insert(orders, row("1", "east")), "refuse not_owner"},
		{"values: nobody's row cannot be claimed", "east", update(orders, key, row("1", "xx"), row("1", "eu")), "refuse not_owner"},
		{"values: TRUNCATE counts for every value of the origin", "east", truncate(orders), "own rows af eu"},
		{"values: TRUNCATE by a node without a value", "central", truncate(orders), "own rows "},
	} {
		t.Run(c.about, func(t *testing.T) {
			described := c.change.Table
			if c.change.Op == change.Truncate {
				described = c.change.Truncated[0]
			}
			v, err := rules.For(described.Schema, described.Name).Judge(c.origin, &c.change)
			require.NoError(t, err)
			require.Equal(t, c.want, say(v))
			require.Equal(t, c.origin, v.Origin)
		})
	}
}

func TestJudgeNeedsTheOwnerColumn(t *testing.T) {
	rule := compile(t, conflict.Spec{{Tables: []string{"accounts"}, Column: "region"}}).For("public", "accounts")
	var (
		outside = table("accounts", "id*", "region", "v")
		inKey   = table("accounts", "id*", "region*", "v")
		without = table("accounts", "id*", "v")
	)
	const remedy = "; put it into the replica identity (REPLICA IDENTITY USING INDEX) or set REPLICA IDENTITY FULL"
	for _, c := range []struct {
		about  string
		change change.Change
		want   string
	}{
		{"update, not in the identity", update(outside, none, nil, row("1", "east", "b")), "column region of table public.accounts is not part of the replica identity" + remedy},
		{"update of the key, not in the identity", update(outside, key, row("0", null, null), row("1", "east", "b")), "column region of table public.accounts is not part of the replica identity" + remedy},
		{"delete, not in the identity", remove(outside, key, row("1", null, null)), "column region of table public.accounts is not part of the replica identity" + remedy},
		{"delete without an old key", remove(inKey, none, nil), "column region of table public.accounts has no value in a DELETE without its old key" + remedy},
		{"out of line and not sent", update(inKey, none, nil, row("1", unchanged, "b")), "column region of table public.accounts was not sent: it is stored out of line and did not change" + remedy},
		{"binary", insert(inKey, row("1", binary, "b")), "column region of table public.accounts is in binary, want text"},
		{"no such column", insert(without, row("1", "b")), "table public.accounts has no column region; correct the ownership rule or add the column"},
	} {
		t.Run(c.about, func(t *testing.T) {
			_, err := rule.Judge("east", &c.change)
			require.ErrorIs(t, err, conflict.ErrOwnerUnknown)
			require.EqualError(t, err, "the owner cannot be told from the change: "+c.want)
		})
	}

	_, err := rule.Judge("east", &change.Change{Op: change.Insert, Table: inKey, New: row("1")})
	require.ErrorIs(t, err, change.ErrTuple, "fewer columns than described")

	// An insert says its owner whatever the identity; CheckTable finds the
	// table before the first update does.
	c := insert(outside, row("1", "east", "a"))
	v, err := rule.Judge("east", &c)
	require.NoError(t, err)
	require.True(t, v.Accept)
	require.ErrorIs(t, rule.CheckTable(outside), conflict.ErrOwnerUnknown)
	require.ErrorIs(t, rule.CheckTable(without), conflict.ErrOwnerUnknown)
	require.NoError(t, rule.CheckTable(inKey))
	require.NoError(t, rule.CheckTable(full(outside)))
	require.NoError(t, conflict.Rule{}.CheckTable(without))
}

// Two nodes read the same file: the order of names and of map keys must not
// matter, and neither must any column that is not the owner.
func TestJudgeIsTheSameEverywhere(t *testing.T) {
	words := rapid.SampledFrom([]string{"east", "west", "central", "eu", "xx", null})
	rapid.Check(t, func(t *rapid.T) {
		spec := conflict.RuleSpec{Tables: []string{"accounts"}, Column: "region"}
		if rapid.Bool().Draw(t, "with values") {
			spec.Values = rapid.MapOfN(words, rapid.SampledFrom(members), 1, 4).Draw(t, "values")
		}
		here, err := conflict.Compile(conflict.Spec{spec}, members, conflict.PolicyError)
		require.NoError(t, err)
		there, err := conflict.Compile(conflict.Spec{spec}, rapid.Permutation(members).Draw(t, "nodes"), conflict.PolicyError)
		require.NoError(t, err)

		origin := rapid.SampledFrom(members).Draw(t, "origin")
		described := table("accounts", "id*", "region*", "v")
		if rapid.Bool().Draw(t, "full") {
			described = full(described)
		}
		before, after := words.Draw(t, "owner before"), words.Draw(t, "owner after")
		draw := func(id, v string) change.Change {
			switch rapid.SampledFrom([]string{"insert", "update", "key", "delete"}).Draw(t, "operation") {
			case "insert":
				return insert(described, row(id, after, v))
			case "update":
				if described.Identity == change.IdentityFull {
					return update(described, old, row(id, before, "0"), row(id, before, v))
				}
				return update(described, none, nil, row(id, before, v))
			case "key":
				return update(described, key, row(id, before, null), row(id, after, v))
			default:
				return remove(described, key, row(id, before, null))
			}
		}
		c := draw("1", "a")
		first, err := here.For("public", "accounts").Judge(origin, &c)
		require.NoError(t, err)
		again, err := there.For("public", "accounts").Judge(origin, &c)
		require.NoError(t, err)
		require.Equal(t, first, again)

		// Accepted means: the origin owns the row, or nobody can.
		deciding := before
		if c.Op == change.Insert {
			deciding = after
		}
		require.Equal(t, deciding == null, first.Free)
		require.Equal(t, first.Free || first.Owner == origin, first.Accept)
		require.Equal(t, first.Accept, first.Kind == "")
	})
}

// Whatever a message says, judging it ends in a verdict or a clear error.
func TestJudgeIsTotal(t *testing.T) {
	rules := compile(t, conflict.Spec{
		{Tables: []string{"a"}, Node: "east"},
		{Tables: []string{"b"}, ByTable: map[string]string{"b": "west"}},
		{Tables: []string{"c"}, Column: "region"},
	})
	words := rapid.SampledFrom([]string{"east", "nobody", null, unchanged, binary})
	rapid.Check(t, func(t *rapid.T) {
		described := table(rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "table"), "id*", "region")
		described.Columns[1].Key = rapid.Bool().Draw(t, "region in key")
		tuple := rapid.Custom(func(t *rapid.T) change.Tuple {
			if rapid.IntRange(0, 9).Draw(t, "broken") == 0 {
				return change.Tuple(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
			}
			return row(words.Draw(t, "id"), words.Draw(t, "region"))
		})
		c := change.Change{
			Op:      rapid.SampledFrom([]change.Op{change.Insert, change.Update, change.Delete, change.Truncate}).Draw(t, "op"),
			Table:   described,
			OldKind: rapid.SampledFrom([]byte{none, key, old}).Draw(t, "old"),
			Old:     tuple.Draw(t, "before"), New: tuple.Draw(t, "after"),
		}
		v, err := rules.For("public", described.Name).Judge("east", &c)
		if err != nil {
			require.Zero(t, v)
			if !isOf(err, conflict.ErrOwnerUnknown, change.ErrTuple) {
				t.Fatalf("an error of neither kind: %v", err)
			}
			return
		}
		require.Equal(t, v.Accept && v.Own == nil, v.Kind == "")
		require.False(t, v.Free && !v.Accept)
	})
}
