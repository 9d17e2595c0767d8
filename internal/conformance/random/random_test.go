package random

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/conformance"
	"github.com/pgfed/pgfed/internal/pgtest"
)

// batch is how many seeds share a federation.
const batch = 50

// TestRandom runs random cases. PGFED_RANDOM_SEED is the first seed, otherwise
// drawn; PGFED_RANDOM_SEEDS how many. A case that fails is written out, as a
// file that conformance can run by itself.
func TestRandom(t *testing.T) {
	seed, count := rand.Uint64N(1_000_000_000), 8
	if text := os.Getenv("PGFED_RANDOM_SEEDS"); text != "" {
		var err error
		count, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	if text := os.Getenv("PGFED_RANDOM_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("seeds %d to %d; PGFED_RANDOM_SEED=%d PGFED_RANDOM_SEEDS=%d repeats them", seed, seed+uint64(count)-1, seed, count)
	judge := pgtest.Start(t, pgtest.Name("oracle"))
	for count > 0 {
		n := min(count, batch)
		var cases []*conformance.Case
		for i := range n {
			cases = append(cases, Case(seed+uint64(i)))
		}
		seed, count = seed+uint64(n), count-n
		t.Run(fmt.Sprintf("to %d", seed-1), func(t *testing.T) {
			for _, v := range conformance.Together(t, conformance.Majors{0}, judge, cases) {
				if v.Err == nil {
					continue
				}
				file := filepath.Join(os.TempDir(), "pgfed-random-"+v.Case.Name+".sql")
				require.NoError(t, os.WriteFile(file, []byte(Text(v.Case)), 0o644))
				t.Errorf("%s %v\nthe case is in %s", v.Case.Promise, v.Err, file)
			}
		})
	}
}

// A seed always means the same.
func TestSeedsAreReproducible(t *testing.T) {
	for seed := range uint64(50) {
		require.Equal(t, Text(Case(seed)), Text(Case(seed)))
	}
}
