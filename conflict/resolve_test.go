package conflict_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/conflict"
)

func isOf(err error, kinds ...error) bool {
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

func TestResolve(t *testing.T) {
	rules := compile(t, conflict.Spec{
		{Tables: []string{"settings"}, Node: "east"},
		{Tables: []string{"accounts"}, Column: "region"},
	})
	var (
		static   = rules.For("public", "settings")
		byColumn = rules.For("public", "accounts")
		nobody   = rules.For("public", "notes")

		owner   = conflict.Verdict{Accept: true, Origin: "east", Owner: "east"}
		refused = conflict.Verdict{Kind: conflict.NotOwner, Origin: "west", Owner: "east"}
		free    = conflict.Verdict{Accept: true, Free: true, Origin: "east"}
		ownRows = conflict.Verdict{Accept: true, Kind: conflict.TruncateRefused, Origin: "east", Own: &conflict.OwnRows{}}
	)
	clash := func(kind conflict.Kind, holders ...string) conflict.Clash {
		return conflict.Clash{Kind: kind, Holders: holders}
	}
	for _, c := range []struct {
		about   string
		rule    conflict.Rule
		verdict conflict.Verdict
		clash   conflict.Clash
		want    string
	}{
		{"nothing in the way", static, owner, clash(""), "apply, not recorded"},
		{"nothing in the way of a free row", nobody, free, clash(""), "apply, not recorded"},
		{"a refused change", static, refused, clash(""), "refuse, not_owner"},
		{"a refused change, whatever is there", static, refused, clash(conflict.InsertExists), "refuse, not_owner"},
		{"TRUNCATE by column", byColumn, ownRows, clash(""), "own_rows_only, truncate_refused"},

		{"owner, row exists", static, owner, clash(conflict.InsertExists), "overwrite, insert_exists"},
		{"owner, equal row exists", static, owner, conflict.Clash{Kind: conflict.InsertExists, Same: true}, "same, not recorded"},
		{"owner, new key exists", static, owner, clash(conflict.UpdateExists), "displace, update_exists"},
		{"owner, row missing", static, owner, conflict.Clash{Kind: conflict.UpdateMissing, Complete: true}, "insert_instead, update_missing"},
		{"owner, row missing and not all of it sent", static, owner, clash(conflict.UpdateMissing), "halt, update_missing"},
		{"owner, row to delete missing", static, owner, clash(conflict.DeleteMissing), "skip, delete_missing"},
		{"owner, the row to update is another's work", static, owner, clash(conflict.UpdateOriginDiffers), "overwrite, update_origin_differs"},
		{"owner, the row to delete is another's work", static, owner, clash(conflict.DeleteOriginDiffers), "overwrite, delete_origin_differs"},
		{"owner, another constraint", static, owner, clash(conflict.MultipleUniqueConflicts), "displace, multiple_unique_conflicts"},

		{"by column, the row in the way is the origin's", byColumn, owner, clash(conflict.InsertExists, "east"), "overwrite, insert_exists"},
		{"by column, the row in the way is nobody's", byColumn, owner, clash(conflict.MultipleUniqueConflicts, ""), "displace, multiple_unique_conflicts"},
		{"by column, two owners: east comes before west", byColumn, owner, clash(conflict.MultipleUniqueConflicts, "west"), "displace, multiple_unique_conflicts"},
		{"by column, two owners: central comes before east", byColumn, owner, clash(conflict.MultipleUniqueConflicts, "west", "central"), "skip, multiple_unique_conflicts"},
		{"by column, two owners, the key itself", byColumn, owner, clash(conflict.InsertExists, "central"), "skip, insert_exists"},

		{"nobody's, row exists", nobody, free, clash(conflict.InsertExists), "halt, insert_exists"},
		{"nobody's, equal row exists", nobody, free, conflict.Clash{Kind: conflict.InsertExists, Same: true}, "same, not recorded"},
		{"nobody's, new key exists", nobody, free, clash(conflict.UpdateExists), "halt, update_exists"},
		{"nobody's, row missing", nobody, free, conflict.Clash{Kind: conflict.UpdateMissing, Complete: true}, "halt, update_missing"},
		{"nobody's, row to delete missing", nobody, free, clash(conflict.DeleteMissing), "halt, delete_missing"},
		{"nobody's, the row to update is another's work", nobody, free, clash(conflict.UpdateOriginDiffers), "halt, update_origin_differs"},
		{"nobody's, the row to delete is another's work", nobody, free, clash(conflict.DeleteOriginDiffers), "halt, delete_origin_differs"},
		{"nobody's, another constraint", nobody, free, clash(conflict.MultipleUniqueConflicts), "halt, multiple_unique_conflicts"},
		{"a free row of a table by column", byColumn, free, clash(conflict.UpdateMissing), "halt, update_missing"},
	} {
		t.Run(c.about, func(t *testing.T) {
			r, err := c.rule.Resolve(c.verdict, c.clash)
			require.NoError(t, err)
			said := string(r.Action)
			if r.Record {
				said += ", " + string(r.Kind)
			} else {
				said += ", not recorded"
			}
			require.Equal(t, c.want, said)
		})
	}
}

func TestResolveIsTotal(t *testing.T) {
	rules := compile(t, conflict.Spec{{Tables: []string{"a"}, Node: "east"}, {Tables: []string{"b"}, Column: "region"}})
	known := []conflict.Kind{"", conflict.InsertExists, conflict.UpdateExists, conflict.UpdateMissing, conflict.DeleteMissing, conflict.MultipleUniqueConflicts, conflict.UpdateOriginDiffers, conflict.DeleteOriginDiffers}
	unknown := []conflict.Kind{conflict.NotOwner, conflict.TruncateRefused, "of another version"}
	verdicts := []conflict.Verdict{
		{Accept: true, Origin: "east", Owner: "east"}, {Accept: true, Free: true, Origin: "east"},
		{Kind: conflict.NotOwner, Origin: "east", Owner: "west"},
	}
	for _, name := range []string{"a", "b", "c"} {
		rule := rules.For("public", name)
		for _, v := range verdicts {
			for _, kind := range known {
				for bits := range 4 {
					r, err := rule.Resolve(v, conflict.Clash{Kind: kind, Same: bits&1 != 0, Complete: bits&2 != 0})
					about := fmt.Sprintf("%s %+v %q %d", name, v, kind, bits)
					require.NoError(t, err, about)
					require.NotEmpty(t, r.Action, about)
					require.Equal(t, r.Action != conflict.Apply && r.Action != conflict.Same, r.Record, about)
					require.Equal(t, r.Action == conflict.Apply, r.Kind == "", about)
				}
			}
			for _, kind := range unknown {
				_, err := rule.Resolve(v, conflict.Clash{Kind: kind})
				require.ErrorContains(t, err, "not a kind that applying a change can show", kind)
			}
		}
	}
}

// Two owners of one unique value: of the two changes exactly one prevails,
// at every node, in whichever order they come.
func TestTiesBetweenOwnersAreBroken(t *testing.T) {
	rule := compile(t, conflict.Spec{{Tables: []string{"a"}, Column: "region"}}).For("public", "a")
	for _, kind := range []conflict.Kind{conflict.InsertExists, conflict.UpdateExists, conflict.MultipleUniqueConflicts} {
		for _, one := range members {
			for _, other := range members {
				if one == other {
					continue
				}
				second := func(origin, holder string) bool {
					r, err := rule.Resolve(conflict.Verdict{Accept: true, Origin: origin, Owner: origin}, conflict.Clash{Kind: kind, Holders: []string{holder}})
					require.NoError(t, err)
					return r.Action != conflict.Skip
				}
				require.NotEqual(t, second(one, other), second(other, one), "%s of %s and %s", kind, one, other)
			}
		}
	}
}

// What counts is whose two rows are, not who wrote them: the same one of two
// prevails where a row that was given away comes first and where it comes second.
func TestGivenAwayRowsTieLikeTheirNewOwners(t *testing.T) {
	rules := compile(t, conflict.Spec{{Tables: []string{"a"}, Column: "region"}, {Tables: []string{"s"}, Node: "west"}})
	byColumn, static := rules.For("public", "a"), rules.For("public", "s")
	action := func(rule conflict.Rule, v conflict.Verdict, placed, holder string) conflict.Action {
		r, err := rule.Resolve(v, conflict.Clash{Kind: conflict.InsertExists, Placed: placed, Holders: []string{holder}})
		require.NoError(t, err)
		return r.Action
	}
	for _, giver := range members {
		for _, placed := range members {
			for _, holder := range members {
				if giver == placed || giver == holder {
					continue
				}
				given := action(byColumn, conflict.Verdict{Accept: true, Origin: giver, Owner: giver, Handover: true}, placed, holder)
				own := action(byColumn, conflict.Verdict{Accept: true, Origin: holder, Owner: holder}, holder, placed)
				require.NotEqual(t, given == conflict.Skip, own == conflict.Skip, "%s gives to %s, %s has it", giver, placed, holder)
			}
		}
	}
	require.Equal(t, conflict.Skip, action(static, conflict.Verdict{Accept: true, Origin: "east", Owner: "east", Handover: true}, "", ""))
	require.Equal(t, conflict.Overwrite, action(static, conflict.Verdict{Accept: true, Origin: "west", Owner: "west"}, "", ""))
}
