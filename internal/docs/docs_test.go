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

// TestEveryRefusalIsExplained: docs/OPERATIONS.md has a row for each code with
// which init refuses a table, and for no other.
func TestEveryRefusalIsExplained(t *testing.T) {
	source, err := os.ReadFile("../catalog/unfit.go")
	require.NoError(t, err)
	given := map[string]bool{}
	for _, match := range regexp.MustCompile(`(?:refuse\(t,|Code:) "([a-z_]+)"`).FindAllStringSubmatch(string(source), -1) {
		given[match[1]] = true
	}
	require.Greater(t, len(given), 8)

	text, err := os.ReadFile("../../docs/OPERATIONS.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "\n## What init refuses\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	explained := map[string]bool{}
	for line := range strings.Lines(section) {
		if cell, _, isRow := strings.Cut(strings.TrimPrefix(line, "| "), " | "); isRow {
			for _, code := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cell, -1) {
				explained[code[1]] = true
			}
		}
	}
	require.Equal(t, given, explained)
}
