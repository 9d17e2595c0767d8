package random

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/conformance"
	"github.com/pgfed/pgfed/internal/pgtest"
)

// batch is how many seeds share a federation.
const batch = 50

// TestRandom runs random cases. A case that fails is written out, as a file
// that conformance can run by itself.
//
//	PGFED_RANDOM_SEED     the first seed; 0 or nothing: drawn
//	PGFED_RANDOM_SEEDS    how many
//	PGFED_RANDOM_PG       the nodes' majors: 14, or 14+18; otherwise the one that every test has
//	PGFED_RANDOM_DISTURB  0: nothing is killed
//	PGFED_RANDOM_SHRINK   1: what fails is tried with ever fewer statements
func TestRandom(t *testing.T) {
	seed, count := number(t, "PGFED_RANDOM_SEED", 1+rand.Uint64N(1_000_000_000)), number(t, "PGFED_RANDOM_SEEDS", 8)
	majors := conformance.Majors{0}
	pg := os.Getenv("PGFED_RANDOM_PG")
	if pg != "" {
		majors = nil
		for _, word := range strings.Split(pg, "+") {
			major, err := strconv.Atoi(word)
			require.NoError(t, err)
			majors = append(majors, major)
		}
	}
	t.Logf("seeds %d to %d; make conformance-random PG=%s SEED=%d SEEDS=%d repeats them", seed, seed+count-1, pg, seed, count)
	judge := pgtest.Start(t, pgtest.Name("oracle"), pgtest.Major(majors.Oldest()),
		pgtest.Setting("max_prepared_transactions", "100"), pgtest.Setting("max_connections", "400"), pgtest.Setting("synchronous_commit", "off"))
	common, err := conformance.Parse("random/common.sql", Common)
	require.NoError(t, err)
	campaign := conformance.Campaign{Majors: majors, Judge: judge, Common: common, Sessions: 6}
	for count > 0 {
		n := min(count, batch)
		var cases []*conformance.Case
		for i := range n {
			c, err := Case(seed+i, judge.Major, max(judge.Major, majors.Newest()))
			require.NoError(t, err)
			cases = append(cases, c)
		}
		if os.Getenv("PGFED_RANDOM_DISTURB") != "0" {
			campaign.Disturb = disturbances(seed)
		}
		seed, count = seed+n, count-n
		t.Run(fmt.Sprintf("to %d", seed-1), func(t *testing.T) {
			for _, v := range campaign.Run(t, cases) {
				if v.Err != nil {
					file := filepath.Join(os.TempDir(), "pgfed-random-"+v.Case.Name+".sql")
					text := v.Case.Text
					if os.Getenv("PGFED_RANDOM_SHRINK") == "1" {
						text = Shrink(text, trying(t, campaign, v.Case.Name))
					}
					require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
					t.Errorf("%s\n%v\nmake conformance-random PG=%s SEED=%s SEEDS=1 repeats it, and SHRINK=1 with fewer statements; the case is in %s",
						v.Case.Promise, v.Err, pg, strings.TrimPrefix(v.Case.Name, "s"), file)
				}
			}
		})
	}
}

// trying runs variants of a case in one federation, undisturbed. A variant whose
// statements the server refuses has not failed as the case did.
func trying(t *testing.T, campaign conformance.Campaign, name string) func([]string) []bool {
	campaign.Disturb = nil
	return func(variants []string) []bool {
		var cases []*conformance.Case
		for i, text := range variants {
			other := fmt.Sprintf("%sv%d", name, i)
			text = strings.ReplaceAll(strings.ReplaceAll(text, "random_"+name, "random_"+other), "'random ", "'random "+other+" ")
			c, err := conformance.Parse("random/"+other+".sql", text)
			require.NoError(t, err)
			cases = append(cases, c)
		}
		failed := make([]bool, len(variants))
		for _, v := range campaign.Run(t, cases) {
			i, err := strconv.Atoi(strings.TrimPrefix(v.Case.Name, name+"v"))
			require.NoError(t, err)
			failed[i] = v.Err != nil && !strings.HasPrefix(v.Err.Error(), "line ")
		}
		return failed
	}
}

func number(t *testing.T, name string, otherwise uint64) uint64 {
	text := os.Getenv(name)
	if text == "" || text == "0" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err)
	return n
}

// disturbances are drawn from the first seed: in some stages a replicator is
// killed while the cases write, or a database right behind.
func disturbances(seed uint64) func(stage int) []conformance.Step {
	return func(stage int) []conformance.Step {
		draw := rand.New(rand.NewPCG(seed, uint64(stage)))
		node := conformance.Nodes[draw.IntN(2)]
		switch pick := draw.IntN(100); {
		case pick < 25:
			return []conformance.Step{{Verb: "kill", What: "replicator", Where: []string{node}}}
		case pick < 35:
			return []conformance.Step{{Verb: "restart", What: "replicator", Where: []string{node}}}
		case pick < 42:
			return []conformance.Step{{Verb: "kill", What: "postgres", Where: []string{node}}}
		}
		return nil
	}
}

// A seed always means the same.
func TestSeedsAreReproducible(t *testing.T) {
	for seed := range uint64(50) {
		require.Equal(t, Text(seed, 15, 15), Text(seed, 15, 15))
	}
}

// What fails without most of its statements is found by leaving them out.
func TestShrink(t *testing.T) {
	text := Text(7, 15, 15)
	wanted := regexp.MustCompile(`(?m)^(DELETE|UPDATE)[^;]+;$`).FindAllString(text, -1)
	require.Greater(t, len(wanted), 3)
	needed := []string{wanted[1], wanted[len(wanted)-1]}
	rounds := 0
	short := Shrink(text, func(variants []string) []bool {
		rounds++
		failed := make([]bool, len(variants))
		for i, v := range variants {
			_, err := conformance.Parse("random/s7.sql", v)
			require.NoError(t, err)
			failed[i] = strings.Contains(v, needed[0]) && strings.Contains(v, needed[1])
		}
		return failed
	})
	require.Contains(t, short, needed[0])
	require.Contains(t, short, needed[1])
	require.Len(t, regexp.MustCompile(`(?m)^(INSERT|DELETE|UPDATE|COPY|DO) `).FindAllString(short[strings.Index(short, "--- on"):], -1), 2)
	require.Less(t, rounds, 100)
}

// Whatever the issue names is generated by some seed.
func TestSeedsReachEverything(t *testing.T) {
	var all strings.Builder
	for seed := range uint64(300) {
		all.WriteString(Text(seed, 18, 18))
	}
	var wanted []string
	for _, k := range kinds {
		wanted = append(wanted, " "+k.name)
	}
	for _, k := range keys {
		for _, c := range k.columns {
			wanted = append(wanted, c.name+" "+c.kind+" NOT NULL")
		}
	}
	wanted = append(wanted, "PARTITION BY LIST", "PARTITION BY RANGE", "PARTITION BY HASH", "INHERITS", "ON DELETE CASCADE", "ON DELETE SET NULL",
		"REPLICA IDENTITY FULL", "REPLICA IDENTITY USING INDEX", "DEFERRABLE INITIALLY DEFERRED", "EXCLUDE USING gist", "STORED", "VIRTUAL", "GENERATED ALWAYS AS IDENTITY",
		"CREATE TRIGGER noting", "CREATE TRIGGER stamping", "MERGE INTO", "ON CONFLICT DO NOTHING", "DO UPDATE SET", "COPY ", "TRUNCATE ", "CASCADE;", "TRUNCATE ONLY",
		"ROLLBACK TO", "RAISE EXCEPTION", "PREPARE TRANSACTION", "ROLLBACK PREPARED", "$chain$", "lead(k)", "session b", "meanwhile", "shared_", "east_", "west_",
		"ATTACH PARTITION", "DROP gone", "extra text", " ALTER ", " RENAME ", " ADD added", "VACUUM FULL", "--- on all", "RESTART IDENTITY", "justify_days",
		"WITHOUT OVERLAPS", "local_note", "local_big", "UPDATE p", "-- insert_only: ", "held'")
	missing := slices.DeleteFunc(wanted, func(text string) bool { return strings.Contains(all.String(), text) })
	require.Empty(t, missing)
}
