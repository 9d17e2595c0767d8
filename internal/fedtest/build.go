package fedtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pgfed/pgfed/internal/proctest"
)

// programs is the folder of replicator and replctl, built from this module as
// it is now, for this test process alone: a replicator that is started again
// is the one that was killed.
var programs = sync.OnceValues(func() (string, error) {
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module's folder: %w", err)
	}
	folder, _, err := proctest.Folder(os.TempDir(), "bin") // swept after our end
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-buildvcs=false", "-race", "-tags", "crashpoints", "-o", folder, "./cmd/replicator", "./cmd/replctl")
	build.Dir = strings.TrimSpace(string(module))
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return folder, nil
})

func program(t testing.TB, name string) string {
	t.Helper()
	folder, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(folder, name)
}
