package conformance

import (
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/pgtest"
)

// TestConformance runs every case.
//
//	PGFED_CONFORMANCE_PG    14,15:ci,14+18: the versions, default the one that every test has
//	PGFED_CONFORMANCE_CASE  patterns such as values/*,tables/names : only these cases
//	PGFED_CONFORMANCE_SIZE  ci: without slow cases and those that need a federation of their own; also :ci behind a version
//	PGFED_CONFORMANCE_DOC   write the table of results here
func TestConformance(t *testing.T) {
	cases, err := Load("testdata")
	require.NoError(t, err)
	if pattern := os.Getenv("PGFED_CONFORMANCE_CASE"); pattern != "" {
		cases = matching(t, cases, pattern)
	}
	versions := strings.Split(os.Getenv("PGFED_CONFORMANCE_PG"), ",")
	results := &Results{Cases: cases}
	for _, version := range versions {
		name := version
		if name == "" {
			name = "default"
		}
		t.Run(name, func(t *testing.T) {
			version, small := strings.CutSuffix(version, ":ci")
			small = small || os.Getenv("PGFED_CONFORMANCE_SIZE") == "ci"
			verdicts := runVersion(t, parseMajors(t, version), cases, small)
			results.Add(version, verdicts)
		})
	}
	if file := os.Getenv("PGFED_CONFORMANCE_DOC"); file != "" {
		require.NoError(t, os.WriteFile(file, []byte(results.Markdown()), 0o644))
	}
}

func matching(t *testing.T, cases []*Case, pattern string) []*Case {
	var some []*Case
	for _, c := range cases {
		for word := range strings.SplitSeq(pattern, ",") {
			matched, err := path.Match(word, c.ID())
			require.NoError(t, err)
			if matched && !slices.Contains(some, c) {
				some = append(some, c)
			}
		}
	}
	require.NotEmpty(t, some, "no case matches %s", pattern)
	return some
}

// parseMajors reads "15" or "14+18"; nothing means the default.
func parseMajors(t *testing.T, version string) Majors {
	if version == "" {
		return Majors{0}
	}
	var majors Majors
	for _, word := range strings.Split(version, "+") {
		major, err := strconv.Atoi(word)
		require.NoError(t, err)
		majors = append(majors, major)
	}
	return majors
}

func runVersion(t *testing.T, majors Majors, cases []*Case, small bool) []Verdict {
	judge := pgtest.Start(t, pgtest.Name("oracle"), pgtest.Major(majors.Oldest()), pgtest.Setting("max_prepared_transactions", "20"), Locales)
	var together, alone []*Case
	var verdicts []Verdict
	for _, c := range cases {
		switch unfit := c.Unfit(majors, judge.Major); {
		case unfit != "":
			verdicts = append(verdicts, Verdict{Case: c, Skip: unfit})
		case small && (c.Slow != "" || c.Alone != ""):
			verdicts = append(verdicts, Verdict{Case: c, Skip: LeftOut})
		case c.Alone != "":
			alone = append(alone, c)
		default:
			together = append(together, c)
		}
	}
	// Both spend their time waiting, so they do it side by side.
	var mu sync.Mutex
	judged := func(t *testing.T, v Verdict) {
		mu.Lock()
		verdicts = append(verdicts, v)
		mu.Unlock()
		report(t, v)
	}
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() {
		for _, c := range alone {
			t.Run(c.ID(), func(t *testing.T) { judged(t, Alone(t, majors, judge, c)) })
		}
	})
	if len(together) > 0 {
		for _, v := range Together(t, majors, judge, together) {
			t.Run(v.Case.ID(), func(t *testing.T) { judged(t, v) })
		}
	}
	beside.Wait()
	return verdicts
}

func report(t *testing.T, v Verdict) {
	if v.Err != nil {
		t.Errorf("%s\n%s: %v", v.Case.Promise, v.Case.File, v.Err)
	}
}
