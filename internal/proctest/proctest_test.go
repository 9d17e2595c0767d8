package proctest_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/proctest"
)

const role = "PROCTEST_ROLE"

// TestMain is also the process that gets killed.
func TestMain(m *testing.M) {
	if os.Getenv(role) == "parent" {
		child := exec.Command("sleep", "1000")
		if err := proctest.Start(child, syscall.SIGTERM); err != nil {
			panic(err)
		}
		fmt.Println(child.Process.Pid)
		select {}
	}
	os.Exit(m.Run())
}

func TestChildrenDieWithTheTest(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), role+"=parent")
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, proctest.Start(parent, syscall.SIGKILL))
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	child, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err)
	require.Equal(t, []int{child}, proctest.Children(parent.Process.Pid))

	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait()
	proctest.AwaitEnd(child)
}

func TestFoldersAreSwept(t *testing.T) {
	base := t.TempDir()
	first, release, err := proctest.Folder(base, "x")
	require.NoError(t, err)
	abandoned := filepath.Join(base, "pgfed-x-abandoned")
	kept := filepath.Join(base, "pgfed-x-kept")
	for _, folder := range []string{abandoned, kept} {
		require.NoError(t, os.Mkdir(folder, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(folder, "lock"), nil, 0o644))
	}
	require.NoError(t, os.WriteFile(filepath.Join(kept, "keep"), nil, 0o644))

	unreleased, _, err := proctest.Folder(base, "x")
	require.NoError(t, err)
	runtime.GC()

	second, releaseSecond, err := proctest.Folder(base, "x")
	require.NoError(t, err)
	require.DirExists(t, first, "its lock is held")
	require.DirExists(t, unreleased)
	require.DirExists(t, kept)
	require.NoDirExists(t, abandoned)
	release(false)
	require.NoDirExists(t, first)
	releaseSecond(true)
	require.DirExists(t, second)
}

func TestPortsAreReservedOnce(t *testing.T) {
	seen := map[int]bool{}
	for range 50 {
		port := proctest.Port(t)
		require.False(t, seen[port])
		seen[port] = true
	}
}
