package conflict_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/change"
)

// A herd: hippos partitioned by node with a default partition, and accounts
// owned by column, whose primary key is (id, region).
type herd struct {
	rules  *conflict.Rules
	tables map[string]*change.Table
}

func newHerd(t require.TestingT) herd {
	h := herd{
		rules: compile(t, conflict.Spec{
			{Tables: []string{"hippo_*"}, ByTable: map[string]string{"hippo_east": "east", "hippo_central": "central", "hippo_west": "west"}},
			{Tables: []string{"accounts"}, Column: "region"},
		}),
		tables: map[string]*change.Table{
			"default":  table("hippo_default", "id*", "node_name"),
			"east":     table("hippo_east", "id*", "node_name"),
			"central":  table("hippo_central", "node_name", "id*"), // attached: columns in another order
			"west":     full(table("hippo_west", "id", "node_name")),
			"accounts": table("accounts", "id*", "region*"),
			"notes":    table("notes", "id*", "text"),
		},
	}
	for _, name := range []string{"default", "east", "central", "west"} {
		h.tables[name].Partition = &change.Partition{Root: change.Name{Schema: "public", Name: "hippos"}, Key: []string{"id"}}
	}
	return h
}

// script reads "D east 1": delete key 1 from partition east. In accounts a key
// is id:region, and in an update before>after.
func (h herd) script(lines ...string) []change.Change {
	var changes []change.Change
	for i, line := range lines {
		words := strings.Fields(line)
		described := h.tables[words[1]]
		image := func(word string) change.Tuple {
			id, region, found := strings.Cut(word, ":")
			if !found {
				region = null
			}
			if described.Columns[0].Name != "id" {
				return row(region, id)
			}
			return row(id, region)
		}
		var c change.Change
		switch words[0] {
		case "I":
			c = insert(described, image(words[2]))
		case "D":
			kind := byte(key)
			if described.Identity == change.IdentityFull {
				kind = old
			}
			c = remove(described, kind, image(words[2]))
		case "U":
			if before, after, moved := strings.Cut(words[2], ">"); moved {
				c = update(described, key, image(before), image(after))
			} else {
				c = update(described, none, nil, image(words[2]))
			}
		case "T":
			c = change.Change{Op: change.Truncate}
			for _, name := range words[1:] {
				c.Truncated = append(c.Truncated, h.tables[name])
			}
		}
		c.Ordinal = uint64(i)
		changes = append(changes, c)
	}
	return changes
}

func TestTransaction(t *testing.T) {
	h := newHerd(t)
	for _, c := range []struct {
		about  string
		origin string
		steps  [][2]string
	}{
		{"a row finds its own partition in the inserting transaction", "east", [][2]string{
			{"I default 1", "free"},
			{"I default 2", "free"},
			{"D default 1", "free"},
			{"I east 1", "accept of east"},
			{"D default 2", "free"},
			{"I east 2", "accept of east"},
		}},
		{"a free row moved to somebody else's partition stays where it was", "east", [][2]string{
			{"I default 1", "free"},
			{"D default 1", "refuse not_owner of west as one"},
			{"I west 1", "refuse not_owner of west as one"},
		}},
		{"the owner hands a row over", "east", [][2]string{
			{"D east 1", "accept of east"},
			{"I west 1", "accept of east as one"},
		}},
		{"the owner lets a row go free", "east", [][2]string{
			{"D east 1", "accept of east"},
			{"I default 1", "accept of east as one"},
		}},
		{"somebody takes a row", "west", [][2]string{
			{"D east 1", "refuse not_owner of east"},
			{"I west 1", "refuse not_owner of east as one"},
		}},
		{"somebody frees a row of others", "west", [][2]string{
			{"D east 1", "refuse not_owner of east"},
			{"I default 1", "refuse not_owner of east as one"},
		}},
		{"somebody moves a row between others", "central", [][2]string{
			{"D east 1", "refuse not_owner of east"},
			{"I west 1", "refuse not_owner of east as one"},
		}},
		{"columns in another order, and a full old row", "west", [][2]string{
			{"D west 1", "accept of west"},
			{"I central 1", "accept of west as one"},
		}},
		{"the halves are far apart", "east", [][2]string{
			{"D east 1", "accept of east"},
			{"D west 2", "refuse not_owner of west"},
			{"U notes 7", "free"},
			{"I east 2", "refuse not_owner of west as one"},
			{"I west 1", "accept of east as one"},
		}},
		{"a free row far from its insert is gone: the insert alone is refused", "east", [][2]string{
			{"D default 1", "free"},
			{"U notes 7", "free"},
			{"I west 1", "refuse not_owner of west"},
		}},
		{"other keys are no pair", "east", [][2]string{
			{"D east 1", "accept of east"},
			{"I west 2", "refuse not_owner of west"},
		}},
		{"other families are no pair", "east", [][2]string{
			{"D notes 1", "free"},
			{"I west 1", "refuse not_owner of west"},
		}},
		{"a pair is used up", "east", [][2]string{
			{"D east 1", "accept of east"},
			{"U notes 7", "free"},
			{"I west 1", "accept of east as one"},
			{"I west 1", "refuse not_owner of west"},
		}},
		{"what was handed over belongs to its new owner at once", "east", [][2]string{
			{"D east 1", "accept of east"},
			{"I west 1", "accept of east as one"},
			{"D west 1", "refuse not_owner of west"},
			{"I east 1", "refuse not_owner of west as one"},
		}},
		{"a free delete makes an earlier one forgotten", "west", [][2]string{
			{"D east 1", "refuse not_owner of east"},
			{"D default 1", "free"},
			{"U notes 7", "free"},
			{"I west 1", "accept of west"},
		}},
		{"an own row leaves and comes back", "east", [][2]string{
			{"D east 1", "accept of east"},
			{"I east 1", "accept of east"},
		}},
		{"by column: the owner gives a row away", "east", [][2]string{
			{"U accounts 1:east>1:west", "accept of east"},
			{"D accounts 2:east", "accept of east"},
			{"I accounts 2:west", "accept of east as one"},
		}},
		{"by column: somebody takes a row", "east", [][2]string{
			{"U accounts 1:west>1:east", "refuse not_owner of west"},
			{"D accounts 2:west", "refuse not_owner of west"},
			{"I accounts 2:east", "refuse not_owner of west as one"},
		}},
		{"TRUNCATE of several tables: each for itself", "east", [][2]string{
			{"T east west accounts default", "refuse not_owner of west [accept of east, refuse not_owner of west, own rows east, free]"},
			{"T east accounts default", "own rows east [accept of east, own rows east, free]"},
			{"T default east", "accept of east [free, accept of east]"},
		}},
	} {
		t.Run(c.about, func(t *testing.T) {
			var lines, want []string
			for _, step := range c.steps {
				lines = append(lines, step[0])
				want = append(want, step[1])
			}
			changes := h.script(lines...)
			transaction := conflict.NewTransaction(h.rules, c.origin)
			judged, err := transaction.Judge(changes, true)
			require.NoError(t, err)
			require.Equal(t, want, sayAll(judged))
		})
	}
}

func sayAll(judged []conflict.Judged) []string {
	var said []string
	for _, j := range judged {
		line := say(j.Verdict)
		if len(j.Tables) > 0 {
			var each []string
			for _, v := range j.Tables {
				each = append(each, say(v))
			}
			line += " [" + strings.Join(each, ", ") + "]"
		}
		said = append(said, line)
	}
	return said
}

// Tables that are no partitions have no siblings, but a row whose owner is a
// column still moves inside its table. What the origin says of them last counts.
func TestTransactionWithoutPartitions(t *testing.T) {
	h := newHerd(t)
	transaction := conflict.NewTransaction(h.rules, "east")
	_, err := transaction.Judge(h.script("D east 1", "I west 1"), true)
	require.NoError(t, err)
	transaction.Reset()
	for name, described := range h.tables {
		detached := *described
		detached.Partition = nil
		h.tables[name] = &detached
	}
	judged, err := transaction.Judge(h.script("D east 1", "I west 1", "D accounts 2:west", "I accounts 2:east"), true)
	require.NoError(t, err)
	require.Equal(t, []string{
		"accept of east", "refuse not_owner of west", "refuse not_owner of west", "refuse not_owner of west as one",
	}, sayAll(judged))
}

// A large transaction arrives in pieces, cut anywhere, and its bytes are gone
// after each: the verdicts are those of the whole.
func TestCutsMakeNoDifference(t *testing.T) {
	h := newHerd(t)
	lines := rapid.Custom(func(t *rapid.T) string {
		op := rapid.SampledFrom([]string{"I", "D", "U"}).Draw(t, "op")
		where := rapid.SampledFrom([]string{"default", "east", "central", "west", "accounts", "notes"}).Draw(t, "table")
		line := fmt.Sprintf("%s %s %d", op, where, rapid.IntRange(1, 3).Draw(t, "key"))
		if where == "accounts" {
			line += ":" + rapid.SampledFrom([]string{"east", "west"}).Draw(t, "region")
		}
		return line
	})
	rapid.Check(t, func(t *rapid.T) {
		origin := rapid.SampledFrom(members).Draw(t, "origin")
		script := rapid.SliceOfN(lines, 1, 20).Draw(t, "changes")
		whole := conflict.NewTransaction(h.rules, origin)
		judged, err := whole.Judge(h.script(script...), true)
		require.NoError(t, err)
		want := sayAll(judged)

		pieces := conflict.NewTransaction(h.rules, origin)
		_, err = pieces.Judge(h.script("D east 1", "D default 3"), false) // an attempt that was given up
		require.NoError(t, err)
		pieces.Reset()
		var got []string
		var ordinals []uint64
		for changes := h.script(script...); ; {
			n := rapid.IntRange(0, len(changes)).Draw(t, "cut")
			piece := append([]change.Change(nil), changes[:n]...)
			changes = changes[n:]
			last := len(changes) == 0 && rapid.Bool().Draw(t, "last")
			judged, err := pieces.Judge(piece, last)
			require.NoError(t, err)
			got = append(got, sayAll(judged)...)
			for _, j := range judged {
				ordinals = append(ordinals, j.Change.Ordinal)
			}
			for i := range piece { // the piece is no longer ours
				clear(piece[i].Old)
				clear(piece[i].New)
				piece[i] = change.Change{}
			}
			if last {
				break
			}
		}
		require.Equal(t, want, got)
		for i, ordinal := range ordinals {
			require.EqualValues(t, i, ordinal)
		}
	})
}

// The memory of deletes is bounded; direct moves do not need it.
func TestTransactionForgetsBehindItsBound(t *testing.T) {
	h := newHerd(t)
	transaction := conflict.NewTransaction(h.rules, "east")
	const remembered = 65536
	for i := range remembered + 1 {
		_, err := transaction.Judge(h.script(fmt.Sprintf("D east %d", i), "U notes 1"), false)
		require.NoError(t, err)
	}
	judged, err := transaction.Judge(h.script(
		fmt.Sprintf("I west %d", remembered), // one too many
		fmt.Sprintf("I west %d", remembered-1),
		fmt.Sprintf("D east %d", remembered), // room again
		"U notes 1",
		fmt.Sprintf("I west %d", remembered),
		"D east x", "U notes 1", "D east y", "I west y",
	), true)
	require.NoError(t, err)
	require.Equal(t, []string{
		"refuse not_owner of west", "accept of east as one",
		"accept of east", "free", "accept of east as one",
		"accept of east", "free", "accept of east", "accept of east as one",
	}, sayAll(judged))
}

func TestTransactionReportsWhatItCannotJudge(t *testing.T) {
	h := newHerd(t)
	h.tables["accounts"] = table("accounts", "id*", "region")
	transaction := conflict.NewTransaction(h.rules, "east")
	_, err := transaction.Judge(h.script("I accounts 1:east", "D accounts 1:east"), true)
	require.ErrorIs(t, err, conflict.ErrOwnerUnknown)

	transaction.Reset()
	broken := h.script("D east 1", "I west 1")
	broken[1].New = broken[1].New[:3]
	_, err = transaction.Judge(broken, true)
	require.ErrorIs(t, err, change.ErrTuple)
}
