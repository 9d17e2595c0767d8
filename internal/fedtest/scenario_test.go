package fedtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestScenarios tells every story in testdata/scenarios. One of them:
// make scenario NAME=main_job
func TestScenarios(t *testing.T) {
	for _, path := range scenarioFiles(t) {
		stories, err := LoadStories(path)
		require.NoError(t, err)
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			for _, story := range stories {
				if story.Name == "" {
					t.Parallel() // as many at a time as there are processors
					Tell(t, path, story)
					continue
				}
				t.Run(story.Name, func(t *testing.T) {
					t.Parallel()
					Tell(t, path, story)
				})
			}
		})
	}
}

func scenarioFiles(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/scenarios/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	return paths
}

// Every crash point that internal/crash names is died at in some story.
func TestEveryCrashPointHasItsStory(t *testing.T) {
	source, err := os.ReadFile("../crash/points.go")
	require.NoError(t, err)
	points := regexp.MustCompile(`Point = "([a-z-]+)"`).FindAllStringSubmatch(string(source), -1)
	require.NotEmpty(t, points)
	var told []string
	for _, path := range scenarioFiles(t) {
		stories, err := LoadStories(path)
		require.NoError(t, err)
		for _, story := range stories {
			for _, step := range story.Steps {
				if step.Verb == "crash" {
					point, _, _ := strings.Cut(strings.Fields(step.Rest)[2], ":")
					told = append(told, point)
				}
			}
		}
	}
	for _, point := range points {
		require.Contains(t, told, point[1])
	}
}

func TestParseStories(t *testing.T) {
	stories, err := ParseStories("x", `
# A reader's line.
each NODE east west
nodes east west
schema <<END
CREATE TABLE t ();

-- not a comment of ours, nor a verb
END
kill replicator $NODE
`)
	require.NoError(t, err)
	require.Len(t, stories, 2)
	require.Equal(t, "west", stories[1].Name)
	require.Equal(t, []Step{
		{Line: 4, Verb: "nodes", Rest: "east west"},
		{Line: 5, Verb: "schema", Text: "CREATE TABLE t ();\n\n-- not a comment of ours, nor a verb\n"},
		{Line: 10, Verb: "kill", Rest: "replicator west"},
	}, stories[1].Steps)

	for text, want := range map[string]string{
		"nodes a\ndance":         `x:2: unknown verb "dance"`,
		"schema <<END\nSELECT 1": "x:1: the text is not ended by a line END",
		"each NODE\nnodes a":     "x:1: want each NAME and its values",
	} {
		_, err := ParseStories("x", text)
		require.EqualError(t, err, want)
	}
}

// The list of verbs that authors of stories read is complete.
func TestVerbsAreListed(t *testing.T) {
	listed, err := os.ReadFile("testdata/scenarios/VERBS")
	require.NoError(t, err)
	require.Equal(t, strings.Join(Verbs(), "\n")+"\n", string(listed), "PGFED_UPDATE=1 go test -run Verbs writes it")
}

func TestMain(m *testing.M) {
	if os.Getenv("PGFED_UPDATE") != "" {
		if err := os.WriteFile("testdata/scenarios/VERBS", []byte(strings.Join(Verbs(), "\n")+"\n"), 0o644); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
