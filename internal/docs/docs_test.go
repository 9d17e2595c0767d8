// Package docs holds the documents against the code.
package docs

import (
	"os"
	"os/exec"
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
	out, err := exec.Command("git", "-C", "../..", "ls-files", "--cached", "--others", "--exclude-standard", "*_test.go").Output()
	require.NoError(t, err)
	for _, file := range strings.Fields(string(out)) {
		source, err := os.ReadFile(filepath.Join("../..", file))
		require.NoError(t, err)
		for _, match := range declared.FindAllStringSubmatch(string(source), -1) {
			known[filepath.Base(filepath.Dir(file))+"."+match[1]] = true
		}
	}
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
