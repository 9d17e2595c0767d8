package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const ticksPerSecond = 100 // USER_HZ, the same on every Linux

// process is what /proc says of one.
type process struct {
	pid, parent int
	cpu         float64 // seconds
}

// processes lists all of the machine.
func processes() map[int]process {
	found := map[int]process{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		content, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		end := bytes.LastIndexByte(content, ')') // the name may hold anything
		fields := strings.Fields(string(content[end+1:]))
		if len(fields) < 13 {
			continue
		}
		pid, _ := strconv.Atoi(strings.Fields(string(content))[0])
		parent, _ := strconv.Atoi(fields[1])
		user, _ := strconv.ParseFloat(fields[11], 64)
		system, _ := strconv.ParseFloat(fields[12], 64)
		found[pid] = process{pid: pid, parent: parent, cpu: (user + system) / ticksPerSecond}
	}
	return found
}

// title is what a server's process calls itself.
func title(pid int) string {
	content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.TrimRight(strings.ReplaceAll(string(content), "\x00", " "), " ")
}

// busy is the CPU time that the whole machine has spent, in seconds.
func busy() float64 {
	content, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(content), "\n")
	var sum float64
	for i, field := range strings.Fields(line)[1:] {
		value, _ := strconv.ParseFloat(field, 64)
		const idle, iowait, guest = 3, 4, 8 // guest time is in user time already
		if i != idle && i != iowait && i < guest {
			sum += value
		}
	}
	return sum / ticksPerSecond
}

func loadAverage() string {
	content, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(content))
	if len(fields) == 0 {
		return "?"
	}
	return fields[0]
}

// awaitQuiet waits until the machine does next to nothing, but not for ever.
func (b *bench) awaitQuiet(ctx context.Context) {
	deadline := time.Now().Add(b.quiet)
	for time.Now().Before(deadline) && ctx.Err() == nil {
		before := busy()
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
		if busy()-before < 0.15 {
			return
		}
	}
}

// meter watches who uses the CPU during a measurement.
type meter struct {
	bench  *bench
	system system
	load   string
	busy   float64
	before map[int]process
	own    map[int]string // name by process

	mu   sync.Mutex
	last map[int]process // as each was seen last
	stop context.CancelFunc
	done chan struct{}
}

func (b *bench) startMeter(ctx context.Context, s system) *meter {
	b.awaitQuiet(ctx)
	ctx, cancel := context.WithCancel(ctx)
	m := &meter{
		bench: b, system: s, load: loadAverage(), busy: busy(), before: processes(),
		own: map[int]string{}, last: map[int]process{}, stop: cancel, done: make(chan struct{}),
	}
	go func() {
		defer close(m.done)
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				m.look()
			}
		}
	}()
	return m
}

// look notes the servers' processes, our own and the replicators'.
func (m *meter) look() {
	all := processes()
	m.mu.Lock()
	defer m.mu.Unlock()
	for pid, p := range all {
		if p.parent == m.bench.stage.origin.cmd.Process.Pid || p.parent == m.bench.stage.target.cmd.Process.Pid ||
			p.parent == os.Getpid() || pid == os.Getpid() {
			m.last[pid] = p
			m.own[pid] = m.label(p) // a young process has no title yet
		}
	}
}

// label names a process as the report does: "walsender", "apply east" ...
func (m *meter) label(p process) string {
	if p.pid == os.Getpid() {
		return "bench"
	}
	if p.parent == os.Getpid() {
		return "" // a server's main process, pgbench, or a replicator: finish knows
	}
	name := title(p.pid)
	side := "origin"
	if p.parent == m.bench.stage.target.cmd.Process.Pid {
		side = "target"
	}
	switch {
	case strings.Contains(name, "walsender"):
		return side + " walsender"
	case strings.Contains(name, "logical replication") && !strings.Contains(name, "launcher"):
		return side + " apply worker"
	case strings.Contains(name, "walwriter"):
		return side + " walwriter"
	case strings.Contains(name, "bench"): // a session in one of our databases
		return side + " session"
	}
	return side + " server"
}

// finish adds up. Sessions of ours are told from others by their application
// name.
func (m *meter) finish(ctx context.Context, to *measurement) {
	m.look()
	spent := busy() - m.busy
	m.stop()
	<-m.done
	ctx = context.WithoutCancel(ctx)
	sessions := map[int]string{}
	for side, server := range map[string]*server{"origin": m.bench.stage.origin, "target": m.bench.stage.target} {
		_ = applications(ctx, server, func(pid int, application string) {
			if strings.HasSuffix(application, "/capture") {
				return // the walsender
			}
			if rest, found := strings.CutPrefix(application, "pgfed/"); found {
				_, role, _ := strings.Cut(rest, "/")
				sessions[pid] = side + " backend " + strings.TrimSuffix(strings.TrimSuffix(role, "/east"), "/west")
			}
		})
	}
	for name, pid := range m.system.processes() {
		sessions[pid] = name
	}
	to.CPU = map[string]float64{}
	for pid, p := range m.last {
		used := p.cpu - m.before[pid].cpu
		spent -= used
		name := m.own[pid]
		if session := sessions[pid]; session != "" {
			name = session
		}
		if name == "" {
			name = "others of the bench"
		}
		to.CPU[name] += used
	}
	for name, used := range to.CPU {
		if used < 0.015 {
			delete(to.CPU, name)
		}
	}
	to.Foreign = max(0, spent)
	to.LoadBefore, to.LoadAfter = m.load, loadAverage()
}

func applications(ctx context.Context, s *server, each func(pid int, application string)) error {
	conn, err := connect(ctx, s.url("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, "SELECT pid, application_name FROM pg_stat_activity WHERE application_name <> ''")
	if err != nil {
		return fmt.Errorf("list sessions: %w", err)
	}
	var pid int
	var application string
	_, err = pgx.ForEachRow(rows, []any{&pid, &application}, func() error {
		each(pid, application)
		return nil
	})
	return err
}

// statusField reads a figure in kB from /proc/PID/status, in bytes.
func statusField(pid int, field string) int64 {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if rest, found := strings.CutPrefix(lines.Text(), field+":"); found {
			value, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return value * 1024
		}
	}
	return 0
}
