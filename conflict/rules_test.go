package conflict_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/conflict"
)

func TestFirstMatchingRuleCounts(t *testing.T) {
	rules := compile(t, conflict.Spec{
		{Tables: []string{"public.settings"}, Node: "east"},
		{Tables: []string{"hippo_*", "zoo.h?"}, ByTable: map[string]string{"hippo_east": "east", "public.hippo_west": "west", "zoo.h1": "central"}},
		{Tables: []string{"accounts"}, Column: "region"},
		{Tables: []string{"public.*"}, Node: "central"},
	})
	for table, want := range map[string]string{
		"public.settings":      "owner east",
		"public.hippo_east":    "owner east",
		"public.hippo_west":    "owner west",
		"public.hippo_default": "unlisted, conflict error",
		"zoo.h1":               "owner central",
		"zoo.h2":               "unlisted, conflict error",
		"public.accounts":      "owner by column region",
		"public.anything":      "owner central",
		"other.settings":       "unowned, conflict error",
	} {
		schema, name, _ := strings.Cut(table, ".")
		require.Equal(t, want, rules.For(schema, name).String(), table)
	}
}

func TestZeroRuleIsUnowned(t *testing.T) {
	require.Equal(t, "unowned, conflict error", conflict.Rule{}.String())
}

func TestEveryMistakeIsReported(t *testing.T) {
	spec := conflict.Spec{
		0: {Node: "east"},
		1: {Tables: []string{"", "a.b.c", "public.", `"Quoted"`}, Node: "east"},
		2: {Tables: []string{"none"}},
		3: {Tables: []string{"two"}, Column: "region", ByTable: map[string]string{"two": "east"}},
		4: {Tables: []string{"three"}, Node: "wets"},
		5: {Tables: []string{"parts_*"}, ByTable: map[string]string{"parts_a": "norht", "public.parts_b": "east", "parts_b": "west", "parts_?": "east", "elsewhere": "east"}},
		6: {Tables: []string{"empty"}, ByTable: map[string]string{}},
		7: {Tables: []string{"mapped"}, Column: "region", Values: map[string]string{"eu": "south", "us": "west"}},
		8: {Tables: []string{"columnless"}, Values: map[string]string{"eu": "west"}},
		9: {Tables: []string{"four", "public.three", "parts_c"}, Node: "east"},
	}
	_, err := conflict.Compile(spec, []string{"east", "west", "east", ""}, "last_updat_wins")
	require.Error(t, err)
	require.Equal(t, []string{
		`nodes: a node has no name`,
		`nodes: "east" is named twice`,
		`conflict: unknown policy "last_updat_wins", want error`,
		`ownership[0].tables: names no table`,
		`ownership[1].tables[0]: a table pattern is empty`,
		`ownership[1].tables[1]: table pattern "a.b.c" has more than one dot, want schema.name`,
		`ownership[1].tables[2]: table pattern "public." lacks a name beside its dot, want schema.name`,
		`ownership[1].tables[3]: table pattern "\"Quoted\"" has a blank or a quote in it, want schema.name as the database stores it`,
		`ownership[2].owner: want exactly one of a node, tables, or a column; found 0 of them`,
		`ownership[3].owner: want exactly one of a node, tables, or a column; found 2 of them`,
		`ownership[4].owner: "wets" is not a node of the federation (, east, east, west)`,
		`ownership[5].owner.tables.elsewhere: public.elsewhere is not matched by any of the rule's tables`,
		`ownership[5].owner.tables.parts_?: "parts_?" is a pattern, want the name of one table`,
		`ownership[5].owner.tables.parts_a: "norht" is not a node of the federation (, east, east, west)`,
		`ownership[5].owner.tables.public.parts_b: public.parts_b is listed twice`,
		`ownership[6].owner.tables: lists no table`,
		`ownership[7].owner.values.eu: "south" is not a node of the federation (, east, east, west)`,
		`ownership[8].owner.values: maps the values of no column`,
		`ownership[9].tables[1]: "public.three" is already matched by "three" at ownership[4].tables[0], the first match counts`,
		`ownership[9].tables[2]: "parts_c" is already matched by "parts_*" at ownership[5].tables[0], the first match counts`,
	}, strings.Split(err.Error(), "\n"))
}

func TestLastUpdateWinsHasItsPlaceOnly(t *testing.T) {
	_, err := conflict.Compile(nil, members, conflict.PolicyLastUpdateWins)
	require.EqualError(t, err, "conflict: last_update_wins is not available yet, want error")
}

func TestTheSpecIsNotKept(t *testing.T) {
	spec := conflict.Spec{{Tables: []string{"a"}, Column: "region", Values: map[string]string{"eu": "west"}}}
	rules := compile(t, spec)
	spec[0].Values["eu"] = "east"
	require.Equal(t, "west", rules.For("public", "a").Values["eu"])
}
