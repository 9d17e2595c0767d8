// Package brokertest runs real NATS servers with JetStream, each in a process of its own, for tests that treat them badly.
package brokertest

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/proctest"
)

const startTimeout = 30 * time.Second

// Options of a server. The zero value is an open server on loopback that syncs every write.
type Options struct {
	Name   string // server name; empty: brokertest
	Config string // further lines of nats-server configuration
}

// Process is one server. Its methods belong to the test's goroutine.
type Process struct {
	t       testing.TB
	dir     string
	port    int
	command *exec.Cmd
	input   *os.File // the server ends when this does
	exited  chan struct{}
}

// Start runs a server until the test ends.
func Start(t testing.TB, options Options) *Process {
	t.Helper()
	p := &Process{t: t, dir: t.TempDir(), port: proctest.Port(t)}
	if options.Name == "" {
		options.Name = "brokertest"
	}
	config := fmt.Sprintf("server_name: %q\nlisten: \"127.0.0.1:%d\"\njetstream { store_dir: %q, sync_interval: always }\n%s\n",
		options.Name, p.port, p.StoreDir(), options.Config)
	require.NoError(t, os.WriteFile(p.configFile(), []byte(config), 0o600))
	t.Cleanup(p.Kill9)
	p.Restart()
	return p
}

// URL is where clients connect; it stays the same across restarts.
func (p *Process) URL() string { return "nats://" + p.address() }

// PID is the server's process, 0 when it does not run.
func (p *Process) PID() int {
	if p.command == nil {
		return 0
	}
	return p.command.Process.Pid
}

// StoreDir is what a test copies or removes while the server is stopped.
func (p *Process) StoreDir() string { return filepath.Join(p.dir, "store") }

// Kill9 ends the server as a crash would. Nothing happens when it does not run.
func (p *Process) Kill9() {
	p.end(func() { _ = p.command.Process.Kill() })
}

// Stop ends the server in good order. Nothing happens when it does not run.
func (p *Process) Stop() {
	p.end(func() { _ = p.command.Process.Signal(syscall.SIGTERM) })
}

// Restart starts the server with what its store now holds, stopping it first when it runs, and returns when clients can connect.
func (p *Process) Restart() {
	p.t.Helper()
	p.Stop()
	binary, err := build()
	require.NoError(p.t, err)
	read, write, err := os.Pipe()
	require.NoError(p.t, err)
	defer read.Close()
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(p.t, err)
	defer log.Close()

	p.command = exec.Command(binary, "-c", p.configFile())
	p.command.Stdin, p.command.Stdout, p.command.Stderr = read, log, log
	require.NoError(p.t, p.command.Start())
	p.input, p.exited = write, make(chan struct{})
	go func(command *exec.Cmd, exited chan struct{}) {
		_ = command.Wait()
		close(exited)
	}(p.command, p.exited)
	p.awaitReady()
}

func (p *Process) awaitReady() {
	p.t.Helper()
	deadline := time.After(startTimeout)
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for !p.greets() {
		select {
		case <-retry.C:
		case <-p.exited:
			p.t.Fatalf("nats server ended at start:\n%s", p.log())
		case <-deadline:
			p.t.Fatalf("nats server not ready after %s:\n%s", startTimeout, p.log())
		}
	}
}

// greets says whether the server sends its first line.
func (p *Process) greets() bool {
	conn, err := net.DialTimeout("tcp", p.address(), time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	line, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil && strings.HasPrefix(line, "INFO ")
}

func (p *Process) end(how func()) {
	if p.command == nil {
		return
	}
	how()
	<-p.exited
	p.input.Close()
	p.command = nil
}

func (p *Process) address() string    { return fmt.Sprintf("127.0.0.1:%d", p.port) }
func (p *Process) configFile() string { return filepath.Join(p.dir, "nats.conf") }

func (p *Process) log() string {
	content, _ := os.ReadFile(filepath.Join(p.dir, "log"))
	return string(content)
}

// build makes the server's binary once for each process of tests; the go command's cache makes that quick from the second on.
var build = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("pgfed-natsd-%d-%s", os.Getuid(), serverVersion()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("create directory for the nats server: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", fmt.Errorf("open build lock: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil { // packages test at the same time
		return "", fmt.Errorf("wait for build lock: %w", err)
	}
	binary := filepath.Join(dir, "natsd")
	command := exec.Command("go", "build", "-o", binary, "github.com/pgfed/pgfed/internal/brokertest/natsd")
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the nats server: %w\n%s", err, output)
	}
	return binary, nil
})

func serverVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			if dependency.Path == "github.com/nats-io/nats-server/v2" {
				return dependency.Version
			}
		}
	}
	return "unknown"
}
