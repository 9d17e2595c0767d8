package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/pgfed/pgfed/"

// TestArrows holds the imports to the house that docs/ARCHITECTURE.md draws:
// they run one way, and each foreign protocol has one door.
func TestArrows(t *testing.T) {
	for folder, imports := range production(t) {
		for path, file := range imports {
			own, isOwn := strings.CutPrefix(path, module)
			standard := !strings.Contains(strings.SplitN(path, "/", 2)[0], ".")
			allow := func(ok bool, rule string) {
				t.Helper()
				if !ok {
					t.Errorf("%s imports %s: %s", file, path, rule)
				}
			}
			if strings.HasPrefix(path, "github.com/jackc/pglogrepl") {
				allow(folder == "decoder", "only decoder speaks the replication protocol")
			}
			if strings.HasPrefix(path, "github.com/nats-io/") {
				allow(folder == "transport" || strings.HasPrefix(folder, "internal/brokertest"), "only transport speaks to brokers")
			}
			if isOwn && (strings.HasSuffix(own, "test") || own == "internal/pgtest") {
				allow(strings.HasSuffix(folder, "test") || folder == "internal/conformance", "what helps tests stays in tests")
			}
			switch folder {
			case "internal/change":
				allow(!isOwn, "the vocabulary is a leaf")
			case "internal/partition":
				allow(!isOwn || own == "internal/change", "both ends of the way use it")
			case "conflict":
				allow(standard || own == "internal/change", "judgement is pure")
			case "decoder", "transport", "checkpoint":
				allow(!isOwn || own == "internal/change" || own == "internal/crash", "stations on the way know only the vocabulary")
			case "applier":
				allow(!isOwn || own == "internal/change" || own == "internal/crash" || own == "conflict" || own == "checkpoint" || own == "internal/partition",
					"the applier knows the vocabulary, judgement, the checkpoint and what both ends say of partitions")
			case "internal/config", "internal/admin", "internal/catalog", "internal/preflight", "internal/report":
				allow(own != "internal/replicator", "everything flows into internal/replicator, not out of it")
			}
			if folder != "internal/fedtest" {
				allow(!strings.HasPrefix(own, "cmd/"), "commands are the end of the arrows")
			}
		}
	}
}

// production maps every folder to what its files that are no tests import, and
// each import to a file that does.
func production(t *testing.T) map[string]map[string]string {
	t.Helper()
	found := map[string]map[string]string{}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != ".." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata") {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		file, _ := filepath.Rel("..", path)
		folder := filepath.ToSlash(filepath.Dir(file))
		if found[folder] == nil {
			found[folder] = map[string]string{}
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			found[folder][imported] = filepath.ToSlash(file)
		}
		return nil
	})
	require.NoError(t, err)
	require.Contains(t, found, "internal/change")
	return found
}
