// Package docs holds the documents against the code.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGuaranteesNameRealTests: each test that docs/GUARANTEES.md names exists.
func TestGuaranteesNameRealTests(t *testing.T) {
	text, err := os.ReadFile("../../docs/GUARANTEES.md")
	require.NoError(t, err)
	known := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	require.NoError(t, filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "bin" || entry.Name() == "testdata"):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, match := range declared.FindAllStringSubmatch(string(source), -1) {
			known[filepath.Base(filepath.Dir(path))+"."+match[1]] = true
		}
		return nil
	}))
	scenarios, err := filepath.Glob("../fedtest/testdata/scenarios/*.txt")
	require.NoError(t, err)
	for _, file := range scenarios {
		known["scenario "+strings.TrimSuffix(filepath.Base(file), ".txt")] = true
	}
	named := regexp.MustCompile("`(scenario \\w+|\\w+\\.Test\\w+)`").FindAllStringSubmatch(string(text), -1)
	require.Greater(t, len(named), 40)
	for _, match := range named {
		name := strings.TrimPrefix(match[1], "internal/")
		require.True(t, known[name], "docs/GUARANTEES.md names %s, which does not exist", name)
	}
}

// TestEveryCodeIsExplained: every reason that the programs give has a row in
// docs/OPERATIONS.md, and none that they do not give.
func TestEveryCodeIsExplained(t *testing.T) {
	given := codesIn(t, `(?:Code\w* *=|Code:|code :?=|(?:transport\.|decoder\.|err)\w+,) "([a-z_]+)"`, "../../applier/*.go", "../replicator/*.go")
	delete(given, "none") // of the metric, while nothing is halted
	require.Greater(t, len(given), 15)
	require.Equal(t, given, explained(t, "Codes"))
}

// TestEveryRefusalIsExplained: the same for the codes with which init refuses
// a table.
func TestEveryRefusalIsExplained(t *testing.T) {
	given := codesIn(t, `(?:refuse\(t,|Code:) "([a-z_]+)"`, "../catalog/unfit.go")
	require.Greater(t, len(given), 8)
	require.Equal(t, given, explained(t, "What init refuses"))
}

// codesIn finds what a pattern captures in the sources, tests apart.
func codesIn(t *testing.T, pattern string, sources ...string) map[string]bool {
	t.Helper()
	codes := map[string]bool{}
	for _, source := range sources {
		files, err := filepath.Glob(source)
		require.NoError(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
				codes[match[1]] = true
			}
		}
	}
	return codes
}

// explained lists the codes that have a row under a heading of
// docs/OPERATIONS.md.
func explained(t *testing.T, heading string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../../docs/OPERATIONS.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "\n## "+heading+"\n")
	require.True(t, found, heading)
	section, _, _ = strings.Cut(section, "\n## ")
	codes := map[string]bool{}
	for line := range strings.Lines(section) {
		if cell, _, isRow := strings.Cut(strings.TrimPrefix(line, "| "), " | "); isRow {
			for _, code := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cell, -1) {
				codes[code[1]] = true
			}
		}
	}
	return codes
}
