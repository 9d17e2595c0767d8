// Package proctest starts the processes that tests need and sees to it that
// none of them outlives the test binary, however that ends. Linux only.
package proctest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// starts is served by one goroutine that never leaves its thread: the kernel
// sends the death signal when the thread that forked a child ends, and Go ends
// threads as it likes.
var starts = sync.OnceValue(func() chan<- func() {
	requests := make(chan func())
	go func() {
		runtime.LockOSThread()
		for request := range requests {
			request()
		}
	}()
	return requests
})

// Start starts cmd so that the kernel sends it onDeath when this process ends.
// Safe for concurrent use.
func Start(cmd *exec.Cmd, onDeath syscall.Signal) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = onDeath
	started := make(chan error)
	starts() <- func() { started <- cmd.Start() }
	return <-started
}

// Ports are taken below the kernel's ephemeral range, so that a server which
// is stopped for a while finds its port free again: no outgoing connection of
// another process can have got it in between.
const (
	firstPort = 20000
	lastPort  = 32000
)

// Port reserves a TCP port on loopback for the time of the test, against all
// other tests on this machine.
func Port(t testing.TB) int {
	t.Helper()
	port, release, err := ReservePort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return port
}

// ReservePort reserves a TCP port on loopback until release is called or this
// process ends.
func ReservePort() (port int, release func(), err error) {
	folder := filepath.Join(os.TempDir(), fmt.Sprintf("pgfed-ports-%d", os.Getuid()))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return 0, nil, fmt.Errorf("make folder for port locks: %w", err)
	}
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		lock, err := Lock(filepath.Join(folder, strconv.Itoa(port)), false)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			continue
		}
		if err != nil {
			return 0, nil, err
		}
		listener, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			_ = lock.Close()
			continue
		}
		_ = listener.Close()
		return port, func() { _ = lock.Close() }, nil
	}
	return 0, nil, fmt.Errorf("find a free port between %d and %d: none in 1000 attempts", firstPort, lastPort)
}

// Lock opens the file, made if absent, and locks it against other processes
// and other calls until it is closed or this process ends. Without wait a file
// locked by somebody else gives syscall.EWOULDBLOCK.
func Lock(path string, wait bool) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	how := syscall.LOCK_EX
	if !wait {
		how |= syscall.LOCK_NB
	}
	for {
		err = syscall.Flock(int(file.Fd()), how)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, syscall.EINTR) {
			_ = file.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
	}
}

// Folder makes an empty folder for this process's use, named pgfed-<kind>-*.
// Folders of the same kind whose process has ended without removing them are
// swept away on the occasion, unless they hold a file named "keep". release
// removes the folder, or with keep lets it stay.
func Folder(base, kind string) (path string, release func(keep bool), err error) {
	sweep(filepath.Join(base, "pgfed-"+kind+"-*"))
	// Locked before it gets the name that sweep looks for.
	path, err = os.MkdirTemp(base, "pgfed-new-")
	if err != nil {
		return "", nil, fmt.Errorf("make folder: %w", err)
	}
	lock, err := Lock(filepath.Join(path, lockName), false)
	if err != nil {
		return "", nil, err
	}
	named := filepath.Join(base, "pgfed-"+kind+"-"+strings.TrimPrefix(filepath.Base(path), "pgfed-new-"))
	err = errors.Join(os.Rename(path, named), os.Chmod(named, 0o755))
	if err != nil {
		return "", nil, fmt.Errorf("name folder: %w", err)
	}
	// Held even if nobody keeps release: a file that is out of reach is closed.
	held.Store(named, lock)
	return named, func(keep bool) {
		held.Delete(named)
		if keep {
			_ = os.WriteFile(filepath.Join(named, keepName), nil, 0o644)
		} else {
			_ = os.RemoveAll(named)
		}
		_ = lock.Close()
	}, nil
}

var held sync.Map

const (
	lockName = "lock"
	keepName = "keep"
)

// sweep removes the folders whose lock nobody holds.
func sweep(pattern string) {
	folders, _ := filepath.Glob(pattern)
	for _, folder := range folders {
		if _, err := os.Stat(filepath.Join(folder, keepName)); err == nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(folder, lockName)); err != nil {
			continue
		}
		lock, err := Lock(filepath.Join(folder, lockName), false)
		if err != nil {
			continue
		}
		_ = os.RemoveAll(folder)
		_ = lock.Close()
	}
}

// Children lists the processes whose parent is pid.
func Children(pid int) []int {
	var children []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		child, parent, _ := processStat(path)
		if parent == pid {
			children = append(children, child)
		}
	}
	return children
}

// AwaitEnd returns when the process runs no more. One that has ended but that
// nobody has reaped counts as ended.
func AwaitEnd(pid int) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		_, _, state := processStat(fmt.Sprintf("/proc/%d/stat", pid))
		if state == "" || state == "Z" || state == "X" {
			return
		}
		<-tick.C
	}
}

// processStat reads the first fields of a process's stat file; an empty state
// means that there is no such process.
func processStat(path string) (pid, parent int, state string) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, ""
	}
	// The name, in parentheses, may hold anything.
	open, end := bytes.IndexByte(content, '('), bytes.LastIndexByte(content, ')')
	if open < 0 || end < open {
		return 0, 0, ""
	}
	pid, _ = strconv.Atoi(strings.TrimSpace(string(content[:open])))
	fields := strings.Fields(string(content[end+1:]))
	if len(fields) < 2 {
		return pid, 0, ""
	}
	parent, _ = strconv.Atoi(fields[1])
	return pid, parent, fields[0]
}
