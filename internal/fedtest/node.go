package fedtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pgfed/pgfed/internal/pgtest"
	"github.com/pgfed/pgfed/internal/proctest"
)

// Node is one member: its database and its replicator. Start, Stop, Kill and
// Restart are the replicator's; the database server's are DB's.
type Node struct {
	DB *pgtest.Server

	Name       string
	HTTPAddr   string
	BrokerAddr string
	DataDir    string // the embedded broker's
	LogFile    string // the replicator's

	f *Federation
	t testing.TB

	mu       sync.Mutex
	run      *run // nil when nobody wants a replicator to run
	standby  *run // a second instance that waits
	restarts int  // by supervision

	standbyHTTP string
}

// run is one life of a replicator process.
type run struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // why it ended; read after exited is closed
}

// Timeouts of the harness, generous: the race detector on a busy machine.
const (
	answerTimeout = 30 * time.Second // a started replicator answers
	stopTimeout   = 30 * time.Second // a stopped one has ended
	pollEvery     = 50 * time.Millisecond
)

// arguments of this node's replicator.
func (n *Node) arguments(http, broker string) []string {
	arguments := []string{
		"--config", n.f.File, "--node", n.Name, "--postgres", n.DB.URLAs(Role), "--http", http, "--log-level", "debug",
	}
	switch {
	case n.f.Broker != nil:
	case n.f.Config.Secure == "wss":
		arguments = append(arguments, "--data-dir", n.DataDir, "--broker-listen", "127.0.0.1:0",
			"--broker-websocket-listen", broker, "--broker-websocket-tls")
	default:
		arguments = append(arguments, "--data-dir", n.DataDir, "--broker-listen", broker)
	}
	if n.f.papers != nil {
		arguments = append(arguments, n.f.papers.arguments(n.Name)...)
	}
	for _, peer := range n.f.Nodes() {
		if peer != n {
			arguments = append(arguments, "--peer-url", peer.Name+"="+n.f.url(n.Name, peer.Name))
		}
	}
	return arguments
}

// Start starts the replicator and waits until it answers.
func (n *Node) Start() {
	n.t.Helper()
	if err := n.TryStart(); err != nil {
		n.t.Fatal(err)
	}
}

// TryStart is Start with an error.
func (n *Node) TryStart() error {
	if err := n.launch(""); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	return n.awaitAnswer(ctx)
}

// CrashAt restarts the replicator so that it kills itself at a point of
// internal/crash, "point" or "point:n". It does not wait for anything.
func (n *Node) CrashAt(point string) {
	n.t.Helper()
	n.Kill()
	if err := n.launch("PGFED_CRASH_AT=" + point); err != nil {
		n.t.Fatal(err)
	}
}

// AwaitCrash waits until the replicator has killed itself.
func (n *Node) AwaitCrash(within time.Duration) {
	n.t.Helper()
	n.mu.Lock()
	r := n.run
	n.mu.Unlock()
	if r == nil {
		n.t.Fatalf("the replicator of %s was not started", n.Name)
	}
	select {
	case <-r.exited:
	case <-time.After(within):
		n.t.Fatalf("the replicator of %s has not come past its crash point within %s", n.Name, within)
	}
	var exit *exec.ExitError
	if !errors.As(r.err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		n.t.Fatalf("the replicator of %s ended otherwise than by its crash point: %v\n%s", n.Name, r.err, n.LogTail(20))
	}
	n.mu.Lock()
	n.run = nil
	n.mu.Unlock()
}

// launch starts the process.
func (n *Node) launch(environment ...string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.run != nil {
		return fmt.Errorf("start replicator %s: it runs already", n.Name)
	}
	r, err := n.process(n.arguments(n.HTTPAddr, n.BrokerAddr), environment)
	if err != nil {
		return err
	}
	n.run = r
	if n.f.Config.Supervised {
		go n.supervise(r, environment)
	}
	return nil
}

func (n *Node) process(arguments, environment []string) (*run, error) {
	folder, err := programs()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(n.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open replicator log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(folder+"/replicator", arguments...)
	cmd.Env = append(append(os.Environ(), "GORACE=halt_on_error=1"), environment...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := proctest.Start(cmd, syscall.SIGKILL); err != nil {
		return nil, fmt.Errorf("start replicator %s: %w", n.Name, err)
	}
	r := &run{cmd: cmd, exited: make(chan struct{})}
	go func() {
		r.err = cmd.Wait()
		close(r.exited)
	}()
	return r, nil
}

// supervise starts the process again when it ends while it is wanted.
func (n *Node) supervise(r *run, environment []string) {
	for {
		<-r.exited
		<-time.After(200 * time.Millisecond)
		n.mu.Lock()
		if n.run != r {
			n.mu.Unlock()
			return
		}
		next, err := n.process(n.arguments(n.HTTPAddr, n.BrokerAddr), environment)
		if err != nil {
			n.mu.Unlock()
			return
		}
		n.run, r = next, next
		n.restarts++
		n.mu.Unlock()
	}
}

// Restarts says how often supervision had to start the replicator again.
func (n *Node) Restarts() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.restarts
}

func (n *Node) awaitAnswer(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		_, err := n.TryStatus(ctx)
		if err == nil {
			return nil
		}
		if !n.f.Config.Supervised {
			if ended, why := n.ended(); ended {
				return fmt.Errorf("start replicator %s: it ended: %w\n%s", n.Name, why, n.LogTail(20))
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("start replicator %s: no answer within %s: %w\n%s", n.Name, answerTimeout, err, n.LogTail(20))
		case <-tick.C:
		}
	}
}

// Running reports whether the replicator is meant to run.
func (n *Node) Running() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.run != nil
}

// ended reports whether the replicator has ended by itself, and how.
func (n *Node) ended() (bool, error) {
	n.mu.Lock()
	r := n.run
	n.mu.Unlock()
	if r == nil {
		return false, nil
	}
	select {
	case <-r.exited:
		if r.err == nil {
			return true, errEnded
		}
		return true, r.err
	default:
		return false, nil
	}
}

var errEnded = errors.New("exit status 0")

// PID is the replicator's process, 0 when it does not run.
func (n *Node) PID() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.run == nil {
		return 0
	}
	return n.run.cmd.Process.Pid
}

// Kill kills the replicator with SIGKILL and waits until it is gone.
func (n *Node) Kill() {
	_ = n.end(syscall.SIGKILL)
}

// Stop stops the replicator cleanly, which must succeed.
func (n *Node) Stop() {
	n.t.Helper()
	if err := n.end(syscall.SIGTERM); err != nil {
		n.t.Fatalf("stop replicator %s: %v\n%s", n.Name, err, n.LogTail(20))
	}
}

// Restart stops the replicator cleanly and starts it again.
func (n *Node) Restart() {
	n.t.Helper()
	n.Stop()
	n.Start()
}

func (n *Node) end(signal syscall.Signal) error {
	n.mu.Lock()
	r := n.run
	n.run = nil
	n.mu.Unlock()
	if r == nil {
		return nil
	}
	_ = r.cmd.Process.Signal(signal)
	select {
	case <-r.exited:
		return r.err
	case <-time.After(stopTimeout):
		// Its stacks tell where it hangs.
		_ = r.cmd.Process.Signal(syscall.SIGQUIT)
		<-r.exited
		return fmt.Errorf("it still runs after %s", stopTimeout)
	}
}

// Second runs another replicator for this node, on the same data folder and
// database but other ports, and waits until it ends, which it must with an
// error, or until the time is up. It returns what it said.
func (n *Node) Second(within time.Duration) string {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(n.t, "replicator"), n.arguments("127.0.0.1:0", "127.0.0.1:0")...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := proctest.Start(cmd, syscall.SIGKILL); err != nil {
		n.t.Fatal(err)
	}
	err := cmd.Wait()
	if ctx.Err() != nil {
		n.t.Fatalf("a second replicator of %s still runs after %s:\n%s", n.Name, within, said.String())
	}
	if err == nil {
		n.t.Fatalf("a second replicator of %s ended without an error:\n%s", n.Name, said.String())
	}
	return said.String()
}

// Standby starts a second replicator, which must find that there is a first one
// and wait. With embedded brokers it gets a data folder of its own, and what it
// could take over is not where peers look for it.
func (n *Node) Standby() {
	n.t.Helper()
	address := func() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(proctest.Port(n.t))) }
	http := address()
	arguments := n.arguments(http, address())
	if n.f.Broker == nil {
		arguments = append(arguments, "--data-dir", n.DataDir+".standby")
	}
	second, err := n.process(arguments, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	n.standby, n.standbyHTTP = second, http
	n.awaitRole(http, "standby", answerTimeout)
}

// TakeOver waits until the standby has become the active replicator after the
// first one has gone; from then on it is the node's replicator.
func (n *Node) TakeOver(within time.Duration) {
	n.t.Helper()
	if n.Running() || n.standby == nil {
		n.t.Fatalf("%s needs a standby and no first replicator for somebody to take over", n.Name)
	}
	n.awaitRole(n.standbyHTTP, "active", within)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.run, n.standby, n.HTTPAddr = n.standby, nil, n.standbyHTTP
}

// awaitRole waits for what /readyz says.
func (n *Node) awaitRole(address, role string, within time.Duration) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		body, err := get(ctx, "http://"+address+"/readyz")
		if err == nil && strings.TrimSpace(string(body)) == role {
			return
		}
		select {
		case <-ctx.Done():
			n.t.Fatalf("the second replicator of %s is not %s within %s, but %q (%v)", n.Name, role, within, body, err)
		case <-tick.C:
		}
	}
}

// Replctl runs replctl for this node and returns what it printed; it must
// succeed.
func (n *Node) Replctl(arguments ...string) string {
	n.t.Helper()
	out, err := n.TryReplctl(context.Background(), arguments...)
	if err != nil {
		n.t.Fatal(err)
	}
	return out
}

// TryReplctl is Replctl with an error, which holds what it printed.
func (n *Node) TryReplctl(ctx context.Context, arguments ...string) (string, error) {
	folder, err := programs()
	if err != nil {
		return "", err
	}
	global := []string{"--config", n.f.File, "--node", n.Name, "--postgres", n.DB.URL(), "--server", "http://" + n.HTTPAddr}
	cmd := exec.CommandContext(ctx, folder+"/replctl", append(global, arguments...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("replctl %s at %s: %w\n%s%s", strings.Join(arguments, " "), n.Name, err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

// Exec runs SQL in the node's database.
func (n *Node) Exec(sql string, args ...any) {
	n.t.Helper()
	n.DB.Exec(sql, args...)
}

// Query returns the rows as Postgres prints them.
func (n *Node) Query(sql string, args ...any) [][]string {
	n.t.Helper()
	return n.DB.Query(sql, args...)
}

// One returns the single value that the query gives.
func (n *Node) One(sql string, args ...any) string {
	n.t.Helper()
	return n.DB.One(sql, args...)
}

// Log is what all lives of the replicator have logged.
func (n *Node) Log() string {
	content, _ := os.ReadFile(n.LogFile)
	return string(content)
}

// LogTail is the end of it.
func (n *Node) LogTail(lines int) string {
	all := strings.Split(strings.TrimSpace(n.Log()), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// disasters are never all right, whatever a test is about.
var disasters = regexp.MustCompile(`(?m)^(WARNING: DATA RACE|panic: |fatal error: )`)

func (n *Node) finish() {
	n.Kill()
	if n.standby != nil {
		_ = n.standby.cmd.Process.Kill()
		<-n.standby.exited
	}
	log := n.Log()
	if at := disasters.FindStringIndex(log); at != nil {
		n.t.Errorf("the replicator of %s came to grief:\n%s", n.Name, log[at[0]:min(len(log), at[0]+6000)])
	}
	if n.t.Failed() {
		n.t.Logf("the end of the log of replicator %s:\n%s", n.Name, n.LogTail(40))
	}
}
