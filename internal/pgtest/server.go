package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgfed/pgfed/internal/pglocal"
	"github.com/pgfed/pgfed/internal/proctest"
)

// Server is one Postgres server of a test. Methods without an error result
// fail the test and so belong to its goroutine; TryExec, TryQuery, TryStart,
// Connect and URL may be used from any.
type Server struct {
	Name    string
	Major   int
	Port    int
	DataDir string

	t       testing.TB
	root    string // holds data/, the socket folder and the log
	install pglocal.Installation
	locales string // folder of more locales; "" for none

	mu      sync.Mutex
	process *process // nil when stopped
	bases   atomic.Int64
}

type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when the postmaster is gone
}

// Option changes the server that Start makes.
type Option func(*options)

type options struct {
	name     string
	major    int
	settings strings.Builder
	locales  []string
}

// Setting sets a configuration parameter of the server.
func Setting(name, value string) Option {
	return func(o *options) {
		fmt.Fprintf(&o.settings, "%s = '%s'\n", name, strings.ReplaceAll(value, "'", "''"))
	}
}

// Major asks for a major version instead of the default one.
func Major(major int) Option { return func(o *options) { o.major = major } }

// Name names the server in folders and messages.
func Name(name string) Option { return func(o *options) { o.name = name } }

// StopMode says how a server is stopped.
type StopMode syscall.Signal

// The ways of pg_ctl.
const (
	Smart     = StopMode(syscall.SIGTERM) // waits for sessions to end
	Fast      = StopMode(syscall.SIGINT)  // ends sessions; waits for WAL senders to send all they have
	Immediate = StopMode(syscall.SIGQUIT) // like a crash, but orderly among the server's processes
)

// startTimeout covers crash recovery on a busy machine.
const startTimeout = 90 * time.Second

// Majors lists the major versions found on this machine, lowest first.
func Majors() []int { return pglocal.Majors() }

// Start runs a new server that is stopped and removed when the test ends.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	o := options{name: "server"}
	for _, option := range opts {
		option(&o)
	}
	install, err := pglocal.Find(o.major)
	if err != nil {
		t.Fatal(err)
	}
	root, release, err := proctest.Folder(pglocal.TempFolder(), "pg-"+o.name)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{
		Name: o.name, Major: install.Major, DataDir: filepath.Join(root, "data"),
		t: t, root: root, install: install,
	}
	t.Cleanup(func() { s.remove(release) })
	if err := copyCluster(install, root); err != nil {
		t.Fatal(err)
	}
	if o.locales != nil {
		if s.locales, err = makeLocales(o.locales); err != nil {
			t.Fatal(err)
		}
	}
	s.Port = proctest.Port(t)
	s.Configure(settings + s.socketSetting() + fmt.Sprintf("port = %d\n", s.Port) + o.settings.String())
	s.Start()
	return s
}

// socketSetting: long paths do not fit a socket address; such a server goes
// without, everybody uses TCP anyway.
func (s *Server) socketSetting() string {
	folder := filepath.Join(s.root, "s")
	if len(folder) > 80 {
		folder = ""
	}
	return fmt.Sprintf("unix_socket_directories = '%s'\n", folder)
}

// Configure appends lines to postgresql.conf; they count from the next start.
func (s *Server) Configure(lines string) {
	s.t.Helper()
	file, err := os.OpenFile(filepath.Join(s.DataDir, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = file.WriteString("\n" + lines)
	if err := errors.Join(err, file.Close()); err != nil {
		s.t.Fatal(err)
	}
}

// Start starts the stopped server on its port, recovering if it had been
// killed, and returns when it takes connections.
func (s *Server) Start() {
	s.t.Helper()
	if err := s.TryStart(); err != nil {
		s.t.Fatal(err)
	}
}

// TryStart is Start with an error.
func (s *Server) TryStart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		return fmt.Errorf("start Postgres %s: it runs already", s.Name)
	}
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open server log: %w", err)
	}
	defer log.Close()
	cmd := s.install.Command(context.Background(), "postgres", "-D", s.DataDir)
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=/usr/bin:/bin"}
	if s.locales != "" {
		cmd.Env = append(cmd.Env, "LOCPATH="+s.locales)
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr.Setpgid = true
	// Immediate shutdown when the test binary dies: the postmaster takes its
	// children along.
	if err := proctest.Start(cmd, syscall.SIGQUIT); err != nil {
		return fmt.Errorf("start Postgres %s: %w", s.Name, err)
	}
	p := &process{cmd: cmd, exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(p.exited)
	}()
	s.process = p
	if err := s.ready(p); err != nil {
		_ = cmd.Process.Signal(syscall.SIGQUIT)
		<-p.exited
		s.process = nil
		return err
	}
	return nil
}

// ready waits until the server takes connections.
func (s *Server) ready(p *process) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := s.Connect(ctx)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-p.exited:
			return fmt.Errorf("start Postgres %s: it ended: %s", s.Name, s.logTail(20))
		case <-ctx.Done():
			return fmt.Errorf("start Postgres %s: no connection within %s: %w", s.Name, startTimeout, err)
		case <-tick.C:
		}
	}
}

// Running reports whether the server has been started and not stopped.
func (s *Server) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process != nil
}

// PID is the postmaster's process, 0 when the server does not run.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return 0
	}
	return s.process.cmd.Process.Pid
}

// Stop stops the server and waits until it is gone. The default mode is Fast.
func (s *Server) Stop(mode ...StopMode) {
	s.t.Helper()
	signal := Fast
	if len(mode) > 0 {
		signal = mode[0]
	}
	if err := s.stop(signal); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) stop(mode StopMode) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.process
	if p == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.Signal(mode))
	select {
	case <-p.exited:
		s.process = nil
		return nil
	case <-time.After(60 * time.Second):
		return fmt.Errorf("stop Postgres %s: it still runs after 60 s: %s", s.Name, s.logTail(10))
	}
}

// Restart stops the server fast and starts it again.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	s.Start()
}

// Kill9 kills the postmaster and every server process with SIGKILL, as a
// machine that loses power would (except for the page cache), and returns when
// all of them are gone. Start then recovers.
func (s *Server) Kill9() {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.process
	if p == nil {
		return
	}
	// Stopped first, so that it neither forks nor cleans up meanwhile.
	pid := p.cmd.Process.Pid
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	processes := append(proctest.Children(pid), pid)
	for _, victim := range processes {
		_ = syscall.Kill(victim, syscall.SIGKILL)
	}
	<-p.exited
	for _, victim := range processes {
		proctest.AwaitEnd(victim)
	}
	s.process = nil
}

// URL is a superuser's connection string, to the database postgres if none is
// named.
func (s *Server) URL(database ...string) string {
	return s.URLAs("postgres", database...)
}

// URLAs is URL for another role; no role has a password.
func (s *Server) URLAs(role string, database ...string) string {
	name := "postgres"
	if len(database) > 0 {
		name = database[0]
	}
	u := url.URL{
		Scheme: "postgres", User: url.User(role),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)), Path: "/" + name, RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Database makes a new empty database and returns its connection string.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", s.bases.Add(1))
	if err := s.TryExec(context.Background(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	return s.URL(name)
}

// Connect opens a connection that the caller closes.
func (s *Server) Connect(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, s.URL()+"&connect_timeout=5&application_name=test&client_encoding=UTF8&standard_conforming_strings=on&statement_timeout=0")
}

// Conn opens a connection that is closed when the test ends.
func (s *Server) Conn(t testing.TB) *pgx.Conn {
	t.Helper()
	conn, err := s.Connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// Exec runs SQL, several statements if there are no arguments, in a session of
// its own.
func (s *Server) Exec(sql string, args ...any) {
	s.t.Helper()
	if err := s.TryExec(context.Background(), sql, args...); err != nil {
		s.t.Fatal(err)
	}
}

// TryExec is Exec with an error.
func (s *Server) TryExec(ctx context.Context, sql string, args ...any) error {
	conn, err := s.Connect(ctx)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", s.Name, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, sql, args...); err != nil {
		return fmt.Errorf("exec on %s: %w\n%s", s.Name, err, sql)
	}
	return nil
}

// Query returns the rows as Postgres prints them, NULL as "NULL".
func (s *Server) Query(sql string, args ...any) [][]string {
	s.t.Helper()
	rows, err := s.TryQuery(context.Background(), sql, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return rows
}

// One returns the single value that the query gives.
func (s *Server) One(sql string, args ...any) string {
	s.t.Helper()
	rows := s.Query(sql, args...)
	if len(rows) != 1 || len(rows[0]) != 1 {
		s.t.Fatalf("query on %s: want one value, have %v\n%s", s.Name, rows, sql)
	}
	return rows[0][0]
}

// TryQuery is Query with an error.
func (s *Server) TryQuery(ctx context.Context, sql string, args ...any) ([][]string, error) {
	conn, err := s.Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", s.Name, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, sql, append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("query on %s: %w\n%s", s.Name, err, sql)
	}
	defer rows.Close()
	var result [][]string
	for rows.Next() {
		var line []string
		for _, value := range rows.RawValues() {
			if value == nil {
				line = append(line, "NULL")
			} else {
				line = append(line, string(value))
			}
		}
		result = append(result, line)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("query on %s: %w\n%s", s.Name, err, sql)
	}
	return result, nil
}

// Log returns what the server has logged.
func (s *Server) Log() string {
	content, _ := os.ReadFile(s.logFile())
	return string(content)
}

// Program is the path of one of the server's programs, such as pg_receivewal.
func (s *Server) Program(name string) string { return s.install.Program(name) }

// Client is the path of a program that speaks to servers of any version, such
// as pgbench: the server's own, or another version's where it has none.
func (s *Server) Client(name string) (string, error) { return s.install.Client(name) }

func (s *Server) logFile() string { return filepath.Join(s.root, "log") }

func (s *Server) logTail(lines int) string {
	content := bytes.Split(bytes.TrimSpace([]byte(s.Log())), []byte("\n"))
	return string(bytes.Join(content[max(0, len(content)-lines):], []byte("\n")))
}

func (s *Server) remove(release func(keep bool)) {
	if err := s.stop(Immediate); err != nil {
		s.t.Log(err)
		s.Kill9()
	}
	if s.t.Failed() {
		s.t.Logf("the end of the log of Postgres %s:\n%s", s.Name, s.logTail(25))
	}
	keep := os.Getenv("PGFED_KEEP") != ""
	if keep {
		s.t.Logf("kept Postgres %s in %s", s.Name, s.root)
	}
	release(keep)
}
